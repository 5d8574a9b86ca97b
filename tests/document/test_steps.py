import json

import pytest

from imagekit.document import docker_args, steps
from imagekit.errors import BuildFileError, Problem

DOCKER = "gcr.io/cloud-builders/docker"


def read(*raw, **whole):
    found = [{"name": DOCKER, "args": ["build", "."]} | step for step in raw]
    return steps.read(json.dumps({"steps": found} | whole), "b.json")


def test_a_step_waits_for_what_it_names_or_for_everything_before():
    build = read(
        {"id": "a"}, {"id": "b", "waitFor": ["-"]}, {"waitFor": ["a"]}, {}, {"waitFor": []}
    )
    assert [step.id for step in build.steps] == ["a", "b", "step 3", "step 4", "step 5"]
    everything = ("a", "b", "step 3")
    assert [s.needs for s in build.steps] == [(), (), ("a",), everything, (*everything, "step 4")]


def test_the_fields_of_a_step():
    raw = {
        "name": f"{DOCKER}:latest",
        "entrypoint": "sh",
        "args": ["-c", "true"],
        "env": ["B=2", "C=3=4"],
        "dir": "sub",
        "timeout": "90s",
        "allowFailure": True,
        "allowExitCodes": [3],
    }
    (step,) = read(raw, options={"env": ["A=1", "B=1"]}, timeout="3600s").steps
    assert step.builder == DOCKER
    assert (step.entrypoint, step.args, step.kind) == ("sh", ("-c", "true"), "other")
    assert step.env == {"A": "1", "B": "2", "C": "3=4"}
    assert (step.dir, step.timeout, step.allow_failure) == ("sub", 90.0, True)
    assert step.allow_exit_codes == (3,)


@pytest.mark.parametrize(
    ("name", "args", "kind", "tags"),
    [
        (DOCKER, ["build", "-t", "a", "--tag=b", "--tag", "c", "."], "build", ("a", "b", "c")),
        (DOCKER, ["push", "a"], "push", ("a",)),
        (DOCKER, ["run", "a"], "other", ()),
        (DOCKER, [], "other", ()),
        (steps.STRUCTURE_TEST, ["test", "--image", "a", "--config", "c"], "test", ("a",)),
    ],
)
def test_what_a_step_does_for_which_images(name, args, kind, tags):
    (step,) = read({"name": name, "args": args}).steps
    assert (step.kind, step.tags) == (kind, tags)


@pytest.mark.parametrize(
    ("args", "tags", "context", "options"),
    [
        (["build", "-t", "a", "ctx"], ["a"], "ctx", []),
        (["build", "ctx", "--tag=a"], ["a"], "ctx", []),
        (["build", "-t"], [], ".", []),
        (["build", "-f", "-", "-"], [], "-", []),
        (["build", "--pull", "ctx"], [], "ctx", [("--pull", "yes")]),
        (["build", "--odd", "value", "ctx"], [], "ctx", [("--odd", "value")]),
        # What follows is an option, so this one has no value.
        (["build", "--odd", "-t", "a", "ctx"], ["a"], "ctx", [("--odd", "yes")]),
        (["build", "ctx", "--odd"], [], "ctx", [("--odd", "yes")]),
        (["build", "--label", "-x=1", "ctx"], [], "ctx", [("--label", "-x=1")]),
    ],
)
def test_the_arguments_of_docker_build(args, tags, context, options):
    read_args = docker_args.build_arguments(args)
    assert (read_args.tags, read_args.context, read_args.options) == (tags, context, options)


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("$$HOME $$$$", "$HOME $$"),
        ("$_X-${_X}-$_Y", "file-file-given"),
        ("costs $5 and $lower", "costs $5 and $lower"),
    ],
)
def test_substitutions(text, filled):
    values = {"_X": "file", "_Y": "file"}
    raw = {"steps": [{"name": DOCKER, "args": ["run", text]}], "substitutions": values}
    build = steps.read(json.dumps(raw), "b.json", {"_Y": "given"})
    assert build.steps[0].args[1] == filled


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ({"args": ["$_MISSING"]}, "substitution $_MISSING has no value; use --substitution"),
        ({"args": ["$COMMIT_SHA"]}, "$COMMIT_SHA has no value here; use --substitution"),
        ({"script": "true", "args": ["a"]}, "a step with 'script' cannot have 'args'"),
        ({"env": ["A"]}, "'A' is not an environment variable; write NAME=VALUE"),
        ({"volumes": [{"name": "a/b", "path": "/a"}]}, "'a/b' is not a name of a volume"),
        ({"volumes": [{"name": "ab", "path": "a"}]}, "'a' is not a path for a volume"),
        ({"volumes": [{"name": "ab", "path": "/workspace/"}]}, "is not a path for a volume"),
        ({"volumes": [{"name": "ab", "path": "/a:/b"}]}, "is not a path for a volume"),
        ({"waitFor": ["later"]}, "step 1 waits for later, which is not earlier"),
    ],
)
def test_what_cannot_be_done_is_said_before_anything_is(raw, message):
    with pytest.raises(BuildFileError) as error:
        read(raw)
    assert message in str(error.value)


