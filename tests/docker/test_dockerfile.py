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
        ('COPY ["a" "/b"]', ["[a"]),
        ("COPY \"a\" 'b' c\\d /", ["a", "b", "cd"]),
        ("COPY\ta\tb\t/c", ["a", "b"]),
        ("\ufeffCOPY a /c", ["a"]),
        ("RUN <<EOF\nCOPY a /b\nEOF\nCOPY c /d", ["c"]),
        ("COPY <<EOF b /c\nADD x /y\nEOF\n", ["b"]),
        ('COPY ["<<a", "/b"]', ["<<a"]),
        ("ONBUILD COPY a /b\nONBUILD RUN --mount=source=c,target=/d x", ["a", "c"]),
        ("ONBUILD RUN <<EOF\nCOPY secret /b\nEOF\nONBUILD COPY a /b", ["a"]),
        ("ONBUILD ONBUILD COPY a /b\nONBUILD", []),
        ("# escape=`\nCOPY a `\n  b\\c /d", ["a", "b\\c"]),
        ("COPY --exclude=*.md --parents a /b", ["a"]),
        ("ADD --keep-git-dir=true https://x/y.git#main a /c", ["a"]),
        ('RUN --mount="type=bind,source=a b,target=/s" x', ["a b"]),
        ("RUN --mount=type=cache,target=/c --mount=TYPE=bind,SRC=/a,target=/s x", ["a"]),
        ("RUN echo --mount=type=bind,source=s", []),
        ("RUN --network=none true", []),
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
        # A line break of an old Mac, which a list of values cannot have.
        ('RUN --mount="type=bind,source=a\rb" true', ["."]),
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
        ("ARG A=1 B=${A}-2\nFROM x:${B}", {}, "x:1-2"),
        ("ARG A=1\nARG B=${A}-2\nFROM x:${B}", {"A": "3"}, "x:3-2"),
        ("ARG A\nFROM nvidia/cuda${A:+-$A}:13", {}, "nvidia/cuda:13"),
        ("ARG A\nFROM nvidia/cuda${A:+-$A}:13", {"A": "arm"}, "nvidia/cuda-arm:13"),
        ("ARG A\nFROM ${A:-ubuntu:24.04}", {}, "ubuntu:24.04"),
        ('FROM "ubuntu:24.04"', {}, "ubuntu:24.04"),
        ("FROM ubuntu:24.04 AS Base\nFROM base", {}, "ubuntu:24.04"),
        ("FROM a AS one\nRUN <<EOF\nFROM b\nEOF", {}, "a"),
        ("FROM\ta\tas\tone\nFROM one", {}, "a"),
        ("FROM x-$TARGETARCH", {}, None),
        ("ARG A=$TARGETARCH\nFROM x-$A", {}, None),
        ("FROM a$TARGETARCH AS one\nFROM one", {}, None),
        ("FROM a\nARG B=x\nFROM $B", {}, None),
    ],
)
def test_what_an_image_stands_on(dockerfile, args, base):
    assert parsed.base_of(dockerfile, args) == base


@pytest.mark.parametrize(
    ("target", "base"),
    [(None, "c"), ("ONE", "a"), ("1", "b"), ("two", "b"), ("3", "c"), ("4", None)],
)
def test_a_stage_stands_on_its_own_base(target, base):
    text = "FROM a AS one\nFROM b as Two\nFROM c\nFROM c"
    assert parsed.base_of(text, {}, target) == base


def test_defaults_are_without_quotes():
    text = "ARG A='1 2' B=\"3\" C\nFROM x\nARG\tD=4"
    assert parsed.default_args(text) == {"A": "1 2", "B": "3", "D": "4"}


def test_declared_args():
    text = "ARG A\nFROM x\nARG B=1 C='2 3'\n# ARG D\narg E"
    assert parsed.declared_args(text) - parsed.PREDEFINED_ARGS == {"A", "B", "C", "E"}


@pytest.mark.parametrize(
    ("image", "without_default", "undeclared"),
    [
        ("x", set(), set()),
        ("$A", {"A"}, set()),
        ("${A}-$B", {"A"}, set()),
        ("${A:-x}$B", set(), set()),
        ("r/$C:$TARGETARCH", set(), {"C"}),
        ("ONE", {"A"}, set()),
    ],
)
def test_what_the_base_of_a_stage_is_made_of(image, without_default, undeclared):
    text = f"ARG A\nARG B=b\nARG B\nFROM $A AS one\nARG C=c\nFROM {image} AS Two\n"
    found = parsed.stages(text)
    assert [*found] == ["0", "one", "1", "two"]
    assert found["1"] is found["two"]
    assert found["two"] == parsed.Stage(frozenset(without_default), frozenset(undeclared))
