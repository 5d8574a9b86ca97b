import fcntl
import os
import subprocess
import sys

import pytest

from imagekit.support import files
from imagekit.support.checkout import Folder
from imagekit.support.files import read_bytes, sha256, tail


def test_a_file_that_is_not_there_has_no_hash(tmp_path):
    assert sha256(tmp_path / "absent") is None


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="not a regular file"):
        read_bytes(tmp_path / "pipe")
    assert sha256(tmp_path / "pipe") is None
    assert Folder(tmp_path).read("pipe") is None
    assert tail(tmp_path / "pipe", 1) == []


@pytest.mark.parametrize("path", ["/dev/zero", "/dev/null"])
def test_a_device_is_not_read(path):
    with pytest.raises(OSError, match="not a regular file"):
        read_bytes(path)


@pytest.mark.parametrize("path", ["a\0b", "a\ud800", "x" * 5000])
def test_a_path_that_no_file_can_have_is_an_os_error(path):
    with pytest.raises(OSError) as raised:  # noqa: PT011 - the reason differs
        read_bytes(path)
    assert raised.value.strerror
    assert Folder(files.pathlib.Path()).read(path) is None
    assert [*Folder(files.pathlib.Path()).entries(path)] == []


def test_a_file_over_its_limit_is_not_read(tmp_path):
    (tmp_path / "file").write_bytes(b"x" * 11)
    with pytest.raises(OSError, match="larger than"):
        read_bytes(tmp_path / "file", 10)
    assert len(read_bytes(tmp_path / "file", 11)) == 11


def test_a_folder_is_no_file(tmp_path):
    with pytest.raises(IsADirectoryError):
        read_bytes(tmp_path)


@pytest.mark.edge
def test_a_pipe_of_the_shell_is_read():
    code = "from imagekit.support.files import read_bytes; print(read_bytes('/dev/stdin'))"
    done = subprocess.run(
        [sys.executable, "-c", code], input="text", text=True, capture_output=True, check=True
    )
    assert done.stdout == "b'text'\n"


@pytest.mark.edge
def test_a_pipe_of_the_shell_is_written_to():
    code = (
        "import pathlib; from imagekit.support.files import replace_file\n"
        "replace_file(pathlib.Path('/dev/stdout'), b'text')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert done.stdout == b"text"


def test_a_link_out_of_a_folder_is_not_followed(tmp_path):
    (tmp_path / "secret").write_text("s")
    root = tmp_path / "root"
    root.mkdir()
    (root / "file").write_text("f")
    for name, place in (("out", "../secret"), ("within", "file"), ("above", ".."), ("gone", "x")):
        (root / name).symlink_to(place)
    tree = Folder(root)
    assert tree.read("within") == b"f"
    assert tree.read("out") is tree.read("gone") is tree.read("above/secret") is None
    assert [*tree.entries("above")] == []
    assert {name for name, _ in tree.entries(".")} == {"file", "out", "within", "above", "gone"}


def test_the_end_of_a_large_file_is_read_and_not_the_file(tmp_path):
    file = tmp_path / "log"
    with file.open("wb") as log:
        log.truncate(1_000_000_000)
        log.seek(0, os.SEEK_END)
        log.write(b"\nthe last but one\nthe last\n")
    assert tail(file, 2) == ["the last but one", "the last"]
    file.write_text("one\ntwo")
    assert tail(file, 5) == ["one", "two"]
    assert tail(tmp_path / "absent", 5) == []


def test_a_link_is_replaced_where_a_file_is_created(tmp_path):
    (tmp_path / "victim").write_text("mine")
    (tmp_path / "log").symlink_to("victim")
    with files.create(tmp_path / "log") as log:
        log.write(b"text")
    with files.append(tmp_path / "log") as log:
        log.write(b" and more")
    assert (tmp_path / "log").read_text() == "text and more"
    (tmp_path / "report").symlink_to("victim")
    files.replace_file(tmp_path / "report", b"r", follow=False)
    assert not (tmp_path / "report").is_symlink()
    (tmp_path / "more").symlink_to("victim")
    with pytest.raises(OSError, match="symbolic link"):
        files.append(tmp_path / "more")
    assert (tmp_path / "victim").read_text() == "mine"


def test_what_a_killed_writer_left_is_removed_and_what_another_writes_is_not(tmp_path):
    left, busy, other = (tmp_path / f".{name}.0123abcd.tmp" for name in ("left", "busy", "x"))
    left.touch()
    other.mkdir()
    with busy.open("w") as writer:
        fcntl.flock(writer, fcntl.LOCK_EX)
        files.replace_file(tmp_path / "file", b"")
        assert not left.exists()
        assert busy.exists()
        assert other.exists()


def test_a_temporary_file_that_was_taken_away_before_its_lock_is_made_again(tmp_path, monkeypatch):
    flock, taken = fcntl.flock, []

    def late(number, operation):
        if not taken:
            (path,) = tmp_path.glob(".*.tmp")
            path.unlink()
            taken.append(path)
        flock(number, operation)

    monkeypatch.setattr(fcntl, "flock", late)
    files.replace_file(tmp_path / "file", b"text")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert (tmp_path / "file").read_bytes() == b"text"


@pytest.mark.edge
def test_a_locked_folder_is_waited_for(tmp_path):
    code = (
        "import pathlib, sys; from imagekit.support.files import locked\n"
        "with locked(pathlib.Path(sys.argv[1])): print('in', flush=True)"
    )
    with files.locked(tmp_path):
        other = subprocess.Popen([sys.executable, "-c", code, tmp_path], stdout=subprocess.PIPE)
        with pytest.raises(subprocess.TimeoutExpired):
            other.wait(1)
    assert other.communicate(timeout=30)[0] == b"in\n"
    with files.locked(tmp_path / "absent"):
        pass
