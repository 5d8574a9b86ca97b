import pytest

from imagekit.errors import ConfigError
from imagekit.project.requirement_files import Itself, RequirementFiles, logical_lines


@pytest.fixture
def lines(directory):
    """Read a requirements.txt: the reader and the problems."""

    def make(text, **files):
        made = directory(
            {"requirements.txt": text, **{k.replace("__", "/"): v for k, v in files.items()}}
        )
        reader = RequirementFiles(made)
        reader.read("requirements.txt")
        return reader, [f"{p.place.line}: {p.message}" for p in made.problems]

    return make


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("a\n\n# b\nc # d\n", [(1, 1, "a"), (4, 4, "c")]),
        ("a \\\n  --hash=x\r\nb", [(1, 2, "a   --hash=x"), (3, 3, "b")]),
        ("git+https://example.com/x#egg=y", [(1, 1, "git+https://example.com/x#egg=y")]),
        ("# a \\\nb", [(2, 2, "b")]),
        ("a\u2028b", [(1, 1, "a\u2028b")]),
    ],
)
def test_lines_of_a_requirement_file(text, lines):
    assert list(logical_lines(text)) == lines


def test_files_that_are_included_come_before_those_that_include_them(read):
    files = {
        "requirements.txt": "-r a/b.txt\n--requirement=c.txt\n-c https://example.com/c.txt\n",
        "a/b.txt": "-r ../c.txt\nx\n",
        "c.txt": "-r requirements.txt\ny\n",
    }
    assert read(files).files == ("c.txt", "a/b.txt", "requirements.txt")


@pytest.mark.parametrize(
    ("line", "itself"),
    [
        ("-e .[x, y]", Itself(editable=True, extras=("x", "y"))),
        ("-e.", Itself(editable=True, extras=())),
        (".", Itself(editable=False, extras=())),
        ("./", Itself(editable=False, extras=())),
        ("file:.", Itself(editable=False, extras=())),
        ("name @ file:.", Itself(editable=False, extras=())),
        ("--editable=. ; os_name == 'posix'", Itself(editable=True, extras=())),
    ],
)
def test_the_directory_itself_is_taken_out_and_waits_for_the_code(lines, line, itself):
    reader, problems = lines(f"six\n{line}\nrich\n")
    assert (reader.itself, problems) == ([itself], [])
    assert reader.edits == {"requirements.txt": ["2,2d"]}
    assert reader.names == {"six", "rich"}


def test_a_line_over_several_lines_is_taken_out_as_a_whole(lines):
    assert lines("-e \\\n  .\nsix\n")[0].edits == {"requirements.txt": ["1,2d"]}


def test_pip_takes_for_a_path_what_has_a_slash(lines):
    text = "libs/a\n./libs/b;os_name == 'posix'\n./libs/a[x]\nsix\nx @ file:./libs/c\n"
    made = {"libs__a__x": "", "libs__b__x": "", "libs__c__x": "", "six__x": ""}
    reader, problems = lines(text, **made)
    assert (reader.folders, problems) == ({"libs/a", "libs/b", "libs/c"}, [])


def test_wheels_and_folders_of_wheels_go_along(lines):
    text = "a.whl\n./w/b-1-py3-none-any.whl\n--find-links wheels\n-f https://example.com\nc\n"
    made = {"a.whl": "", "w__b-1-py3-none-any.whl": "", "wheels__x": ""}
    reader, _ = lines(text, **made)
    assert reader.files == ["a.whl", "w/b-1-py3-none-any.whl", "requirements.txt"]
    assert reader.folders == {"wheels"}


def test_a_repository_that_pip_freeze_calls_editable(lines):
    # uv installs only directories as editable.
    reader, problems = lines("-e git+https://example.com/x@1#egg=y\n")
    assert problems == []
    assert reader.edits == {"requirements.txt": [r"1s/^[ \t]*\(-e\|--editable\)[ \t=]*//"]}
    assert reader.names == {"y"}


@pytest.mark.parametrize(
    ("url", "names"),
    [
        ("git+https://example.com/x#egg=torch", {"torch"}),
        ("git+https://example.com/x#subdirectory=a&egg=torch[x]", {"torch"}),
        ("torch @ git+https://example.com/x", {"torch"}),
        ("git+https://example.com/egg=x", set()),
    ],
)
def test_the_name_of_a_repository(lines, url, names):
    assert lines(f"{url}\n")[0].names == names


