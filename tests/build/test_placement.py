"""Where steps run, what may push, and what cannot be done here."""

import json

import pytest

from imagekit.build import placement
from imagekit.build.placement import Rules
from imagekit.document import steps
from imagekit.document.cloudbuild import STRUCTURE_TEST
from imagekit.errors import BuildFileError

DOCKER = "gcr.io/cloud-builders/docker"


def read(*raw, **more):
    found = [{"name": DOCKER} | step for step in raw]
    return steps.read(json.dumps({"steps": found} | more), "b.json")


def told(build, **rules):
    return [problem.message for problem in placement.problems(build, Rules(**rules))]


@pytest.mark.parametrize(
    ("step", "place"),
    [
        ({"args": ["build", "-t", "x", "."]}, "docker"),
        ({"args": ["build", "-t", "x", "/workspace/app", "-f", "app/Dockerfile"]}, "docker"),
        (
            {"args": ["build", "-t", "x", "--build-arg", "A=/opt", "https://h.example/r.git"]},
            "docker",
        ),
        ({"args": ["build", "-"]}, "docker"),
        ({"args": ["tag", "a", "b"]}, "docker"),
        ({"args": ["run", "-v", "/workspace:/w", "x", "cat", "/etc/passwd"]}, "docker"),
        ({"name": "docker:27", "args": ["push", "x"]}, "docker"),
        ({"name": "any", "entrypoint": "/usr/bin/docker", "args": ["pull", "x"]}, "docker"),
        ({"name": STRUCTURE_TEST, "args": ["test", "--image", "x", "--config", "t"]}, "test"),
        # What reads another file, or is another program, than it would at Google.
        ({"args": ["build", "-t", "x", "/root"]}, "container"),
        ({"args": ["build", "-t", "x", "../.."], "dir": "sub"}, "container"),
        ({"args": ["build", "-f", "~/Dockerfile", "."]}, "container"),
        ({"args": ["build", "--secret", "id=x,src=/root/.ssh/id", "."]}, "container"),
        ({"args": ["build", "--ssh", "default", "."]}, "container"),
        ({"args": ["build", "-o", "/usr/bin", "."]}, "container"),
        ({"args": ["--config", "evil", "build", "."]}, "container"),
        ({"args": ["-H", "tcp://h.example", "build", "."]}, "container"),
        ({"args": ["cp", "x:/a", "/etc/passwd"]}, "container"),
        ({"args": ["save", "-o/etc/passwd", "x"]}, "container"),
        ({"args": ["image", "save", "-o", "/etc/x", "x"]}, "container"),
        ({"args": ["load", "-qi", "/etc/x"]}, "container"),
        ({"args": ["load", "-i", "x.tar"]}, "docker"),
        ({"args": ["build", "-qf", "/outside", "."]}, "container"),
        ({"args": ["build", "--cgroup-parent", "-x", "/outside"]}, "container"),
        ({"args": ["build", "--build-context", "a=/outside", "."]}, "container"),
        ({"args": ["build", "--build-context", "a=docker-image://b", "."]}, "docker"),
        ({"args": ["build", "--build-arg", "TOKEN", "."]}, "container"),
        ({"args": ["build", "--build-arg", "A", "."], "env": ["A=1"]}, "docker"),
        ({"args": ["run", "-e", "TOKEN", "x"]}, "container"),
        ({"args": ["build", "--secret", "id=TOKEN", "."]}, "container"),
        ({"args": ["build", "--secret", "id=a,env=TOKEN", "."]}, "container"),
        ({"args": ["build", "--secret", "id=a,src=file", "."]}, "docker"),
        ({"args": ["build", "."], "env": ["BUILDX_GIT_CHECK_DIRTY=1"]}, "container"),
        ({"name": "evil.example/docker", "args": ["build", "."]}, "container"),
        ({"name": "any", "entrypoint": "/workspace/docker", "args": ["build", "."]}, "container"),
        ({"name": STRUCTURE_TEST, "args": ["test", "--driver", "host"]}, "container"),
        ({"args": ["run", "--env-file", "/root/.env", "x"]}, "container"),
        ({"args": ["run", "--env-file=/root/.env", "x"]}, "container"),
        ({"args": ["scout", "x"]}, "container"),
        ({"args": []}, "container"),
        ({"args": ["build", "."], "env": ["PATH=/workspace"]}, "container"),
        ({"args": ["build", "."], "env": ["LD_PRELOAD=x.so"]}, "container"),
        ({"args": ["build", "."], "env": ["DOCKER_CONFIG=x"]}, "container"),
        ({"args": ["build", "."], "env": ["DOCKER_BUILDKIT=1"]}, "docker"),
        ({"args": ["build", "."], "dir": "/etc"}, "container"),
        ({"args": ["build", "."], "volumes": [{"name": "ab", "path": "/a"}]}, "container"),
        ({"entrypoint": "bash", "args": ["-c", "docker build ."]}, "container"),
        ({"script": "docker build ."}, "container"),
        ({"name": "any", "args": ["build"]}, "container"),
        ({"name": STRUCTURE_TEST, "args": ["test", "--config", "/etc/passwd"]}, "container"),
        ({"name": STRUCTURE_TEST, "entrypoint": "sh"}, "container"),
    ],
)
def test_where_a_step_runs(step, place):
    (found,) = read(step).steps
    assert placement.place_of(found, Rules()) == place
    chosen = placement.place_of(found, Rules(on_host=True))
    assert chosen in ("docker", "test", "host")


