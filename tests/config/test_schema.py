"""The JSON Schema of the config accepts what the config's decoder accepts."""

import contextlib
import json

import pytest
import yaml
from hypothesis import given
from jsonschema import Draft7Validator

from imagekit.config import schema as types
from imagekit.config.schema import config_from
from imagekit.errors import ConfigError
from imagekit.support.yaml_reader import parse
from tests.conftest import FAMILY, ROOT
from tests.properties.strategies import configs, files, plain, well_formed
from tools import goldens, schema

COMMITTED = json.loads(schema.FILE.read_text(encoding="utf-8"))
VALIDATOR = Draft7Validator(COMMITTED)


class Editor(yaml.SafeLoader):
    """Reads YAML as an editor does: as YAML 1.2, where a key is text and a date is too."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - the name and kind that PyYAML reads
        first: [
            (tag, pattern)
            for tag, pattern in resolvers
            if tag.rpartition(":")[2] in ("bool", "int", "float", "null", "merge")
        ]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def construct_mapping(self, node, deep=False):
        self.flatten_mapping(node)
        return {key.value: self.construct_object(value, deep=True) for key, value in node.value}


def read(text):
    """The values of a YAML or JSON text. JSON may be indented with tabs."""
    return yaml.load(text.replace("\t", " ") if text[:1] == "{" else text, Editor)  # noqa: S506 - it is a SafeLoader


def messages(value):
    return [f"{error.json_path}: {error.message}" for error in VALIDATOR.iter_errors(value)]


def test_the_committed_schema_is_the_generated_one():
    assert schema.FILE.read_text(encoding="utf-8") == schema.text(), "run `make goldens`"


def test_the_schema_is_valid():
    Draft7Validator.check_schema(COMMITTED)


def enums(found):
    if isinstance(found, dict):
        yield from [found["enum"]] if "enum" in found else ()
        for value in found.values():
            yield from enums(value)


def test_no_enum_names_a_value_twice():
    # Then the YAML language server would refuse the whole schema.
    assert len(list(enums(COMMITTED))) == 4
    for values in enums(COMMITTED):
        assert len(set(values)) == len(values)


def test_every_type_with_its_own_decoder_has_its_own_schema():
    own = {types.Entry, types.Exclude, types.Aliased}
    assert types.SPECIAL.keys() == schema.SPECIAL.keys() - {types.Choice} | own


def described(found, path=""):
    for name, value in found.get("properties", {}).items():
        yield f"{path}.{name}", value.get("description")
        yield from described(value, f"{path}.{name}")
    for key in ("items", "additionalProperties"):
        yield from described(found[key], path) if isinstance(found.get(key), dict) else ()


def test_every_key_has_a_description():
    found = dict(described(COMMITTED))
    assert found[".recipes.target"] == "The stage of the Dockerfile to build."
    assert found[".cloudbuild.trigger.approval"] == "Whether a build waits for approval."
    assert [path for path, meaning in found.items() if not meaning] == []


def test_the_line_for_editors_names_the_schema_by_its_id():
    line = f"# yaml-language-server: $schema={COMMITTED['$id']}\n"
    assert line in (ROOT / "docs/config.md").read_text(encoding="utf-8")


# ---- what it accepts

SOUND = [
    *FAMILY.glob("config/*"),
    ROOT / "tests/projects/matrix.yaml",
    *(
        next(case.glob("config.*"))
        for case in goldens.CASES
        if (case / "output").read_text(encoding="utf-8").startswith("exit 0\n")
    ),
]


@pytest.mark.parametrize("path", SOUND, ids=lambda path: str(path.relative_to(ROOT)))
def test_it_accepts_a_config_that_generates(path):
    assert messages(read(path.read_text(encoding="utf-8-sig"))) == []


@given(configs() | well_formed())
def test_it_accepts_every_config_as_it_is_dumped(config):
    assert messages(plain(config)) == []


def sound(data):
    """Whether the decoder accepts a file."""
    try:
        return config_from(parse(data, "images.yaml"))[1] == []
    except ConfigError:
        return False


@given(files())
def test_it_accepts_every_file_that_the_decoder_accepts(data):
    # Editors may refuse tags such as `!!int` on a text, which the decoder ignores.
    with contextlib.suppress(yaml.YAMLError, ValueError):
        assert not sound(data) or messages(read(data.decode("utf-8-sig"))) == []


@pytest.mark.parametrize(
    "text",
    [
        "x-anchors: {a: [1]}\nimages: [{x-note: 1, python: null}]",
        '{"axes": null, "images": [{"python": 3.10}]}',
        "cpu_versions: {py37: {PYTHON_VERSION: 3.7}}\nimages: [{cpu: py37}]",
        "axes: {torch: {t28: [TORCH=2.8, CUDA=]}}\nimages: [{torch: [t28, null]}]",
        "recipes: {a: {parent: null, test: a.yaml, tags: [a, 1.0], parent_only: true}}",
        "cloudbuild: {timeout: 90m, disk_size: '100', machine_type: null, limits: null}",
        "python_versions: {3.10: {PYTHON_VERSION: 3.10}}\nimages: [{python: [3.1, 3.10]}]",
        "exclude: [{reason: 2026-01-01, gpu: null}]\naliases: {no: {python: yes, recipe: null}}",
        "aliases: {a: [{python: b, recipe: c}, {python: 3.10, x-own: []}], b: {python: null}}",
    ],
)
def test_it_accepts_each_notation(text):
    assert sound(text.encode())
    assert messages(read(text)) == []


# ---- what it does not accept


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("imagse: []", "$"),
        ('{"axes": true}', "$.axes"),
        ("images: {python: py312}", "$.images"),
        ("images: []\nrecipes: {cpu: {dockerfil: a}}", "$.recipes.cpu"),
        ("recipes: {cpu: {test: {a: b}}}", "$.recipes.cpu.test"),
        ("recipes: {cpu: {parent_arg: A-B}}", "$.recipes.cpu.parent_arg"),
        ("recipes: {cpu: {parent_only: maybe}}", "$.recipes.cpu.parent_only"),
        ("recipes: {cpu: null}", "$.recipes.cpu"),
        ("cloudbuild: {publish: eech}", "$.cloudbuild.publish"),
        ("cloudbuild: {timeout: 2 days}", "$.cloudbuild.timeout"),
        ("cloudbuild: {timeout: 86401}", "$.cloudbuild.timeout"),
        ("cloudbuild: {limits: {steps: 0}}", "$.cloudbuild.limits.steps"),
        ("cloudbuild: {trigger: {branch: a}}", "$.cloudbuild.trigger"),
        ("python_versions: {a: [PYTHON_VERSION]}", "$.python_versions.a[0]"),
        ("python_versions: {a: {1V: b}}", "$.python_versions.a"),
        ("python_versions: {a: {V: null}}", "$.python_versions.a.V"),
        ("images: [{python: []}]", "$.images[0].python"),
        ("images: [{python: {a: b}}]", "$.images[0].python"),
        ("exclude: [{python: a}]", "$.exclude[0]"),
        ("aliases: {a: {python: [b]}}", "$.aliases.a.python"),
        ("aliases: {a: [{python: [b]}]}", "$.aliases.a[0].python"),
        ("aliases: {a: []}", "$.aliases.a"),
        ("aliases: {a: [null]}", "$.aliases.a[0]"),
        ("aliases: {a: b}", "$.aliases.a"),
    ],
)
def test_it_refuses_what_the_decoder_refuses(text, path):
    assert not sound(text.encode())
    assert [error.json_path for error in VALIDATOR.iter_errors(read(text))] == [path]
