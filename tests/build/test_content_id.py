import msgspec
import pytest

from imagekit.build import content_id
from imagekit.document.steps import BUILDER, Step


def step(*more, tag="r:a"):
    return Step(id=tag, builder=BUILDER, args=("build", "-t", tag, "-f", "Dockerfile", *more, "."))


@pytest.fixture
def context(tmp_path):
    (tmp_path / "Dockerfile").write_text("FROM x\nCOPY src /src\n")
    (tmp_path / "src").mkdir()
    (tmp_path / "src/a.txt").write_text("a")
    (tmp_path / "other.txt").write_text("other")
    return tmp_path


def identity(context, *more, parents=None, **options):
    files = content_id.Files(context)
    return content_id.content_id(step(*more, **options), files, parents or {})


def test_the_same_content_has_the_same_id_under_any_tag_and_label(context):
    first = identity(context)
    assert len(first) == 64
    assert identity(context, tag="r:b") == first
    assert identity(context, "--label", "a=b", "--tag=c") == first


@pytest.mark.parametrize(
    "change",
    [
        lambda c: (c / "Dockerfile").write_text("FROM x\nCOPY src /src\nRUN true\n"),
        lambda c: (c / "src/a.txt").write_text("b"),
        lambda c: (c / "src/b.txt").write_text(""),
        lambda c: (c / "src/a.txt").chmod(0o755),
        lambda c: (c / "src/a.txt").rename(c / "src/c.txt"),
        lambda c: (c / "src/link").symlink_to("a.txt"),
    ],
)
def test_a_change_of_what_goes_in_changes_the_id(context, change):
    before = identity(context)
    change(context)
    assert identity(context) != before


def test_a_file_that_is_not_copied_does_not_count(context):
    before = identity(context)
    (context / "other.txt").write_text("changed")
    assert identity(context) == before


def test_files_of_a_dockerfile_are_read_once_for_each_context(context):
    (context / "sub/src").mkdir(parents=True)
    (context / "sub/src/b.txt").write_text("b")
    files = content_id.Files(context)
    below = msgspec.structs.replace(step(), args=(*step().args[:-1], "sub"))
    assert files.of(step()).keys() == {"Dockerfile", "src/a.txt"}
    assert files.of(below).keys() == {"Dockerfile", "sub/src/b.txt"}
    (context / "src/c.txt").write_text("later")
    assert files.of(step(tag="r:b")).keys() == {"Dockerfile", "src/a.txt"}


def test_what_is_ignored_does_not_count(context):
    (context / "Dockerfile").write_text("FROM x\nCOPY . /\n")
    (context / ".dockerignore").write_text(".venv\n")
    before = identity(context)
    for folder in (".git", ".venv"):
        (context / folder).mkdir()
        (context / folder / "file").write_text("")
    assert identity(context) == before
    (context / ".dockerignore").write_text("")
    assert identity(context) != before


@pytest.mark.parametrize("copy", ["[!a]x /", '["src" "/b"]', "a**b /", "[z-a] /"])
def test_an_odd_pattern_is_no_obstacle(copy, context):
    (context / "Dockerfile").write_text(f"FROM x\nCOPY {copy}\n")
    assert identity(context)


def test_a_step_in_cloud_build_s_workspace_is_the_same(context):
    def at(folder):
        moved = msgspec.structs.replace(step(), dir=folder)
        return content_id.content_id(moved, content_id.Files(context), {})

    assert at("/workspace") == identity(context)
    assert at("/elsewhere") is None


def test_build_args_and_the_parent_s_content_count(context):
    base = ("--build-arg", "BASE_IMAGE=r:base")
    assert identity(context, "--build-arg", "A=1") != identity(context, "--build-arg", "A=2")
    assert identity(context, *base, parents={"r:base": "1"}) != identity(
        context, *base, parents={"r:base": "2"}
    )
    assert identity(context, *base, parents={"r:other": "1"}) == identity(context, *base)


def test_without_a_dockerfile_there_is_no_id(context):
    (context / "Dockerfile").unlink()
    assert identity(context) is None


@pytest.mark.parametrize("source", ["src/*.txt", "src/", "./src/a.txt", "."])
def test_globs_and_folders_are_followed(context, source):
    (context / "Dockerfile").write_text(f"FROM x\nCOPY {source} /src/\n")
    before = identity(context)
    (context / "src/a.txt").write_text("changed")
    assert identity(context) != before