@pytest.mark.parametrize(
    ("step", "engine"),
    [
        ({"entrypoint": "bash"}, True),
        ({"name": "docker/compose:1"}, True),
        ({"name": "any", "entrypoint": "docker", "args": ["scout"]}, True),
        ({"name": "any", "entrypoint": "/workspace/docker"}, False),
        ({"name": "evil.example/docker"}, False),
        ({"name": "evil.example/pack"}, False),
        ({"name": "h.example/own:2"}, True),
        ({"name": "python:3.12"}, False),
        ({"name": "h.example/docker/python"}, False),
    ],
)
def test_the_socket_is_for_those_that_need_it(step, engine):
    (found,) = read(step).steps
    assert placement.needs_engine(found, Rules(socket=("h.example/own:1",))) is engine


@pytest.mark.parametrize(
    ("step", "why"),
    [
        ({"args": ["push", "h/a"]}, ""),
        ({"args": ["image", "push", "h/a"]}, ""),
        ({"args": ["build", "-t", "h/a", "."]}, ""),
        ({"args": ["run", "h/a", "push"]}, ""),
        ({"args": ["image", "tag", "a", "b"]}, ""),
        ({"args": ["--debug"]}, "runs docker, which may push an image"),
        ({"entrypoint": "docker", "args": ["tag", "a", "b"]}, ""),
        ({"args": ["buildx", "build", "-t", "h/a", "--push", "."]}, "pushes what it builds"),
        ({"args": ["build", "--output", "type=registry", "."]}, "pushes what it builds"),
        (
            {"entrypoint": "/usr/bin/docker", "args": ["manifest", "push", "x"]},
            "runs docker manifest",
        ),
        ({"args": ["--debug", "manifest", "push", "x"]}, "runs docker manifest push"),
        ({"args": ["--config", "c", "build", "."]}, "runs docker build with options that"),
        ({"args": ["-H", "tcp://h.example", "build", "."]}, "runs docker build with options that"),
        ({"args": ["buildx", "--builder", "du", "build", "--push"]}, "runs docker buildx"),
        ({"args": ["buildx", "create", "--driver-opt", "image=x"]}, "runs docker buildx create"),
        ({"args": ["build", "--push=True", "."]}, "pushes what it builds"),
        ({"args": ["build", "-qo", "Type=registry", "."]}, "pushes what it builds"),
        ({"args": ["build", "-o", "type=image,push=1", "."]}, "pushes what it builds"),
        ({"args": ["build", "--cache-to", "type=registry,ref=h/a", "."]}, "pushes what it builds"),
        ({"args": ["build", "--cache-to", "h/a", "."]}, "pushes what it builds"),
        ({"args": ["build", "--cache-to", "type=local,dest=c", "--push=false", "."]}, ""),
        ({"args": ["build", "--unknown", "."]}, "runs docker build with options that"),
        ({"args": ["exec", "other", "cat"]}, "runs docker exec other, which may push"),
        ({"args": ["system", "prune", "-af"]}, "runs docker system prune, which may push"),
        ({"args": ["login", "-u", "x"]}, "runs docker login x, which may push"),
        ({"name": "evil.example/docker", "args": ["build", "."]}, "runs 'evil.example/docker'"),
        ({"entrypoint": "/workspace/docker", "args": ["build", "."]}, "runs '/workspace/docker'"),
        (
            {"name": "evil.example/kaniko/executor", "args": ["--no-push"]},
            "runs 'evil.example/kaniko/executor'",
        ),
        (
            {"name": "gcr.io/kaniko-project/executor", "args": ["--no-push=0"]},
            "runs 'gcr.io/kaniko",
        ),
        (
            {"name": "gcr.io/kaniko-project/executor", "args": ["--no-push", "--cache=true"]},
            "runs 'gcr.io/kaniko",
        ),
        (
            {"name": STRUCTURE_TEST, "args": ["test", "--driver", "host"]},
            "runs the tests with other",
        ),
        ({"args": ["--debug", "tag", "a", "b"]}, ""),
        ({"args": ["manifest", "push", "h/a"]}, "runs docker manifest push, which may push"),
        ({"args": ["compose", "push"]}, "runs docker compose push, which may push an image"),
        ({"args": ["buildx", "bake"]}, "runs docker buildx bake, which may push an image"),
        ({"entrypoint": "make", "args": ["push"]}, "runs 'make', which may push an image"),
        ({"script": "docker push h/a"}, "runs a script, which may push an image"),
        (
            {"args": ["build", "."], "env": ["PATH=x"]},
            "sets variables that change what docker does",
        ),
        (
            {"args": ["run", "-v", "/var/run/docker.sock:/var/run/docker.sock", "x"]},
            "gives a container the engine's socket",
        ),
        ({"name": "gcr.io/kaniko-project/executor", "args": ["--no-push"]}, ""),
        ({"name": "gcr.io/kaniko-project/executor", "args": ["-d=x"]}, "pushes what it builds"),
        ({"name": "python:3.12", "args": ["python"]}, "runs 'python', which may push an image"),
    ],
)
def test_what_may_push_is_known_before_anything_runs(step, why):
    found = told(read(step))
    assert len(found) == (1 if why else 0)
    assert not why or (found[0].startswith(f"step 1 {why}") and "; --push permits it" in found[0])
    assert told(read(step), push=True) == []