def test_everything_is_said_at_once():
    with pytest.raises(BuildFileError) as error:
        read({"id": "a", "args": ["$_X"]}, {"id": "a", "waitFor": ["b"]})
    assert len(error.value.problems) == 3


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "1:1: the file is empty; a Cloud Build file must have 'steps'"),
        ("[]", "1:1: a Cloud Build file must be a mapping, not a list"),
        ("x", "1:1: a Cloud Build file must be a mapping, not text"),
        ("{}", "1:1: not a Cloud Build file: it has no 'steps'"),
        ('{"steps": []}', "1:11: a build must have at least one step"),
        ('{"steps": [1]}', "1:12: steps[0]: expected a mapping, found text '1'"),
        ("steps: x", "1:8: steps[0]: expected a mapping, found text 'x'"),
        ("a: [", "1:5: invalid YAML: expected the node content, but found '<stream end>'"),
        ("steps: [{}]", "1:9: 'name' is missing"),
    ],
)
def test_what_is_no_build_file(text, told):
    with pytest.raises(BuildFileError) as error:
        steps.read(text, "b.json")
    assert str(error.value).startswith(f"b.json:{told}")


def test_yaml_is_read_too():
    build = steps.read(f"steps:\n- name: {DOCKER}\n  args: [build, .]\n", "b.yaml")
    assert build.steps[0].kind == "build"
    assert build.timeout is None


@pytest.mark.parametrize(
    ("more", "found", "told"),
    [
        (
            {"substitutions": ["_A"]},
            '["_A"]',
            "substitutions: expected a mapping, found a list",
        ),
        ({"options": "x"}, '"x"', "options: expected a mapping, found text 'x'"),
        ({"images": {"a": 1}}, '{"a": 1}', "images[0]: expected text, found a mapping"),
        (
            {"steps": [{"name": DOCKER, "allowExitCodes": ["a"]}]},
            '"a"',
            "steps[0].allowExitCodes[0]: expected a whole number, found text 'a'",
        ),
    ],
)
def test_what_is_of_another_type_than_the_schema_says(more, found, told):
    document = {"steps": [{"name": DOCKER, "args": ["pull", "x"]}]} | more
    with pytest.raises(BuildFileError) as error:
        steps.read(json.dumps(document), "b.json")
    (problem,) = error.value.problems
    line, at = problem.line, problem.place.column - 1
    assert (line[at : at + len(found)], problem.message) == (found, told)


