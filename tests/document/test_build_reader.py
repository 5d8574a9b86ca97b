import json

import msgspec
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from imagekit import api
from imagekit.document import build_reader, steps
from imagekit.document.build_reader import (
    FileBuild,
    camel_case,
    read,
    shown,
    write,
)
from imagekit.document.build_schema import MESSAGES
from imagekit.document.quick_reader import read_leniently, read_quickly
from imagekit.errors import BuildFileError
from tests.properties.strategies import configs
from tools.build_file_goldens import FILES, golden
from tools.build_file_goldens import read as read_file

DOCKER = "gcr.io/cloud-builders/docker"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_what_is_read_of_a_file(path):
    assert read_file(path) == golden(path).read_text(encoding="utf-8"), "run `make goldens`"


def test_every_golden_has_its_file():
    goldens = {path.name for path in FILES[0].parent.glob("*.golden")}
    assert goldens == {golden(path).name for path in FILES}


def told(text):
    with pytest.raises(BuildFileError) as error:
        read(text, "b.yaml")
    return [str(problem) for problem in error.value.problems]


def test_the_fields_of_a_step_are_in_googles_schema():
    others = {"status", "exitCode", "timing", "pullTiming"}
    assert build_reader.FIELDS | others == MESSAGES["BuildStep"].keys()
    assert MESSAGES["Volume"].keys() == {
        field.name for field in msgspec.structs.fields(build_reader.Volume)
    }


# ---- a build in several notations

NAMES = st.text("abcXYZ09_-./: {}$", min_size=1, max_size=8)
TEXTS = st.text(st.characters(blacklist_categories=("Cs", "Cc")), max_size=8)


def lists(values):
    return st.lists(values, min_size=1, max_size=3)


@st.composite
def builds(draw):
    """Builds in the form of Google's JSON, without empty values."""
    step = st.fixed_dictionaries(
        {"name": NAMES},
        optional={
            "args": lists(TEXTS),
            "id": NAMES,
            "waitFor": lists(NAMES),
            "dir": NAMES,
            "entrypoint": NAMES,
            "env": lists(TEXTS),
            "secretEnv": lists(NAMES),
            "volumes": lists(st.fixed_dictionaries({"name": NAMES, "path": NAMES})),
            "timeout": st.sampled_from(["1s", "2.5s"]),
            "script": NAMES,
            "automapSubstitutions": st.booleans(),
            "allowFailure": st.just(True),
            "allowExitCodes": lists(st.integers(0, 255)),
        },
    )
    around = st.fixed_dictionaries(
        {"steps": lists(step)},
        optional={
            "timeout": st.just("3s"),
            "images": lists(NAMES),
            "substitutions": st.dictionaries(st.sampled_from(["_A", "_B_C"]), TEXTS, min_size=1),
            "options": st.just({"env": ["A=1"], "machineType": "E2_HIGHCPU_8", "diskSizeGb": 10}),
            "logsBucket": NAMES,
            "availableSecrets": st.just({"inline": [{"kmsKeyName": "k", "envMap": {"a_b": "c"}}]}),
        },
    )
    return draw(around)


KEPT = ("substitutions", "envMap")
"""The keys whose own keys are the user's."""


def rewritten(value, key=""):
    """The same build in snake_case, and with single values where lists may be."""
    if isinstance(value, dict):
        return {
            name if key in KEPT else snake(name): rewritten(child, name)
            for name, child in value.items()
        }
    if isinstance(value, list):
        return rewritten(value[0]) if len(value) == 1 else [rewritten(child) for child in value]
    return value


def snake(key):
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in key)


@given(builds())
def test_a_build_is_the_same_in_every_notation(document):
    text = json.dumps(document)
    build = read(text, "b.json")
    assert json.loads(write(build)) == document
    assert read(write(build), "b.json") == build
    for other in (
        yaml.safe_dump(document, allow_unicode=True, default_style='"'),
        json.dumps(rewritten(document), ensure_ascii=False),
        yaml.safe_dump(rewritten(document), default_style='"'),
    ):
        assert read(other, "b") == build
        assert read_leniently(other) == build


@given(builds())
def test_what_is_read_quickly_is_what_is_read_slowly(document):
    for text in (json.dumps(document, ensure_ascii=False), json.dumps(document)):
        quick = read_quickly(text)
        assert quick in (None, read(text, "b.json"))
        assert quick is not None or "\\" in text


@given(configs())
def test_generated_files_are_read_quickly(config):
    text = api.render(api.plan(config), config)
    quick = read_quickly(text)
    assert quick is not None
    slow = read(text, "b.json")
    assert quick == slow


@pytest.mark.parametrize(
    "text",
    [
        "",
        "steps: []",
        '{"steps": [{"name": "x", "args": "y"}]}',
        '{"steps": [{"name": "x", "wait_for": ["-"]}]}',
        '{"steps": [{"name": "x", "name": "y"}]}',
        '{"steps": [{"name": "x", "args": []}]}',
        '{"steps": [{"name": "x", "(rest)": {}}]}',
        '{"steps": [{"name": "x", "(others)": {"a": "b"}}]}',
        '{"steps": [{"name": "x"}], "substitutions": {"_A": 3.10}}',
        '{"steps": [{"name": "\\ud83d"}]}',
        '{"steps": [{"name": "\ud83d"}]}',
        '{"steps": [{"name": "x"}], "other": 1}',
    ],
)
def test_what_needs_a_closer_look_is_not_read_quickly(text):
    assert read_quickly(text) is None


# ---- problems


