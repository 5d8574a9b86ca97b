import pytest

from imagekit.docker import patterns
from imagekit.errors import BuildFileError
from imagekit.project import dockerignore


@pytest.fixture
def folder(tmp_path):
    for name in (
        *(".git/config", ".venv/bin/python", "a/__pycache__/x.pyc", "a/code.py"),
        *(".env", "conf/server.pem", "nb/.ipynb_checkpoints/x.ipynb"),
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")
    return tmp_path


def test_what_an_ignore_file_lets_in(folder):
    assert dockerignore.missing("", folder) == [
        ".git",
        ".venv",
        ".env",
        "a/__pycache__",
        "conf/server.pem",
        "nb/.ipynb_checkpoints",
    ]
    assert dockerignore.missing(dockerignore.DEFAULT, folder) == []
    assert dockerignore.missing("*\n!a\n!.git", folder) == [".git", "a/__pycache__"]


def test_what_is_written_keeps_the_code(folder):
    ignore = patterns.ignore(dockerignore.DEFAULT)
    assert not ignore.leaves_out(("a", "code.py"))
    assert ignore.leaves_out(("deep", "down", ".netrc"))


def test_a_folder_of_data_is_not_sent(folder, monkeypatch):
    monkeypatch.setattr(dockerignore, "LARGEST", 10_000)
    (folder / "data").mkdir()
    (folder / "data" / "large").write_bytes(b"x" * 20_000)
    with pytest.raises(BuildFileError, match=r"most of it in data \(0.0 GB\)"):
        dockerignore.check(dockerignore.DEFAULT, folder)
    assert dockerignore.check(dockerignore.DEFAULT + "data\n", folder) < 10_000


def test_a_sparse_file_of_ten_gigabytes_is_reported(folder):
    with (folder / "model.bin").open("wb") as file:
        file.truncate(10_000_000_000)
    with pytest.raises(
        BuildFileError, match=r"the build context is 10.0 GB, .*model.bin \(10.0 GB\)"
    ):
        dockerignore.check(dockerignore.DEFAULT, folder)


def test_links_that_lead_out(folder, tmp_path_factory):
    outside = tmp_path_factory.mktemp("outside")
    (folder / "out").symlink_to(outside)
    (folder / "in").symlink_to(folder / "a")
    (folder / "gone").symlink_to("nowhere")
    (folder / ".venv" / "link").symlink_to(outside)
    assert dockerignore.external_links(dockerignore.DEFAULT, folder) == ["out"]


def test_what_is_copied_and_left_out():
    assert dockerignore.excluded("*.txt\nlibs\n", ["a.txt", "libs/a", "b.py"]) == [
        "a.txt",
        "libs/a",
    ]


def test_a_link_that_loops_leads_out(folder):
    (folder / "loop").symlink_to("loop")
    assert dockerignore.external_links("", folder) == ["loop"]
