import pytest

from imagekit.document import docker_args
from imagekit.document.cloudbuild import BUILDER, STRUCTURE_TEST
from imagekit.document.docker_args import action, build_arguments, kaniko_arguments, program_of


@pytest.mark.parametrize(
    ("builder", "entrypoint", "program"),
    [
        (BUILDER, None, "docker"),
        (f"{BUILDER}:latest", None, "docker"),
        (f"{BUILDER}@sha256:{'0' * 64}", None, "docker"),
        ("docker", None, "docker"),
        ("docker.io/library/docker:27-cli", None, "docker"),
        ("localhost:5000/buildx", None, "docker"),
        ("gcr.io/k8s-testimages/gcb-docker-gcloud", None, "other"),
        ("gcr.io/k8s-testimages/gcb-docker-gcloud", "docker", "docker"),
        (BUILDER, "/usr/bin/docker", "docker"),
        (BUILDER, "bash", "other"),
        ("gcr.io/kaniko-project/executor:v1", None, "kaniko"),
        ("gcr.io/kaniko-project/executor:v1", "sh", "other"),
        ("executor", None, "other"),
        (STRUCTURE_TEST, None, "test"),
    ],
)
def test_the_program_of_a_step(builder, entrypoint, program):
    assert program_of(builder, entrypoint) == program


@pytest.mark.parametrize(
    ("args", "kind", "images", "verb"),
    [
        (["build", "-t", "a", "."], "build", ["a"], 1),
        (["image", "build", "-t", "a", "."], "build", ["a"], 2),
        (["buildx", "b", "-t", "a", "."], "build", ["a"], 2),
        (["--debug", "--config", "x", "build", "-t", "a"], "build", ["a"], 4),
        (["push", "a"], "push", ["a"], 1),
        (["image", "push", "-q", "--platform", "p", "a"], "push", ["a"], 2),
        (["pull", "a"], "pull", ["a"], 1),
        (["push"], "push", [], 1),
        (["image", "prune"], "other", [], 0),
        (["compose", "build"], "other", [], 0),
        (["--debug"], "other", [], 0),
        ([], "other", [], 0),
    ],
)
def test_the_commands_of_docker(args, kind, images, verb):
    found = action(BUILDER, args)
    assert (found.kind, [*found.images], found.verb) == (kind, images, verb)


@pytest.mark.parametrize("flag", ["-a", "--all-tags", "--all-tags=true"])
def test_a_push_of_all_tags(flag):
    found = action(BUILDER, ["push", flag, "h/a"])
    assert (found.images, found.all_tags) == (["h/a"], True)


@pytest.mark.parametrize("last", ["--", "-t", "--build-arg"])
def test_an_option_that_lacks_its_value_is_none(last):
    read = action(BUILDER, ["build", ".", last]).build
    assert (read.context, read.tags, read.build_args, read.options) == (".", [], {}, [])


def test_dashes_alone_end_the_options():
    read = action(BUILDER, ["build", "--=x", "-t", "r:a", "--", "-odd"]).build
    assert (read.context, read.options) == ("-odd", [("--", "x")])


@pytest.mark.parametrize("args", [["push"], ["push", "--quiet"], ["pull", "-a"], ["build"], []])
def test_what_names_no_image(args):
    found = action(BUILDER, args)
    assert (list(found.images), found.kind) == ([], args[0] if args else "other")


@pytest.mark.parametrize(
    ("args", "tags", "pushes"),
    [
        (["--push"], [], True),
        (["--push=true"], [], True),
        (["--push=false"], [], False),
        (["--output", "type=registry"], [], True),
        (["-o", "type=image,name=a,push=true"], ["a"], True),
        (["-otype=docker,name=a"], ["a"], False),
        (['--output=type=image,"name=a,b",push=true', "-t", "a"], ["a", "b", "a"], True),
        (["-t", "a", "--output=type=image,name=a"], ["a"], False),
    ],
)
def test_what_buildx_pushes(args, tags, pushes):
    found = build_arguments(["build", *args, "."])
    assert (found.tags, found.pushes) == (tags, pushes)


@pytest.mark.parametrize(
    ("args", "tags", "dockerfile", "context"),
    [
        (["-ta", "-fD", "c"], ["a"], "D", "c"),
        (["-t=a", "-f=D", "c"], ["a"], "D", "c"),
        (["-t", "a", "--", "c"], ["a"], None, "c"),
        (["-q", "c"], [], None, "c"),
    ],
)
def test_short_options_of_a_build(args, tags, dockerfile, context):
    found = build_arguments(["build", *args])
    assert (found.tags, found.dockerfile, found.context) == (tags, dockerfile, context)


@pytest.mark.parametrize(
    ("args", "context", "dockerfile"),
    [
        ([], ".", "Dockerfile"),
        (["--context=dir://"], ".", "Dockerfile"),
        (["--context", "dir:///workspace/app"], "app", "app/Dockerfile"),
        (["-c", "app", "-f", "Dockerfile.run"], "app", "app/Dockerfile.run"),
        (["-c", "app", "-f", "/workspace/app/D"], "app", "app/D"),
        (["-c", "app", "-f", "/elsewhere/D"], "app", "/elsewhere/D"),
        (["-c", ".", "--context-sub-path=app"], "app", "app/Dockerfile"),
        (["-f", "app/D"], ".", "app/D"),
        (["--context=gs://b/x.tar.gz"], "gs://b/x.tar.gz", "gs://b/x.tar.gz/Dockerfile"),
        (["stray", "--verbosity=debug"], ".", "Dockerfile"),
    ],
)
def test_the_context_of_kaniko(args, context, dockerfile):
    found = kaniko_arguments(["--destination", "a", *args])
    assert found.paths_from(".") == (context, dockerfile)
    assert found.pushes


def test_kaniko_may_not_push():
    found = kaniko_arguments(["-d", "a", "--destination=b", "--no-push", "--build-arg", "A=1"])
    assert (found.tags, found.pushes, found.build_args) == (["a", "b"], False, {"A": "1"})


@pytest.mark.parametrize(
    "address", ["https://github.com/a/b.git#main:docker", "git@github.com:a/b", "github.com/a/b"]
)
def test_an_address_is_kept_as_it_is_written(address):
    found = build_arguments(["build", "-f", "D", address])
    assert found.is_remote
    assert found.paths_from("sub") == (address, f"{address}/D")


def test_the_tests_of_a_structure():
    args = ["test", "--image", "a", "--config=x", "-c", "y", "--config"]
    assert action(STRUCTURE_TEST, args).images == ("a",)
    assert docker_args.test_files(args) == ("x", "y")
