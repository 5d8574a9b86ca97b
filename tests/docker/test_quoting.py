import pytest

from imagekit.docker import quoting
from imagekit.errors import UsageError


@pytest.mark.parametrize("word", ["a\nRUN x", "a\rb", "a\0b", "a\x85b", "a\u2028b", "a\ud800"])
@pytest.mark.parametrize("write", [quoting.shell, quoting.exec_form])
def test_no_word_is_more_than_one_line(word, write):
    with pytest.raises(UsageError, match="cannot be written into a Dockerfile"):
        write(["x", word])


def test_words_are_quoted():
    assert quoting.shell(["a", "b c", "$x"]) == ["a", "'b c'", "'$x'"]
    assert quoting.exec_form(["a", 'b"c', "é\t"]) == '["a", "b\\"c", "é\\t"]'
