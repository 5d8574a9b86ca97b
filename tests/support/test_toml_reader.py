import pytest

from imagekit.errors import ConfigError
from imagekit.support.toml_reader import parse


def test_toml_is_read():
    assert parse(b'\xef\xbb\xbfa = 1\r\n[b]\nc = "x"\n', "p.toml") == {"a": 1, "b": {"c": "x"}}


@pytest.mark.parametrize(
    ("data", "begin"),
    [
        (b"a = 1\nb = = 2\n", "p.toml:2:5: invalid TOML: Invalid value"),
        (b"a = 1\nb = [", "p.toml:2:6: invalid TOML: "),
        (b"a = 1\nb = \xff", "p.toml:2:5: invalid UTF-8 byte 0xff"),
        (b"a = " + b"[" * 100_000, "p.toml:1:1: the file is nested too deeply"),
        (b"a = " + b"9" * 5000, "p.toml:1:1: invalid TOML: a number is too long"),
        (b"a = 2024-13-45", "p.toml:1:"),
        (b"a = 1\na = 2", "p.toml:2:6: invalid TOML: Cannot overwrite a value"),
        (b'a = "\0"', "p.toml:1:6: invalid TOML: Illegal character"),
    ],
)
def test_what_is_no_toml_is_a_problem_with_its_place(data, begin):
    with pytest.raises(ConfigError) as raised:
        parse(data, "p.toml")
    assert str(raised.value).startswith(begin)
