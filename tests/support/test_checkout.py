import os
import subprocess

import pytest

from imagekit.compare.files import with_files
from imagekit.compare.inventory import ImageSpec, Inventory
from imagekit.docker.context import made_of
from imagekit.support.checkout import Folder, Revision

pytestmark = pytest.mark.edge

DOCKERFILE = """\
FROM x
COPY src /src
COPY *.txt one?.cfg [ab].md /
RUN --mount=type=bind,source=bound true
COPY --from=other nothing /
"""
FILES = {
    "src/deep/a.txt": "a",
    "src/b": "b",
    "bound": "bound",
    "c.txt": "c",
    "one1.cfg": "",
    "a.md": "",
    "z.md": "not copied",
    "other/c.txt": "not copied",
    "docker/Dockerfile": DOCKERFILE,
}


@pytest.fixture
def checkout(tmp_path):
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (tmp_path / "src/run").write_text("#!")
    (tmp_path / "src/run").chmod(0o755)
    (tmp_path / "src/link").symlink_to("b")
    git(tmp_path, "init", "-q")
    commit(tmp_path)
    return tmp_path


def git(folder, *args):
    subprocess.run(["git", "-C", folder, *args], check=True)


def commit(folder):
    git(folder, "add", "-A")
    identity = ("-c", "user.name=n", "-c", "user.email=e@example.com")
    git(folder, *identity, "commit", "-qm", "m", "--allow-empty")


def test_a_folder_and_a_revision_of_it_say_the_same(checkout):
    found = made_of(Folder(checkout), "docker/Dockerfile", ".")
    assert found == made_of(Revision(checkout, "HEAD"), "docker/Dockerfile", ".")
    copied = {"src/deep/a.txt", "src/b", "src/run", "src/link", "bound", "c.txt", "one1.cfg"}
    assert found.keys() == {*copied, "a.md", "docker/Dockerfile"}
    assert found["src/link"] == "link to b"
    assert found["src/run"].startswith("x")


def test_a_whole_context(checkout):
    (checkout / "docker/Dockerfile").write_text("FROM x\nCOPY . /\n")
    commit(checkout)
    found = made_of(Revision(checkout, "HEAD"), "docker/Dockerfile", "src")
    assert found == made_of(Folder(checkout), "docker/Dockerfile", "src")
    assert "src/deep/a.txt" in found
    assert "c.txt" not in found


def test_a_revision_is_as_it_was(checkout):
    (checkout / "src/b").write_text("changed")
    (checkout / "c.txt").unlink()
    commit(checkout)
    before = made_of(Revision(checkout, "HEAD~1"), "docker/Dockerfile", ".")
    after = made_of(Revision(checkout, "HEAD"), "docker/Dockerfile", ".")
    assert before.keys() - after.keys() == {"c.txt"}
    assert {name for name in after if before[name] != after[name]} == {"src/b"}


def both(checkout, dockerfile="docker/Dockerfile", context="."):
    """What an image is made of, as the folder and the revision both say."""
    git(checkout, "init", "-q")
    commit(checkout)
    found = made_of(Folder(checkout), dockerfile, context)
    assert made_of(Revision(checkout, "HEAD"), dockerfile, context) == found
    return found.keys()


def put(checkout, **files):
    for name, text in files.items():
        path = checkout / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


@pytest.fixture
def copying(tmp_path):
    put(
        tmp_path,
        **{"docker/Dockerfile": "FROM x\nCOPY . /\n", ".venv/deep/x": "", ".venv/keep": ""},
    )
    put(tmp_path, **{"runs/a.json": "", "src/a.py": "", "src/a.md": "", ".config/b": ""})
    return tmp_path


ALL = {
    "docker/Dockerfile",
    ".venv/deep/x",
    ".venv/keep",
    "runs/a.json",
    "src/a.py",
    "src/a.md",
    ".config/b",
}


def test_git_s_own_files_are_never_copied(copying):
    assert both(copying) == ALL


def test_what_a_dockerignore_leaves_out_is_not_copied(copying):
    rules = "# none of these\n.venv\n!.venv/keep\nruns\n**/*.md\n.dockerignore\n"
    put(copying, **{".dockerignore": rules})
    assert both(copying) == ALL - {".venv/deep/x", "runs/a.json", "src/a.md"}


def test_the_dockerfile_counts_though_it_is_left_out(copying):
    put(copying, **{".dockerignore": "*\n!src"})
    assert both(copying) == {"docker/Dockerfile", "src/a.py", "src/a.md"}


def test_a_dockerfile_s_own_rules_take_precedence(copying):
    put(copying, **{".dockerignore": "src", "docker/Dockerfile.dockerignore": "runs"})
    assert both(copying) == ALL - {"runs/a.json"} | {
        ".dockerignore",
        "docker/Dockerfile.dockerignore",
    }
    put(copying, **{"docker/Dockerfile.dockerignore": ""})
    assert "src/a.py" in both(copying)


def test_the_rules_are_those_of_the_context(copying):
    put(copying, **{".dockerignore": "*", "src/.dockerignore": "a.md"})
    assert both(copying, context="src") == {"docker/Dockerfile", "src/a.py", "src/.dockerignore"}


def test_what_is_left_out_as_a_whole_is_not_looked_into(copying, monkeypatch):
    put(copying, **{".dockerignore": ".venv"})
    (copying / ".git").mkdir()
    scandir, seen = os.scandir, []
    monkeypatch.setattr(os, "scandir", lambda path: seen.append(str(path)) or scandir(path))
    assert "src/a.py" in made_of(Folder(copying), "docker/Dockerfile", ".")
    assert [path for path in seen if ".venv" in path or ".git" in path] == []