def test_values_that_only_the_build_knows_are_kept():
    document = {"steps": [{"name": "x", "args": ["$_A"]}]}
    (step,) = steps.read(json.dumps(document), "b.json", keep=True).steps
    assert (step.image, step.args) == ("x", ("${_A}",))
    with pytest.raises(BuildFileError) as error:
        steps.read(json.dumps(document | {"timeout": "1h"}), "b.json", keep=True)
    (problem,) = error.value.problems
    assert problem.message == "'1h' is not a time; write seconds, such as 600s"


def test_what_a_check_finds_has_a_place_in_the_file():
    def check(build):
        yield Problem(message="no", path=(*build.steps[0].path, "args"))

    with pytest.raises(BuildFileError) as error:
        steps.read("steps: [{name: x, args: [$_A]}]", "b.yaml", check=check)
    assert [problem.place.column for problem in error.value.problems] == [25, 26]


def test_what_a_build_step_is_made_of():
    args = ["build", "-f", "D", "--build-arg", "A=1", "ctx"]
    step, test = read(
        {"args": args, "dir": "sub"},
        {"name": steps.STRUCTURE_TEST, "args": ["test", "--config", "t"]},
    ).steps
    assert (step.context, step.dockerfile, step.build_args) == ("sub/ctx", "sub/D", {"A": "1"})
    assert test.test_files == ("t",)
    assert test.build_args == {}
    assert step.display_name == "step 1"


def test_null_is_nothing():
    document = {"steps": [{"name": DOCKER, "args": ["pull", "x"], "env": None}]}
    found = steps.read(json.dumps(document | {"substitutions": None, "images": None}), "b.json")
    assert [step.kind for step in found.steps] == ["pull"]


def test_images_are_pushed_when_all_steps_have_succeeded():
    build = {"id": "a", "name": DOCKER, "args": ["build", "-t", "h/a", "."], "waitFor": ["-"]}
    push = {"id": "h/a-push", "name": DOCKER, "args": ["push", "h/a"], "waitFor": ["a"]}
    document = {"steps": [build, push], "images": ["h/a", "h/$_B"], "substitutions": {"_B": "b"}}
    last = steps.read(json.dumps(document), "b.json").steps[2:]
    assert [(step.id, step.tags, step.needs) for step in last] == [
        ("h/a-push-at-the-end", ("h/a",), ("a",)),
        ("h/b-push", ("h/b",), ("a",)),
    ]


def test_values_override_those_of_the_file_and_they_the_defaults():
    text = "steps: [{name: $_A-$_B-$_C}]\nsubstitutions: {_A: file, _B: file}"
    defaults = dict.fromkeys(("_A", "_B", "_C"), "default")
    build = steps.read(text, "b.yaml", {"_A": "given"}, defaults=defaults)
    assert build.steps[0].image == "given-file-default"


def test_images_among_the_artifacts_are_pushed_too():
    push = {"images": ["h/a", "h/b"], "pythonPackages": [{"repository": "r"}]}
    document = {"steps": [{"name": "x"}], "images": ["h/a"], "artifacts": push}
    build = steps.read(json.dumps(document), "b.json")
    assert [step.id for step in build.steps] == ["step 1", "h/a-push", "h/b-push"]
    assert build.uploads == ("pythonPackages",)
    assert not build.fetches


@pytest.mark.parametrize(
    ("more", "unused"),
    [
        ({}, ("_B",)),
        ({"options": {"substitutionOption": "ALLOW_LOOSE"}}, ()),
        ({"options": {"automapSubstitutions": True}}, ()),
        ({"tags": ["${_B}"]}, ()),
    ],
)
def test_substitutions_that_nothing_uses(more, unused):
    values = {"_A": "a", "_B": "b"}
    document = {"steps": [{"name": "$_A"}], "substitutions": values} | more
    assert steps.read(json.dumps(document), "b.json").unused == unused


def test_the_substitutions_that_a_text_holds():
    assert steps.references("$_A ${COMMIT_SHA} $$_B $${_C} $d") == {"_A", "COMMIT_SHA"}
