from tools import build_schema


def test_the_schema_is_what_the_installed_library_says():
    assert build_schema.FILE.read_text() == build_schema.text(), "run python -m tools.build_schema"