def test_only_what_leads_to_the_sources_is_looked_into(copying, monkeypatch):
    put(copying, **{"docker/Dockerfile": "FROM x\nCOPY src/a.* /\n"})
    scandir, seen = os.scandir, []

    def look(path):
        seen.append(os.path.relpath(path, copying))
        return scandir(path)

    # pytest itself looks into the folder afterwards.
    with monkeypatch.context() as patched:
        patched.setattr(os, "scandir", look)
        found = made_of(Folder(copying), "docker/Dockerfile", ".")
    assert found.keys() == {"docker/Dockerfile", "src/a.py", "src/a.md"}
    assert seen == [".", "src"]


def test_a_mount_and_a_hidden_folder(copying):
    put(
        copying,
        **{"docker/Dockerfile": "FROM x\nRUN --mount=type=bind,source=.config,target=/c true\n"},
    )
    assert both(copying) == {"docker/Dockerfile", ".config/b"}


@pytest.mark.parametrize(
    ("copy", "copied"),
    [
        ("COPY [!a]x.txt /", {"ax.txt", "!x.txt"}),
        ('COPY ["a" "/b"]', set()),
        ("COPY a**t /", {"ax.txt"}),
        ("COPY [z-a] [ /", set()),
        ("COPY gone /", set()),
    ],
)
def test_patterns_of_docker_and_what_is_none(copy, copied, tmp_path):
    put(tmp_path, **{"ax.txt": "", "bx.txt": "", "!x.txt": "", "Dockerfile": f"FROM x\n{copy}\n"})
    assert both(tmp_path, "Dockerfile") == {"Dockerfile", *copied}


@pytest.mark.parametrize("name", ["Dockerfile[1]", "Dockerfile*", "Dockerfile?"])
def test_a_dockerfile_s_name_is_no_glob(name, tmp_path):
    put(tmp_path, **{name: "FROM x\n", "Dockerfile1": "FROM y\n"})
    assert both(tmp_path, name) == {name}


def test_a_path_in_cloud_build_s_workspace_is_one_below_the_root(checkout):
    expected = both(checkout)
    assert both(checkout, "/workspace/docker/Dockerfile", "/workspace") == expected
    assert (
        both(checkout, "/workspace/./docker/../docker/Dockerfile", "/workspace/src/..") == expected
    )


@pytest.mark.parametrize(
    ("dockerfile", "context"),
    [
        ("/etc/hosts", "."),
        ("../Dockerfile", "."),
        ("/workspace/../etc/hosts", "."),
        ("/workspaces/docker/Dockerfile", "."),
        ("docker/Dockerfile", "/etc"),
        ("docker/Dockerfile", ".."),
        ("docker/Docker\0file", "."),
    ],
)
def test_what_lies_outside_is_not_known(dockerfile, context, checkout):
    assert both(checkout, dockerfile, context) == set()


def test_tests_are_files_by_whatever_path(checkout):
    tests = ("/workspace/bound", "c.txt", "/etc/hosts", "*.md", "gone", "../c.txt")
    made = ImageSpec(dockerfile="docker/Dockerfile", test=tests)
    for tree in (Folder(checkout), Revision(checkout, "HEAD")):
        found = with_files(Inventory(images={"a": made}), tree)
        assert set(tests) & found.files.keys() == {"/workspace/bound", "c.txt"}
        assert found.files["/workspace/bound"] == found.files["bound"]


def test_what_is_staged_has_neither_files_in_conflict_nor_submodules(checkout):
    def asked(*args, text=""):
        command = ["git", "-C", checkout, *args]
        return subprocess.run(
            command, check=True, input=text, capture_output=True, text=True
        ).stdout

    (checkout / "c.txt").write_text("staged")
    git(checkout, "add", "-A")
    (checkout / "c.txt").write_text("not staged")
    file, revision = (asked("rev-parse", name).strip() for name in (":c.txt", "HEAD"))
    lines = [f"100644 {file} {number}\tconflict\n" for number in (1, 2, 3)]
    lines += [f"160000 {revision} 0\tmodule\n", f"100755 {file} 0\tprogram\n"]
    asked("update-index", "--index-info", text="".join(lines))
    staged = Revision(checkout, "")
    assert staged.read("c.txt") == staged.read("program") == b"staged"
    assert (staged.hash("c.txt")[0], staged.hash("program")[0]) == ("-", "x")
    assert staged.read("conflict") is staged.read("module") is None
    assert {name for name, _ in staged.entries(".")}.isdisjoint({"conflict", "module"})


def test_a_link_is_followed_on_the_way_and_a_pipe_is_left_out(checkout):
    (checkout / "way").symlink_to("src")
    put(checkout, **{"docker/Dockerfile": "FROM x\nCOPY way/b pipes /\n"})
    (checkout / "pipes").mkdir()
    os.mkfifo(checkout / "pipes/fifo")
    found = made_of(Folder(checkout), "docker/Dockerfile", ".")
    assert found.keys() == {"docker/Dockerfile", "way/b"}


def test_a_linked_dockerfile_is_what_it_says(checkout):
    (checkout / "linked").symlink_to("docker/Dockerfile")
    put(checkout, **{"docker/Dockerfile": "FROM x\nCOPY linked /\n"})
    before = made_of(Folder(checkout), "linked", ".")
    put(checkout, **{"docker/Dockerfile": "FROM y\nCOPY linked src /\n"})
    after = made_of(Folder(checkout), "linked", ".")
    assert before.keys() == {"linked"}
    assert before["linked"] != after["linked"]
    # A reader is told of the Dockerfile first.
    assert next(iter(after)) == "linked"


def test_without_a_dockerfile_nothing_is_known(checkout):
    for tree in (Folder(checkout), Revision(checkout, "HEAD"), Revision(checkout, "nonsense")):
        assert made_of(tree, "missing", ".") == {}
