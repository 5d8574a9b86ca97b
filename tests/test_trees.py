import subprocess

import pytest

from imagekit.trees import Folder, Revision, made_of

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
    git(folder, *identity, "commit", "-qm", "m")


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


def test_without_a_dockerfile_nothing_is_known(checkout):
    for tree in (Folder(checkout), Revision(checkout, "HEAD"), Revision(checkout, "nonsense")):
        assert made_of(tree, "missing", ".") == {}