def test_a_network_is_permitted_apart_from_pushes():
    alone = read({"name": "python:3.12", "script": "x"})
    assert told(alone, allow_network=True) == told(alone, network="none") == []
    (message,) = told(alone, network="host")
    assert message.endswith(
        "; --push permits it, and --allow-network permits it without pushing the images"
    )
    # With the engine's socket, or by itself, it could push all the same.
    for step in ({"script": "x"}, {"name": "gcr.io/kaniko-project/executor", "args": ["-d=x"]}):
        (message,) = told(read(step), allow_network=True)
        assert message.endswith("; --push permits it")
    (message,) = told(alone, allow_network=True, on_host=True)
    assert message.endswith("; --push permits it")


def test_what_cannot_be_done_here_is_one_list():
    steps_of_file = (
        {"name": "python:3.12", "secretEnv": ["A", "B"]},
        {"args": ["run", "-v", "/root:/h", "--mount=type=bind,source=/etc,target=/e", "x"]},
        {"args": ["create", "-v~/x:/x", "--mount", "type=volume,dst=/v", "-v", "name:/v", "x"]},
        {"args": ["run", "--device", "/dev/kvm", "-v", "/workspace/a:/a", "x"]},
        {"args": ["--debug", "run", "-iv", "/p:/h", "x"]},
        {"args": ["run", "--mount", '"Type=bind",Source=/q,target=/h', "x"]},
        {"args": ["run", "--mount", "type=volume,volume-opt=device=/p,dst=/h", "x"]},
        {"args": ["run", "--privileged", "-v", "name:/workspace", "x"]},
        {"name": "--volume=/p:/h", "args": ["push", "x"]},
    )
    build = read(*steps_of_file, dependencies=[{"empty": True}])
    found = told(build, secret_env=("B",), push=True)
    assert found == [
        "'dependencies' are not fetched here; clone them yourself and remove the key",
        "step 1 needs the secret A, which is not fetched here; set A in the environment and use "
        "--secret-env A",
        *(
            f"step {number} uses {path} of this machine; --on-host permits it"
            for number, path in (
                *((2, "/root"), (2, "/etc"), (3, "~/x"), (4, "/dev/kvm"), (5, "/p"), (6, "/q")),
                (7, "/"),
            )
        ),
        "step 8 runs a privileged container, which can do everything on this machine; "
        "--on-host permits it",
        "step 9 has the name '--volume=/p:/h', which is not that of an image; correct it",
    ]


