"""What holds for every file that is given as a config, sound or not."""

import contextlib
import itertools
import json
import re

import pytest
import yaml
from google.cloud.devtools.cloudbuild_v1.types import Build as CloudBuild
from google.protobuf import json_format
from hypothesis import example, given, settings
from hypothesis import strategies as st

from imagekit import api
from imagekit.config.schema import Config, config_from, dump
from imagekit.docker.names import is_tag
from imagekit.errors import ConfigError, LimitError
from imagekit.support.yaml_reader import parse
from tests.properties.strategies import as_json, configs, files, plain, texts, well_formed

NAME = "images.yaml"


def read(text):
    """A text's config; its form must be right."""
    source = parse(text.encode(), NAME)
    config, problems = config_from(source)
    assert [str(source.locate(problem)) for problem in problems] == []
    return config


@given(configs() | well_formed())
def test_a_config_reads_back_from_its_yaml(config):
    assert read(dump(config)) == config


@given(configs() | well_formed())
@example(Config(base_images={"🐍": {}})).via("a key beyond U+FFFF, as two JSON escapes")
def test_a_config_reads_back_from_json_in_ascii(config):
    for text in as_json(plain(config), ensure_ascii=True):
        assert read(text) == config


def escape(found):
    return f"\\u{ord(found[0]):04x}"


@given(configs() | well_formed())
def test_a_config_reads_back_from_json_with_its_characters_as_they_are(config):
    for text in as_json(plain(config), ensure_ascii=False):
        # JSON allows these raw in a text and YAML does not: they have to be escapes.
        assert read(re.sub("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]", escape, text)) == config


@pytest.mark.parametrize("character", ["\x7f", "\x85", "\u2028", "\u2029"])
def test_a_raw_character_that_yaml_does_not_take_is_refused_where_it_stands(character):
    text = json.dumps({"base_url": f"a{character}"}, ensure_ascii=False)
    with pytest.raises(ConfigError, match=f"the character U\\+{ord(character):04X} is not allowed"):
        parse(text.encode(), NAME)


@given(st.dictionaries(st.sampled_from(["A", "b_1", "_"]), texts, max_size=3))
def test_build_args_read_the_same_from_a_mapping_and_from_a_list(args):
    listed = {"python_versions": {"py": [f"{name}={value}" for name, value in args.items()]}}
    mapped = {"python_versions": {"py": args}}
    assert read(yaml.safe_dump(listed)) == read(yaml.safe_dump(mapped))


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return tmp_path_factory.mktemp("files") / NAME


def problems_of(path, data):
    """What is said of a file with these bytes; any exception but the two expected is a bug.

    What is accepted has legal tags, and Cloud Build's own types take the document.
    """
    path.write_bytes(data)
    try:
        checked = api.check(path)
    except ConfigError as error:
        found = error.problems
    else:
        assert all(map(is_tag, checked.plan.names()))
        with contextlib.suppress(LimitError):
            json_format.Parse(api.render(checked.plan, checked.config), CloudBuild.pb()())
        return checked.warnings
    assert "error" in {problem.severity for problem in found}, "refused for no error"
    return found


def room(data):
    """Line → the columns that a message may name in it, one past the end included.

    A line ends at \\n, as for grep, git and compilers, whatever YAML takes for a line's end.
    """
    lines = data.decode("utf-8-sig", "replace").split("\n")
    return {number: len(line) + 1 for number, line in enumerate(lines, 1)}


@settings(max_examples=150)
@given(files())
@example(b"\xff")
@example(b"")
@example(b"[" * 2_000).via("deeper than Python's stack")
@example(b'a: "\\UFFFFFFFF"').via("an escape beyond Unicode")
@example(b'a: "\\U00110000"').via("an escape beyond Unicode")
@example(b'{"\\ud83d": 1}').via("half a character, which cannot be printed")
@example("# \u2028\na: [".encode()).via("a line break to YAML and to nothing else")
@example(b"a: 1\ra: \x07").via("a line break to YAML and to few others")
@example(b"images: []\rimages: []").via("the second key, where YAML sees a second line")
@example(b"images: &a [*a]").via("a list that holds itself")
@example(b"recipes: &a {cpu: *a}").via("a mapping that holds itself")
def test_every_file_is_a_sound_config_or_told_what_is_wrong_and_where(path, data):
    lines = room(data)
    for problem in problems_of(path, data):
        shown = str(problem)
        assert shown.startswith(f"{path}:{problem.place.line}:{problem.place.column}: ")
        assert 1 <= problem.place.column <= lines[problem.place.line]
        assert shown.encode(), "what cannot be encoded cannot be printed"


@given(files())
@example(b'gpu_versions: {g: {}}\npython_versions: {"a\\nb": {}}\nimages: [{gpu: g}]')
@example(b'gpu_versions: {g: {}}\npython_versions: {"a\\Nb": {}}\nimages: [{gpu: g}]')
def test_every_problem_is_one_line(path, data):
    for problem in problems_of(path, data):
        assert len(str(problem).splitlines()) == 1


@given(files())
def test_what_is_said_of_a_file_is_said_once_and_in_its_order(path, data):
    problems = problems_of(path, data)
    for _, group in itertools.groupby(problems, key=lambda problem: problem.severity):
        places = [(problem.place.line, problem.place.column) for problem in group]
        assert places == sorted(places)
    assert len(set(map(str, problems))) == len(problems)
