import re

import pytest

from imagekit.document.substitutions import ALWAYS, Substitutions, references

VALUES = {"_X": "feature-a/b-1.2", "_E": "", "_U": "AbC", "_SHORT": "ab"}


def replaced(text, values=VALUES, **how):
    substitute = Substitutions(values, **how)
    return substitute(text), substitute.problems


# What bash 5.2 prints for the same values.
BASH = [
    ("${_X%%-*}", "feature"),
    ("${_X%-*}", "feature-a/b"),
    ("${_X#*-}", "a/b-1.2"),
    ("${_X##*-}", "1.2"),
    ("${_X#z}", "feature-a/b-1.2"),
    ("${_X%%}", "feature-a/b-1.2"),
    ("${_X/a/Z}", "feZture-a/b-1.2"),
    ("${_X//a/Z}", "feZture-Z/b-1.2"),
    ("${_X/#fea/Q}", "Qture-a/b-1.2"),
    ("${_X/#ture/Q}", "feature-a/b-1.2"),
    ("${_X/%2/9}", "feature-a/b-1.9"),
    ("${_X/%x/9}", "feature-a/b-1.2"),
    ("${_X//[0-9]/N}", "feature-a/b-N.N"),
    ("${_X//[!a-z]/_}", "feature_a_b____"),
    ("${_X//[^a-z]/_}", "feature_a_b____"),
    (r"${_X//\//-}", "feature-a-b-1.2"),
    ("${_X//-}", "featurea/b1.2"),
    ("${_X/x*/}", "feature-a/b-1.2"),
    ("${_X//./x}", "feature-a/b-1x2"),
    ("${_X/a*b/<>}", "fe<>-1.2"),
    ("${_X//-/${_E:-y}}", "featureya/by1.2"),
    ("${_X//}", "feature-a/b-1.2"),
    ("${_X//[a-e]?/F}", "fFturFFF1.2"),
    ("${_X^^}", "FEATURE-A/B-1.2"),
    ("${_X^}", "Feature-a/b-1.2"),
    ("${_X^^[a-f]}", "FEAturE-A/B-1.2"),
    ("${_U,}", "abC"),
    ("${_U,,}", "abc"),
    ("${_X:0:3}", "fea"),
    ("${_X:3}", "ture-a/b-1.2"),
    ("${_X: -3}", "1.2"),
    ("${_X:(-3)}", "1.2"),
    ("${_X:0:-2}", "feature-a/b-1"),
    ("${_X: -3:2}", "1."),
    ("${_X: -99}", ""),
    ("${_X:-d}", "feature-a/b-1.2"),
    ("${_E:-d}", "d"),
    ("${_E-d}", ""),
    ("${_E:=d}", "d"),
    ("${_X:+p}", "p"),
    ("${_E:+p}", ""),
    ("${_E+p}", "p"),
    ("${_NONE:-${_X%%-*}}", "feature"),
    ("${#_X}", "15"),
    ("${_X%?}", "feature-a/b-1."),
    ("${_SHORT%[}", "ab"),
    ("${_SHORT//?/x}", "xx"),
    ("${_SHORT/[]/x}", "ab"),
]


@pytest.mark.parametrize(("text", "printed"), BASH)
def test_operations_are_those_of_bash(text, printed):
    assert replaced(f"<{text}>", dynamic=True) == (f"<{printed}>", [])


def test_a_range_that_is_none_matches_nothing():
    assert replaced("${_X/[z-a]/y}", dynamic=True) == ("feature-a/b-1.2", [])


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("$$HOME $$$$", "$HOME $$"),
        ("$_U-${_U}", "AbC-AbC"),
        (
            "costs $5, $lower, ${lower} and ${lower:-_X}, $",
            "costs $5, $lower, ${lower} and ${lower:-_X}, $",
        ),
        ("${_open $_U", "${_open AbC"),
        ("${_X%% $_U", "${_X%% AbC"),
        ("${HOME:-$_U}", "${HOME:-AbC}"),
        ("${#lines[@]} ${#HOME}", "${#lines[@]} ${#HOME}"),
    ],
)
def test_what_is_not_cloud_builds_is_left_to_the_shell(text, filled):
    assert replaced(text) == (filled, [])


def test_values_contain_others_only_in_a_dynamic_build():
    values = {"_A": "${_B}/x", "_B": "$_C", "_C": "c", "_HOME": "$HOME"}
    assert replaced("$_A $_A", values, dynamic=True) == ("c/x c/x", [])
    text, (problem,) = replaced("$_A", values)
    assert text == "${_B}/x"
    assert problem.startswith("the value of $_A contains $_B, which Cloud Build replaces only")
    assert replaced("$_HOME", values) == ("$HOME", [])
    assert replaced("$_A", values, missing="keep") == ("${_B}/x", [])


