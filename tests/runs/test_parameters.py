import pathlib

import pytest

from imagekit.errors import ParametersError, UsageError
from imagekit.runs.parameters import declared, typed

ECHOES = pathlib.Path(__file__).resolve().parent.parent / "notebooks/echoes.ipynb"


def test_the_notebook_declares_its_types():
    types = {"text": "str", "number": "int", "ratio": "float", "flag": "bool", "many": "list"}
    assert declared(ECHOES) == types | {"bare": "int"}


@pytest.mark.parametrize(
    ("name", "texts", "value"),
    [
        ("text", ["3.10"], "3.10"),
        ("text", ["no"], "no"),
        ("number", ["10"], 10),
        ("ratio", ["3.10"], 3.1),
        ("flag", ["True"], True),
        ("flag", ["false"], False),
        ("many", ["3.10"], ["3.10"]),
        ("many", ["a", "b"], ["a", "b"]),
        ("many", ['["a", "b"]'], ["a", "b"]),
        ("many", ["[cg]pu-*"], ["[cg]pu-*"]),
        ("bare", ["5"], 5),
    ],
)
def test_values_have_the_type_that_the_notebook_says(name, texts, value):
    found = typed(ECHOES, [(name, text) for text in texts])
    assert found == {name: value}
    assert type(found[name]) is type(value)


def test_all_invalid_parameters_are_reported_at_once():
    given = [
        ("txt", "x"),
        ("number", "3.10"),
        ("flag", "1"),
        ("text", "a"),
        ("text", "b"),
        ("many", "[1]"),
    ]
    with pytest.raises(ParametersError) as error:
        typed(ECHOES, given)
    assert isinstance(error.value, UsageError)
    assert error.value.exit_code == 2
    assert str(error.value).splitlines() == [
        "parameter 'txt': not a parameter of the notebook; did you mean 'text'?",
        "parameter 'number': '3.10' is not a whole number",
        "parameter 'flag': '1' is not true or false",
        "parameter 'text': given 2 times, but not a list",
        "parameter 'many': '[1]' must contain only strings; quote its elements",
    ]


@pytest.mark.parametrize("text", ["no JSON", "{}", "[]", ""])
def test_an_invalid_notebook_is_reported(tmp_path, text):
    path = tmp_path / "{x}.ipynb"
    path.write_text(text)
    with pytest.raises(UsageError, match="not a valid notebook"):
        typed(path, [])