def test_what_only_a_container_can_do_is_not_done_on_the_host():
    volume = {"volumes": [{"name": "ab", "path": "/a"}], "script": "x"}
    build = read({"name": "python:3.12"}, volume, {"name": "gcr.io/cloud-builders/npm"})
    assert told(build, on_host=True, push=True) == [
        "step 1 runs a program that only the image python:3.12 knows; leave out --on-host",
        "step 2 has volumes, which need a container; leave out --on-host",
    ]


def test_problems_have_their_place_in_the_file():
    text = "steps: [{name: x, script: go, secretEnv: [A]}]\nimages: [h/a]"
    with pytest.raises(BuildFileError) as error:
        steps.read(text, "b.yaml", check=lambda build: placement.problems(build, Rules()))
    assert [str(problem.place) for problem in error.value.problems] == ["b.yaml:1:9", "b.yaml:1:42"]


@pytest.mark.parametrize(
    ("step", "described"),
    [
        ({"args": ["build", "-t", "a b", "."]}, "on this machine: docker build -t 'a b' ."),
        (
            {"name": STRUCTURE_TEST, "args": ["test"]},
            "on this machine: container-structure-test test",
        ),
        (
            {"name": "python:3.12", "args": ["-V"], "dir": "a/../b"},
            "in a container of python:3.12, in /workspace/b: -V",
        ),
        (
            {"name": "x", "entrypoint": "sh", "args": ["-c", "a b"]},
            "in a container of x, in /workspace: sh -c 'a b'",
        ),
        ({"name": "x", "script": "a\nb"}, "in a container of x, in /workspace: the script"),
    ],
)
def test_what_runs_where_in_one_line(step, described):
    (found,) = read(step).steps
    assert placement.described(found, placement.place_of(found, Rules())) == described


def test_what_runs_on_the_host_in_one_line():
    npm, script = read({"name": "gcr.io/cloud-builders/npm", "args": ["ci"]}, {"script": "x"}).steps
    assert placement.described(npm, "host") == "on this machine: npm ci"
    assert placement.described(script, "host") == "on this machine: the script"


@pytest.mark.parametrize(
    ("script", "command"),
    [
        ("true", ["/bin/sh", "FILE"]),
        ("#!/bin/bash\ntrue", ["/bin/bash", "FILE"]),
        ("#! /usr/bin/env -S python3 -u\r\nx", ["/usr/bin/env", "-S python3 -u", "FILE"]),
        ("#!\ntrue", ["/bin/sh", "FILE"]),
    ],
)
def test_a_script_runs_with_the_program_of_its_first_line(script, command):
    (step,) = read({"script": script}).steps
    assert placement.command_of(step, "FILE") == command
    assert placement.container_words(step, "FILE") == (command[0], command[1:])


def test_docker_gets_its_own_variables_and_those_that_it_names():
    env = ["DOCKER_BUILDKIT=1", "A=1", "B=2"]
    (step,) = read({"args": ["build", "--build-arg", "A", "."], "env": env}).steps
    assert placement.environment(step) == {"DOCKER_BUILDKIT": "1", "A": "1"}


