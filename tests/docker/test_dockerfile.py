import pytest

from imagekit.docker import dockerfile as parsed


@pytest.mark.parametrize(
    ("dockerfile", "sources"),
    [
        ("FROM a\nRUN true", []),
        ("COPY a b /c/", ["a", "b"]),
        ("copy --chown=1:1 --chmod=0644 a /c", ["a"]),
        ('COPY ["a b", "c", "/d"]', ["a b", "c"]),
        ("COPY --from=uv /uv /bin/", []),
        ("COPY /a /b", ["a"]),
        ("COPY / /b", ["."]),
        ("ADD https://x/y git@h:r /c", []),
        ("COPY <<EOF /c", []),
        ("COPY [!a]x.txt /", ["[!a]x.txt"]),
        ('COPY ["a" "/b"]', ['["a"']),
        ("COPY [1, 2]", ["[1,"]),
        ("COPY []", []),
        ('COPY ["a"]', []),
        ("COPY " + "[" * 100_000, []),
        ("COPY", []),
        ("COPY $X /c", ["."]),
        ("COPY a \\\n  b \\\n /c", ["a", "b"]),
        ("# COPY a /b\n  # and\nCOPY c /d", ["c"]),
        ("COPY a \\\n# between\n b /c", ["a", "b"]),
        ("RUN --mount=type=bind,source=s,target=/s --mount=type=cache,target=/c true", ["s"]),
        ("RUN --mount=type=bind,from=uv,source=/uv,target=/uv true", []),
        ("RUN --mount=target=/s true", ["."]),
        ("RUN --mount=type=bind,source=$X,target=/s true", ["."]),
    ],
)
def test_what_a_dockerfile_takes_from_its_context(dockerfile, sources):
    assert parsed.context_sources(dockerfile) == sources


@pytest.mark.parametrize(
    ("dockerfile", "args", "base"),
    [
        ("FROM a:1", {}, "a:1"),
        ("ARG B=x\nFROM ${B}:1", {}, "x:1"),
        ("ARG B=x\nFROM $B:1", {"B": "y"}, "y:1"),
        ('ARG B="x"\nFROM $B', {}, "x"),
        ("ARG B\nFROM a$B", {}, "a"),
        ("FROM a AS one\nFROM b\nCOPY --from=one / /", {}, "b"),
        ("FROM a AS one\nFROM --platform=linux/amd64 one", {}, "a"),
        ("RUN true", {}, None),
        ("FROM", {}, None),
        ("FROM --platform=x", {}, None),
        ('ARG B="x\nFROM $B', {}, '"x'),
    ],
)
def test_what_an_image_stands_on(dockerfile, args, base):
    assert parsed.base_of(dockerfile, args) == base


def test_a_quote_that_does_not_end():
    text = "ARG A='x B\nARG C"
    assert parsed.declared_args(text) - parsed.PREDEFINED_ARGS == {"A", "B", "C"}


def test_declared_args():
    text = "ARG A\nFROM x\nARG B=1 C='2 3'\n# ARG D\narg E"
    assert parsed.declared_args(text) - parsed.PREDEFINED_ARGS == {"A", "B", "C", "E"}
