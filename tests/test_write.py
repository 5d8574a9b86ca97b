import contextlib
import hashlib
import itertools
import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest

from imagekit import api
from imagekit.errors import DriftError, UsageError

STEP = '{"name": "gcr.io/cloud-builders/docker", "id": "r:a", "args": ["build", "-t", "r:a", "."]}'
BUILD = f'{{"steps": [{STEP}], "timeout": "60s"}}\n'
OTHER = BUILD.replace("60s", "90s")


@pytest.fixture
def file(tmp_path):
    return tmp_path / "cloudbuild.json"


def test_a_new_file_is_written(file):
    changes = api.write(BUILD, file)
    assert file.read_text() == BUILD
    assert changes.added == ("a",)


def test_an_equal_file_is_left_alone(file):
    api.write(BUILD, file)
    before = file.stat()
    assert not api.write(BUILD, file)
    assert (file.stat().st_ino, file.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_check_passes_on_an_equal_file(file):
    file.write_text(BUILD)
    assert not api.write(BUILD, file, check=True)


@pytest.mark.parametrize("before", [OTHER, "", "no JSON", None])
def test_check_refuses_what_is_out_of_date_and_writes_nothing(file, before):
    if before is not None:
        file.write_text(before)
    with pytest.raises(DriftError, match=r"is out of date|does not exist"):
        api.write(BUILD, file, check=True)
    assert (file.read_text() if file.exists() else None) == before


def test_what_is_no_utf8_is_replaced(file):
    file.write_bytes(b"\xff\xfe")
    assert "the old file was not a Cloud Build file" in api.write(BUILD, file).summary()
    assert file.read_text() == BUILD


def test_the_mode_is_kept(file):
    file.write_text(OTHER)
    file.chmod(0o640)
    api.write(BUILD, file)
    assert file.stat().st_mode & 0o777 == 0o640


def test_a_new_file_has_the_mode_that_the_umask_gives(file):
    before = os.umask(0o027)
    try:
        api.write(BUILD, file)
    finally:
        os.umask(before)
    assert file.stat().st_mode & 0o777 == 0o640


def test_a_link_stays_a_link(tmp_path, file):
    real = tmp_path / "real.json"
    real.write_text(OTHER)
    file.symlink_to(real)
    api.write(BUILD, file)
    assert file.is_symlink()
    assert real.read_text() == BUILD


def test_a_missing_folder_is_said(tmp_path):
    with pytest.raises(UsageError, match=r"nowhere/x.json: cannot be written: No such file"):
        api.write(BUILD, tmp_path / "nowhere/x.json")


def test_a_folder_in_place_of_the_file_is_said(tmp_path):
    with pytest.raises(UsageError, match="cannot be written: it is a folder"):
        api.write(BUILD, tmp_path)


def test_a_failure_leaves_the_old_file_and_nothing_else(file, monkeypatch):
    file.write_text(OTHER)

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UsageError, match="No space left on device"):
        api.write(BUILD, file)
    assert file.read_text() == OTHER
    assert list(file.parent.iterdir()) == [file]


@pytest.mark.edge
def test_a_writer_that_is_killed_leaves_a_whole_file(file):
    # Large enough that the killing strikes in the middle of writing.
    program = (
        "import pathlib, sys; from imagekit.support.files import replace_file\n"
        "while True:\n"
        "    for letter in b'ab':\n"
        "        replace_file(pathlib.Path(sys.argv[1]), bytes([letter]) * 3_000_000)\n"
    )
    for round_ in range(8):
        writer = subprocess.Popen([sys.executable, "-c", program, str(file)])
        while not file.exists():
            assert writer.poll() is None, "the writer ended by itself"
            time.sleep(0.01)
        time.sleep(0.05 + 0.013 * round_)
        writer.send_signal(signal.SIGKILL)
        writer.wait()
        data = file.read_bytes()
        assert data in (b"a" * 3_000_000, b"b" * 3_000_000)


def test_paths_may_be_relative(file, monkeypatch):
    monkeypatch.chdir(file.parent)
    api.write(BUILD, pathlib.Path(file.name))
    assert file.read_text() == BUILD


@pytest.mark.parametrize("device", ["/dev/null", "/dev/full"])
def test_a_device_stays_a_device(device, tmp_path):
    link = tmp_path / "link"
    link.symlink_to(device)
    with contextlib.suppress(UsageError):
        api.write(BUILD, link)
    assert pathlib.Path(device).is_char_device()


