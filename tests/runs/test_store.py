import contextlib
import datetime
import os
import threading

import fsspec
import pytest
from fsspec.registry import known_implementations

from imagekit.errors import StoreError, UsageError
from imagekit.runs import history
from imagekit.runs.store import Store, existing
from tests.runs.conftest import record


@pytest.fixture
def bucket():
    """A store that is no folder, as a bucket is none."""
    fsspec.filesystem("memory").store.clear()
    yield Store("memory://bucket/runs")
    fsspec.filesystem("memory").store.clear()


def test_a_bucket_s_runs_are_read_like_a_folder_s(bucket, tmp_path):
    folder = Store(tmp_path / "runs")
    names = [record(store, number) for store in (bucket, folder) for number in (1, 2)]
    assert names[:2] == names[2:]
    for _ in "read", "indexed":
        assert history.read(bucket).entries == history.read(folder).entries
    assert bucket.path("x.json") == "memory://bucket/runs/x.json"


def test_a_bucket_that_holds_nothing_yet(bucket):
    assert history.read(bucket).entries == []


def test_what_is_read_is_what_was_written(bucket, tmp_path):
    for store in (bucket, Store(f"file://{tmp_path}/runs")):
        store.write("a.json", b"1")
        found = dict(store.read(["a.json", "missing.json"]))
        assert found["a.json"] == b"1"
        assert isinstance(found["missing.json"], OSError)
        assert [*store.files()] == ["a.json"]


def test_a_bracket_in_a_name_is_no_glob(bucket):
    for name in ("foo[1].ipynb", "foo1.ipynb", "what?.ipynb"):
        bucket.write(name, name.encode())
    names = [*bucket.files(), "gone[1].ipynb"]
    found = dict(bucket.read(names))
    assert isinstance(found.pop("gone[1].ipynb"), OSError)
    assert found == {name: name.encode() for name in bucket.files()}


def test_what_is_hidden_in_a_bucket_is_left_out(bucket):
    for name in ("a.json", ".b.json", ".ipynb_checkpoints/c.ipynb", "d/.e/f.ipynb"):
        bucket.write(name, b"")
    assert [*bucket.files()] == ["a.json"]


def test_a_bucket_is_asked_for_many_runs_at_once(bucket, monkeypatch):
    for number in range(40):
        record(bucket, number)
    cat, calls, read = bucket.system.cat, [], []
    monkeypatch.setattr(
        bucket.system, "cat", lambda paths, **more: calls.append(len(paths)) or cat(paths, **more)
    )

    def progress(names, _):
        for name in names:
            yield name
            read.append(sum(calls))

    assert len(history.read(bucket, progress).entries) == 40
    assert calls == [16, 16, 8]
    # Who watches sees it go on, and not jump at the end.
    assert read == [16] * 16 + [32] * 16 + [40] * 8


@pytest.mark.parametrize(
    ("about", "modified"),
    [
        ({"mtime": 0}, "1970-01-01T00:00:00+00:00"),
        ({"mtime": 1e300}, ""),
        (
            {"LastModified": datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC)},
            "2026-01-02T00:00:00+00:00",
        ),
        ({"updated": "2026-01-02T00:00:00.5Z"}, "2026-01-02T00:00:00.5Z"),
        ({"updated": None}, ""),
    ],
)
def test_each_kind_of_store_tells_the_time_of_a_file_in_its_own_way(
    about, modified, bucket, monkeypatch
):
    listed = {"/bucket/runs/a.json": {"size": 1} | about}
    monkeypatch.setattr(bucket.system, "find", lambda *_, **__: listed)
    assert bucket.files()["a.json"].modified == modified


def test_a_run_grows_elsewhere_where_files_are_written_whole(bucket, tmp_path):
    with bucket.local_folder() as place:
        assert place.is_dir()
    assert not place.exists()
    with Store(tmp_path).local_folder() as place:
        assert place == tmp_path


@pytest.mark.parametrize("address", ["nonsense://x", "gs://bucket/runs"])
def test_an_address_that_nothing_here_can_reach(address, monkeypatch):
    monkeypatch.setitem(known_implementations, "gs", {"class": "no.Such"})
    with pytest.raises(UsageError, match=f"^{address}: no run store can be reached"):
        Store(address)


def test_a_bucket_that_does_not_answer(bucket, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError("403: you may\nnot")

    monkeypatch.setattr(bucket.system, "find", refuse)
    with pytest.raises(StoreError, match="does not answer: 403: you may not") as raised:
        bucket.files()
    assert raised.value.exit_code == 7


def test_a_file_in_place_of_the_folder(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot create the run store"):
        Store(tmp_path / "file").write("a.json", b"")
    with pytest.raises(UsageError, match="cannot read the run store"):
        Store(tmp_path / "file").files()


def test_what_vanishes_while_a_folder_is_listed_takes_nothing_along(tmp_path, monkeypatch):
    store = Store(tmp_path)
    for name in ("a.json", "b.json", "c/d.json", ".e.json.0.tmp"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("{}")
    scandir = os.scandir

    @contextlib.contextmanager
    def losing(path):
        with scandir(path) as entries:
            found = list(entries)
        for name in ("a.json", ".e.json.0.tmp"):
            (tmp_path / name).unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            (tmp_path / "c/d.json").unlink()
            (tmp_path / "c").rmdir()
        yield found

    monkeypatch.setattr(os, "scandir", losing)
    assert [*store.files()] == ["b.json"]


def test_what_is_hidden_is_not_looked_into(tmp_path, monkeypatch):
    (tmp_path / "a/.git").mkdir(parents=True)
    scandir, seen = os.scandir, []
    monkeypatch.setattr(os, "scandir", lambda path: seen.append(path) or scandir(path))
    assert Store(tmp_path).files() == {}
    assert [os.path.relpath(path, tmp_path) for path in seen] == [".", "a"]


def test_a_store_that_is_named_is_there(tmp_path, bucket):
    assert existing(str(tmp_path)).folder == tmp_path
    assert existing(bucket.address).folder is None
    with pytest.raises(UsageError, match="x: folder not found; name a folder of runs"):
        existing(str(tmp_path / "x"))


def test_paths_are_short_below_the_working_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert Store("runs").path("a.json") == "runs/a.json"
    assert Store(tmp_path.parent).path("a.json") == str(tmp_path.parent / "a.json")


def test_many_machines_write_at_once_and_nothing_is_lost(tmp_path):
    store = Store(tmp_path / "runs")
    writers = [threading.Thread(target=record, args=(store, n)) for n in range(50)]
    for writer in writers:
        writer.start()
    seen = [len(history.read(store).entries) for _ in range(5)]
    for writer in writers:
        writer.join()
    assert seen == sorted(seen)
    found = history.read(store).entries
    assert len(found) == 50
    assert {entry.outcome for entry in found} == {"succeeded"}
