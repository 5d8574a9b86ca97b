from imagekit.support.files import sha256


def test_a_file_that_is_not_there_has_no_hash(tmp_path):
    assert sha256(tmp_path / "absent") is None