def test_a_pipe_is_written_to(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        assert api.write(BUILD, pipe).added == ("a",)
        assert os.read(reader, 10_000).decode() == BUILD
    finally:
        os.close(reader)


# ---- several files


def a_set(*numbers):
    """A set of build files as `imagekit.files` gives it, each with an image of its own."""
    names = [f"cloudbuild-{number:02}.json" for number in numbers]
    texts = {name: BUILD.replace("r:a", f"r:{name[11:13]}") for name in names}
    entries = [
        {"file": name, "sha256": hashlib.sha256(text.encode()).hexdigest()}
        for name, text in texts.items()
    ]
    return texts | {"cloudbuild-manifest.json": manifest(*entries)}


def manifest(*entries):
    return json.dumps({"repository": "r", "critical_path": 1, "files": entries})


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_set_takes_the_place_of_a_file_and_back(here):
    api.write(BUILD, "cloudbuild.json")
    changes = api.write(a_set(1, 2), "cloudbuild.json")
    assert names(here) == ["cloudbuild-01.json", "cloudbuild-02.json", "cloudbuild-manifest.json"]
    assert [str(d) for d in changes.whole] == ["build files 1 → 2", "cloudbuild.json removed"]
    assert not api.write(a_set(1, 2), "cloudbuild.json", check=True)
    api.write(BUILD, "cloudbuild.json")
    assert names(here) == ["cloudbuild.json"]


def test_a_smaller_set_leaves_nothing_of_a_larger_one(here):
    api.write(a_set(1, 2, 3), "cloudbuild.json")
    changes = api.write(a_set(1, 2), "cloudbuild.json")
    assert changes.removed == ("03",)
    assert "cloudbuild-03.json" not in names(here)


@pytest.mark.parametrize("new", [a_set(1), BUILD])
def test_a_file_of_an_earlier_set_that_was_changed_by_hand_is_kept(here, new):
    api.write(a_set(1, 2, 3), "cloudbuild.json")
    (here / "cloudbuild-02.json").write_text(OTHER)
    changes = api.write(new, "cloudbuild.json")
    assert "cloudbuild-02.json is not part of the set; remove it" in map(str, changes.whole)
    assert (here / "cloudbuild-02.json").read_text() == OTHER
    assert "cloudbuild-03.json" not in names(here)


@pytest.mark.parametrize("old", [a_set(1, 2, 3), BUILD, {}])
@pytest.mark.parametrize("new", [a_set(1, 2), BUILD.replace("r:a", "r:b")])
def test_a_writer_that_stops_at_any_step_can_start_again(here, monkeypatch, old, new):
    """Whatever it leaves is noticed, and writing again gives the new state."""
    left = [0]

    def stopping(action):
        def act(*args, **options):
            left[0] -= 1
            if left[0] == 0:
                raise KeyboardInterrupt
            return action(*args, **options)

        return act

    monkeypatch.setattr(pathlib.Path, "unlink", stopping(pathlib.Path.unlink))
    monkeypatch.setattr(pathlib.Path, "replace", stopping(pathlib.Path.replace))
    for stop in range(1, 16):
        left[0] = 0
        for path in here.iterdir():
            path.unlink()
        if old:
            api.write(old, "cloudbuild.json")
        left[0] = stop
        with contextlib.suppress(KeyboardInterrupt):
            api.write(new, "cloudbuild.json")
        left[0] = 0
        api.write(new, "cloudbuild.json")
        # What was left beside its file is removed once for each process.
        whole = {*new} if isinstance(new, dict) else {"cloudbuild.json"}
        assert {name for name in names(here) if not name.startswith(".")} == whole
        assert not api.write(new, "cloudbuild.json", check=True)


def test_a_full_disk_replaces_no_file_of_a_set(here, monkeypatch):
    api.write(a_set(1, 2), "cloudbuild.json")
    before = {name: (here / name).read_text() for name in names(here)}
    written = itertools.count()

    def full(_):
        if next(written) == 2:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    new = {name: text.replace("60s", "90s") for name, text in a_set(1, 2).items()}
    with pytest.raises(UsageError, match="No space left on device"):
        api.write(new | {"cloudbuild-manifest.json": manifest({"file": "x"})}, "cloudbuild.json")
    assert {name: (here / name).read_text() for name in names(here)} == before


def test_a_link_that_leads_out_of_the_project_is_not_written_to(tmp_path, monkeypatch):
    (tmp_path / "victim").write_text("mine")
    checkout = tmp_path / "checkout"
    (checkout / ".git").mkdir(parents=True)
    (checkout / "cloudbuild.json").symlink_to(tmp_path / "victim")
    monkeypatch.chdir(checkout)
    with pytest.raises(UsageError, match="a link that leads out of the project"):
        api.write(BUILD, "cloudbuild.json", replace=True)
    assert (tmp_path / "victim").read_text() == "mine"


def test_check_of_a_set(here):
    api.write(a_set(1, 2), "cloudbuild.json")
    (here / "cloudbuild-02.json").write_text(OTHER)
    with pytest.raises(DriftError, match="is out of date"):
        api.write(a_set(1, 2), "cloudbuild.json", check=True)
    api.write(a_set(1, 2), "cloudbuild.json")
    (here / "cloudbuild.json").write_text("by hand")
    with pytest.raises(DriftError, match=r"\n  ~ cloudbuild.json removed\n"):
        api.write(a_set(1, 2), "cloudbuild.json", check=True)
    edited = (here / "cloudbuild-manifest.json").read_text().replace(": 1", ": 2")
    (here / "cloudbuild-manifest.json").write_text(edited)
    with pytest.raises(DriftError, match=r"cloudbuild-manifest.json differs"):
        api.write(a_set(1, 2), "cloudbuild.json", check=True)


GENERATED = BUILD.replace('"args"', '"waitFor": ["-"], "args"')


@pytest.mark.parametrize("path", ["cloudbuild.json", "./cloudbuild.json", "sub/cloudbuild.json"])
def test_a_left_over_file_of_an_earlier_set_is_noticed_and_kept(here, path):
    (here / "sub").mkdir()
    folder = pathlib.Path(path).parent
    new = {
        str(folder / name) if path != "./cloudbuild.json" else f"./{name}": text
        for name, text in a_set(1, 2).items()
    }
    api.write(new, path)
    # Neither of them is in the manifest: the first was never removed from git, the others are not
    # imagekit's.
    (folder / "cloudbuild-03.json").write_text(GENERATED)
    (folder / "cloudbuild-04.json").write_text(BUILD)
    (folder / "cloudbuild-05.json").write_text("no JSON")
    (folder / "cloudbuild-x.json").write_text(GENERATED)
    with pytest.raises(DriftError, match=r"\n  ~ .*03.json is not part of the set; remove it\nG"):
        api.write(new, path, check=True)
    assert (folder / "cloudbuild-03.json").exists()
    changes = api.write(new, path)
    said = "cloudbuild-03.json is not part of the set; remove it"
    assert [str(d).rpartition("/")[2] for d in changes.whole] == [said]
    kept = {f"cloudbuild-{name}.json" for name in ("03", "04", "05", "x")}
    assert {*names(folder)} - {"sub"} == {*a_set(1, 2)} | kept
    (folder / "cloudbuild-03.json").unlink()
    assert not api.write(new, path, check=True)


def test_a_single_file_leaves_numbered_ones_alone(here):
    (here / "cloudbuild-01.json").write_text(GENERATED)
    api.write(BUILD, "cloudbuild.json")
    assert not api.write(BUILD, "cloudbuild.json", check=True)
    assert names(here) == ["cloudbuild-01.json", "cloudbuild.json"]


def test_a_file_of_the_set_that_is_gone_is_noticed(here):
    api.write(a_set(1, 2), "cloudbuild.json")
    (here / "cloudbuild-02.json").unlink()
    with pytest.raises(DriftError, match=r"1 added.*\n  \+ 02\n"):
        api.write(a_set(1, 2), "cloudbuild.json", check=True)
    (here / "cloudbuild-manifest.json").unlink()
    with pytest.raises(DriftError, match=r"manifest.json does not exist"):
        api.write(a_set(1, 2), "cloudbuild.json", check=True)
    api.write(a_set(1, 2), "cloudbuild.json")
    assert not api.write(a_set(1, 2), "cloudbuild.json", check=True)


def test_what_a_manifest_names_that_is_no_part_is_left_alone(here):
    (here / "README.md").write_text("mine")
    (here / "cloudbuild-manifest.json").write_text(manifest({"file": "README.md", "sha256": ""}))
    api.write(BUILD, "cloudbuild.json")
    assert names(here) == ["README.md", "cloudbuild.json"]


@pytest.mark.parametrize(
    "text",
    ['{"name": "my web app"}', '{"files": [{"file": "app-01.json"}]}', "no JSON", "[" * 9**5],
)
def test_what_is_called_like_a_manifest_and_is_none_of_ours_is_left_alone(here, text):
    (here / "app-manifest.json").write_text(text)
    api.write(BUILD, "app.json")
    assert (here / "app-manifest.json").read_text() == text
    assert not api.write(BUILD, "app.json", check=True)


def test_a_device_takes_no_set(here):
    with pytest.raises(UsageError, match="2 build files and their manifest need a folder"):
        api.write(
            {f"/dev/null-{n}.json": BUILD for n in (1, 2)} | {"/dev/null-manifest": ""}, "/dev/null"
        )


def test_a_set_goes_where_it_was_made_for(here):
    with pytest.raises(UsageError, match=r"these build files are for cloudbuild-01.json"):
        api.write(a_set(1, 2), "other.json")
    assert names(here) == []


def test_a_set_is_read_as_one_build(here):
    api.write(a_set(1, 2), "cloudbuild.json")
    steps = json.loads(api.read_build("cloudbuild-manifest.json"))["steps"]
    assert [step["id"] for step in steps] == ["r:01", "r:02"]
    (here / "one.json").write_text(BUILD)
    assert api.read_build("one.json") == BUILD
    (here / "cloudbuild-02.json").write_text(OTHER)
    with pytest.raises(UsageError, match=r"cloudbuild-02.json is not the file that"):
        api.read_build("cloudbuild-manifest.json")