def test_an_alias_has_one_place():
    text = "steps:\n- &a {name: x, args: [1]}\n- *a\n- <<: *a\n"
    assert told(text) == [
        f"b.yaml:2:23: steps[{n}].args[0]: expected text, found the number 1; quote it: '1'"
        for n in range(3)
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("steps: [{name: x, allowFailure: 1}]", "expected true or false, without quotes, found"),
        ('{"steps": [{"name": "x", "allowFailure": "no"}]}', "expected true or false, without"),
        ('{"steps": [{"name": "x", "allowExitCodes": [true]}]}', "expected a whole number, found"),
        ("steps: [{name: x, status: 1.5}]", "expected one of QUEUED, WORKING,"),
        ("steps: [{name: x, status: true}]", "expected one of"),
        ('{"steps": [{"name": "x", "status": true}]}', "expected one of"),
        ("steps: [{name: x, args: ['a\0b']}]", "U+0000 is not allowed in a Cloud Build file"),
        (r'steps: [{name: x, args: ["a\0b"]}]', "contains a NUL character; remove it"),
        ('{"steps": [{"name": "x", "dir": "\\ud800"}]}', "contains an unpaired surrogate"),
        ("steps: [{name: x}]\nsubstitutions: {_A: [b]}", "substitutions._A: expected text, found"),
        ("steps: [{name: x, <<: [1]}]", "what is merged with << must be a mapping"),
        ("steps: [{name: x, [a]: 1}]", "a key must be text, not a list"),
        (f"steps: {'[' * 300}", "is nested too deeply"),
        ("steps: [{name: x, args: [!!binary aGk=]}]", "the YAML tag !!binary is not supported"),
    ],
)
def test_what_gcloud_would_not_accept(text, message):
    assert message in told(text)[0]


@pytest.mark.parametrize(
    ("text", "value"), [("true", True), ("Yes", True), ("off", False), ("n", False)]
)
def test_truth_values_are_those_of_yaml(text, value):
    (step,) = read(f"steps: [{{name: x, automapSubstitutions: {text}}}]", "b").steps
    assert step.automap_substitutions is value


def test_a_member_of_an_enumeration_may_be_its_number():
    build = read("steps: [{name: x}]\noptions: {logging: 3, machineType: '5'}", "b")
    assert build.options == {"logging": "STACKDRIVER_ONLY", "machineType": "E2_HIGHCPU_8"}


def test_timings_are_a_mapping_of_messages():
    build = read("steps: [{name: x}]\ntiming: {PUSH: {start_time: a}}", "b")
    assert build.rest == {"timing": {"PUSH": {"startTime": "a"}}}


def test_aliases_that_stand_for_too_much_are_refused(monkeypatch):
    monkeypatch.setattr(build_reader, "MAX_VALUES", 10_000)
    many = ", ".join(["*v"] * 100)
    text = f"steps: [{{name: x, volumes: [&v {{name: a}}]}}, &s {{name: x, volumes: [{many}]}}"
    text += ", *s" * 200 + "]"
    for reader in (lambda text: read(text, "b"), read_leniently):
        with pytest.raises(BuildFileError, match="stand for too many values"):
            reader(text)


@pytest.mark.parametrize(
    ("key", "camel"),
    [
        ("wait_for", "waitFor"),
        ("waitFor", "waitFor"),
        ("disk_size_gb", "diskSizeGb"),
        ("_a_b", "_aB"),
        ("a__B_", "aB"),
        ("kmsKey_NAME", "kmsKeyName"),
    ],
)
def test_keys_are_renamed_as_gcloud_renames_them(key, camel):
    assert camel_case(key) == camel


# ---- lenient reading


@pytest.mark.parametrize("text", ["", "a: [", "[]", "{}", "steps: 1", '{"steps": [1]}'])
def test_what_is_no_build_file_is_not_read(text):
    assert read_leniently(text) is None


def test_nothing_is_lost_in_silence():
    text = """
steps:
- {name: x, args: [a, {b: c}], when: [always, {now: true}], id: 3, volumes: [{name: v, mode: ro}]}
- {name: x, args: [a], args: [b]}
x: [1, 2.50, null, "t"]
substitutions: {_A: [b], _B: }
options: {logging: LOUD, machineType: [a], speed: 1}
"""
    build = read_leniently(text)
    first, second = build.steps
    assert first.id == "3"
    assert first.others == {
        "args": '["a", {"b": "c"}]',
        "when": '["always", {"now": "true"}]',
        "volumes[0].mode": "ro",
    }
    assert second.others == {"duplicate key 'args'; remove one": ""}
    assert build.options == {"logging": "LOUD"}
    assert build.others == {
        "x": '["1", "2.50", "null", "t"]',
        "substitutions._A": '["b"]',
        "substitutions._B": "null",
        "options.machineType": '["a"]',
        "options.speed": "1",
    }


def test_a_value_that_is_not_understood_is_shown_in_part():
    bomb = ["x" * 100]
    for _ in range(20):
        bomb = [bomb] * 10
    assert shown(bomb).endswith("…")
    inside = {"a": []}
    inside["a"].append(inside)
    assert shown(inside) == '{"a": ["…"]}'
    deep = []
    for _ in range(2_000):
        deep = [deep]
    assert len(shown(deep)) < 200
    assert shown({"a": 1, "b": [True, None]}) == '{"a": 1, "b": [true, null]}'
    assert shown("x" * 200_000) == "x" * 10_000


def test_a_build_that_cloud_build_describes_may_have_newer_fields():
    step = {"name": DOCKER, "args": ["push", "a"], "newField": 1}
    build = steps.of_foreign(json.dumps({"steps": [step], "newer": {}}))
    assert [one.kind for one in build.steps] == ["push"]
    assert steps.of_foreign("no build").steps == ()


def test_a_build_without_anything_is_written():
    assert json.loads(write(FileBuild([]))) == {"steps": []}