def test_a_value_that_contains_itself_is_said():
    text, (problem,) = replaced("$_A", {"_A": "x$_B", "_B": "$_A"}, dynamic=True)
    assert text == "x"
    assert problem == "substitution $_A contains itself; give it another value"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("$_NONE", "substitution $_NONE has no value; use --substitution _NONE=VALUE"),
        ("$_SHRT", "substitution $_SHRT has no value; did you mean '_SHORT'?; use --substitution"),
        ("$HOME", "$HOME is not a substitution of Cloud Build; write $$HOME for a variable"),
        ("$TAG_NAME", "has no value here; use --substitution TAG_NAME=VALUE, or TAG_NAME= to"),
        (
            "$PROJECT_ID",
            "substitution $PROJECT_ID has no value here; use --substitution PROJECT_ID=VALUE",
        ),
        ("${_NONE%%-*}", "substitution $_NONE has no value"),
        ("${_NONE:?give it}", "substitution $_NONE has no value: give it"),
        ("${_NONE?}", "substitution $_NONE has no value: it is required"),
        ("${_X:x}", "${_X:x}: this operation is not known; write it as bash does"),
    ],
)
def test_what_cannot_be_filled_is_said(text, told):
    filled, (problem,) = replaced(text, dynamic=True)
    assert filled == ""
    assert told in problem


def test_an_operation_needs_a_dynamic_build():
    text, (problem,) = replaced("${_X%%-*}")
    assert text == "${_X%%-*}"
    assert re.match(r"\$\{_X%%-\*\}: Cloud Build has such operations only with", problem)


@pytest.mark.parametrize("name", ALWAYS)
def test_what_every_build_has_is_never_empty(name):
    for how in ({"missing": "empty"}, {}):
        text, (problem,) = replaced(f"<${name}>", {name: ""}, **how)
        assert text == "<>"
        assert "has no value here" in problem
    assert replaced(f"${name}", {name: "x"}) == ("x", [])


def test_a_missing_one_may_be_nothing_or_kept():
    assert replaced("<$_NONE$TAG_NAME>", missing="empty") == ("<>", [])
    assert replaced("<$_NONE-${TAG_NAME}>", missing="keep") == ("<${_NONE}-${TAG_NAME}>", [])
    kept = "${_NONE%%-*} ${_NONE:-x} ${#_NONE}"
    assert replaced(kept, missing="keep", dynamic=True) == (kept, [])
    assert replaced("${_X%%-*}", missing="keep") == ("${_X%%-*}", [])


def test_all_that_have_a_value_can_be_environment_variables():
    values = {"_A": "$_B", "_B": "b", "PROJECT_ID": ""}
    assert Substitutions(values, dynamic=True).environment() == {"_A": "b", "_B": "b"}


def test_no_pattern_takes_long():
    assert replaced("${_A%%*a*a*a*a*a*b}", {"_A": "a" * 2_000}, dynamic=True)[0] == "a" * 2_000


def test_the_substitutions_that_a_text_holds():
    text = "$_A ${COMMIT_SHA} $$_B $${_C} $d ${_E%%-*} ${#_F} ${_G:-$_H}"
    assert references(text) == {"_A", "COMMIT_SHA", "_E", "_F", "_G", "_H"}


def nested(levels):
    return {f"_S{n}": f"${{_S{n + 1}}}" for n in range(levels)} | {f"_S{levels}": "x"}


def test_substitutions_are_nested_in_a_few_others():
    assert replaced("$_S0", nested(49), dynamic=True) == ("x", [])
    text, problems = replaced("$_S0 y", nested(400), dynamic=True)
    assert text == "${_S50} y"
    assert problems == ["substitutions are nested in more than 50 others; write fewer"]
    inline = "${_X:-" * 400 + "}" * 400
    assert replaced(inline, {}, dynamic=True)[1] == problems


def test_substitutions_do_not_give_billions_of_characters():
    values = {f"_S{n}": f"$_S{n + 1}" * 10 for n in range(9)} | {"_S9": "x"}
    text, problems = replaced("a $_S0", values, dynamic=True)
    assert text == "a " + "$_S3" * 1_000
    assert set(problems) == {"substitutions give more than 1000000 characters; write fewer"}
    assert replaced("x" * 1_000_001 + "$$", {})[1] == []
    # The next ones are not nested in those before.
    assert replaced("$_A" * 100, {"_A": "${_B}", "_B": "b"}, dynamic=True) == ("b" * 100, [])