def test_the_image_decides_on_the_program_without_an_entrypoint():
    (step,) = read({"name": "x", "args": ["a"]}).steps
    assert placement.command_of(step, "") is None
    assert placement.container_words(step, "") == (None, ["a"])


@pytest.mark.parametrize(
    ("args", "here"),
    [
        (
            ["build", "-f/workspace/a/D", "--build-arg", "A=/workspace", "/workspace"],
            ["build", "-f/x\\1/a/D", "--build-arg", "A=/workspace", "/x\\1"],
        ),
        (
            ["run", "-v/workspace:/workspace", "-w", "/workspace", "x", "ls", "/workspace"],
            ["run", "-v/x\\1:/workspace", "-w", "/workspace", "x", "ls", "/workspace"],
        ),
        (
            ["run", "--mount=type=bind,source=/workspace/a,target=/workspace/b", "x"],
            ["run", "--mount=type=bind,source=/x\\1/a,target=/workspace/b", "x"],
        ),
        (["build", "/workspaces"], ["build", "/workspaces"]),
        (["frobnicate", "/workspace"], ["frobnicate", "/workspace"]),
    ],
)
def test_paths_of_the_workspace_are_those_of_the_folder(args, here):
    (step,) = read({"args": args}).steps
    assert placement.args_here(step, "/x\\1") == here


def test_paths_in_the_arguments_of_tests_are_those_of_the_folder():
    args = ["test", "--config=/workspace/a", "-c", "/workspace/b", "--image", "x"]
    (step,) = read({"name": STRUCTURE_TEST, "args": args}).steps
    assert placement.args_here(step, "/y") == ["test", "--config=/y/a", "-c", "/y/b", *args[4:]]


@pytest.mark.parametrize(
    ("args", "own"),
    [
        (["run", "--network=cloudbuild", "x"], ["run", "--network=own", "x"]),
        (["run", "--net", "cloudbuild", "x"], ["run", "--net", "own", "x"]),
        (["run", "--network", "host", "cloudbuild"], ["run", "--network", "host", "cloudbuild"]),
    ],
)
def test_the_network_of_google_is_that_of_the_build(args, own):
    (step,) = read({"args": args}).steps
    assert placement.in_network(step, args, "own", only=False) == own
    assert placement.needs_network(step, Rules(push=True)) is (args != own)
    assert placement.in_network(step, args, None, only=False) == args


@pytest.mark.parametrize(
    ("args", "alone"),
    [
        (["run", "-d", "x", "ls"], ["run", "--network", "none", "-d", "x", "ls"]),
        (["run", "--network=host", "x"], ["run", "--network=none", "x"]),
        (["container", "create", "x"], ["container", "create", "--network", "none", "x"]),
        (["build", "."], ["build", "."]),
    ],
)
def test_without_a_network_no_container_has_one(args, alone):
    (step,) = read({"args": args}).steps
    assert placement.in_network(step, args, "none", only=True) == alone


def test_containers_of_docker_run_reach_nothing_without_permission():
    run, build = read({"args": ["run", "x"]}, {"args": ["build", "."]}).steps
    for rules in (Rules(push=True), Rules(allow_network=True), Rules(on_host=True)):
        assert not placement.is_held(run, rules)
        assert not placement.needs_network(run, rules)
    assert placement.is_held(run, Rules())
    assert placement.needs_network(run, Rules())
    assert not placement.needs_network(run, Rules(network="host"))
    assert not placement.is_held(build, Rules())
    assert not placement.needs_network(build, Rules())


@pytest.mark.parametrize(
    ("args", "kept"),
    [
        (["--network=cloudbuild", "-t", "x", "."], ["-t", "x", "."]),
        (["-t", "x", "--network", "cloudbuild", "."], ["-t", "x", "."]),
        (["--network", "host", "-t", "cloudbuild"], ["--network", "host", "-t", "cloudbuild"]),
        (["--network"], ["--network"]),
    ],
)
def test_the_network_of_google_is_left_out_of_builds(args, kept):
    assert placement.without_network_of_google(args) == kept
