import io
import tarfile

import pytest

from imagekit.build.cloud import library


def test_an_archive_holds_what_is_named_and_nothing_of_this_machine(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a").write_text("text")
    (tmp_path / "other").write_text("x")
    data = library.archive(tmp_path, ["sub/a"])
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        (member,) = tar.getmembers()
        assert tar.extractfile(member).read() == b"text"
    assert (member.name, member.uid, member.uname, member.mtime) == ("sub/a", 0, "", 0)


class BadRequest(Exception):  # noqa: N818 - as Google's library calls it
    message = "POST https://cloudbuild.googleapis.com/v1/projects/p/builds?x=1: no steps."


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (BadRequest(), "Cloud Build: no steps; Cloud Build rejected the build; fix"),
        (
            ConnectionError("no route\nto host"),
            "Cloud Build: no route\\nto host; Google",
        ),
        (ConnectionError(), "Cloud Build: ConnectionError; Google Cloud cannot be reached"),
    ],
)
def test_what_google_s_library_raises_is_one_line_with_what_to_do(error, told):
    assert str(library._cloud_error(error)).startswith(told)