def test_options_that_uv_takes_only_on_its_command_line(lines):
    reader, problems = lines(
        "--pre\n--trusted-host example.com\n--pre\n--prefer-binary\n-i https://e\n"
    )
    assert (reader.options, problems) == (["--pre", "--trusted-host", "example.com"], [])
    assert reader.directory.notes == ["requirements.txt:4: --prefer-binary has no effect with uv"]
    assert reader.indexes == ["https://e"]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("numpy=1.26.0=py311h5f9d8c6_0", "1: 'numpy=1.26.0=py311h5f9d8c6_0' is not a valid requ"),
        ("six\nname!", "2: 'name!' is not a valid requirement"),
        ("c @ file:///croot/c", "1: file:///croot/c is outside the directory; copy it into"),
        ("/etc", "1: /etc is outside the directory"),
        ("./no", "1: ./no: no such file or directory"),
        ("-r ../x.txt", "1: ../x.txt is outside the directory"),
        ("-r a folder/b.txt", "1: a: no such file"),
        ("-c 'a", "1: 'a: not a valid file name"),
        ("-r ''", "1: : no such file"),
        ("six --global-option=x", "1: uv has no --global-option=x for a single requirement"),
        ("--process-dependency-links", "1: --process-dependency-links is not an option"),
        ("hg+https://example.com/x", "1: hg+https://example.com/x: uv installs from git+https"),
        ("git+git://example.com/x", "1: git+git://example.com/x: uv installs from git+https"),
        ("-i https://me:secret@example.com/simple", "1: the URL contains credentials"),
        ("git+https://token@example.com/x", "1: the URL contains credentials"),
        ("-r https://me:secret@example.com/r.txt", "1: the URL contains credentials"),
    ],
)
def test_what_cannot_be_installed_is_reported_with_its_line(lines, text, problem):
    problems = lines(text)[1]
    assert len(problems) == 1
    assert problems[0].startswith(problem)


def test_addresses_without_a_secret(lines):
    reader, problems = lines(
        "x @ git+ssh://git@example.com/x\n-i https://${TOKEN}@example.com/s\n"
        "y @ https://example.com/@z\nh @ file:${PROJECT_ROOT}/libs\n",
        libs__x="",
    )
    assert (problems, reader.variables, reader.folders) == ([], {"TOKEN"}, {"libs"})


HASH = "--hash=sha256:00"


def test_hashes_are_for_all_or_none(read):
    with pytest.raises(ConfigError, match=r"requirements.txt:2:1: 'b' has no hash, but others"):
        read({"requirements.txt": f"a==1 {HASH}\nb\n"})
    with pytest.raises(ConfigError, match=r"requirements.txt:1:1: 'a' has no hash, but others"):
        read({"requirements.txt": "a\n-r b.txt\n", "b.txt": f"b==1 {HASH}\n"})
    with_constraint = {"requirements.txt": f"a==1 {HASH}\n-c c.txt\n", "c.txt": "a<2\n"}
    (step,) = read(with_constraint).before
    assert "--require-hashes" in step.commands[0]


def test_a_requirement_file_that_is_a_link_inside_is_copied_as_it_is_called(read, tmp_path):
    (tmp_path / "requirements.txt").symlink_to("real.txt")
    found = read({"real.txt": "-r more.txt\n", "more.txt": "six\n"})
    assert found.files == ("more.txt", "requirements.txt")


def test_a_requirement_file_that_is_a_link_out_of_the_directory(read, tmp_path):
    outside = tmp_path.parent / "outside.txt"
    outside.write_text("six")
    (tmp_path / "requirements.txt").symlink_to(outside)
    with pytest.raises(ConfigError, match=r"requirements.txt links outside the directory"):
        read({})


@pytest.mark.parametrize("target", ["nowhere", "requirements.txt"])
def test_a_link_that_leads_nowhere(read, tmp_path, target):
    (tmp_path / "requirements.txt").symlink_to(target)
    with pytest.raises(ConfigError, match=r"requirements.txt is a broken link"):
        read({})


def test_utf16_with_a_mark_is_read_as_pip_and_uv_do(read, tmp_path):
    (tmp_path / "requirements.txt").write_bytes("requests==2.31.0\r\n".encode("utf-16"))
    assert read({}).names == ("requests",)


@pytest.mark.parametrize("name", ["apt.txt", "setup.py", "requirements.txt", "environment.yml"])
def test_a_file_that_is_no_text(read, tmp_path, name):
    (tmp_path / name).write_bytes(b"\xff")
    with pytest.raises(ConfigError, match=f"{name} is not valid UTF-8; save it as UTF-8"):
        read({})
