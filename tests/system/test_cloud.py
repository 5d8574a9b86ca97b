"""Builds at Cloud Build: the real gcloud, and a service on loopback that really builds."""

import itertools
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys

import msgspec
import pytest
import yaml

import imagekit
from imagekit.build import report as reports
from imagekit.build.cloud import upload
from imagekit.build.cloud.gcloud import Gcloud
from imagekit.build.cloud.library import Library
from imagekit.build.cloud.logs import Log
from imagekit.build.cloud.service import LogOptions
from imagekit.cli.app import cli
from imagekit.docker.names import registry_of
from imagekit.errors import CloudError
from imagekit.notebook import build_report
from tests.conftest import ROOT
from tests.system.cloud import Cloud, builder, call, gcloud, now
from tests.system.conftest import CA_BUNDLE, COMPILING, missing, new_engine, run, wait_until
from tools.family import copied


@pytest.fixture(autouse=True, scope="module")
def _has_gcloud():
    if gcloud() is None:
        missing("no gcloud: cloud.google.com/sdk/docs/install")


MATRIX = """
base_url: {address}/ml
base_images: {{bookworm: {{BASE_IMAGE: "{bases}/ubuntu:bookworm", UBUNTU_VERSION: bookworm}}}}
python_versions: {{py311: {{PYTHON_VERSION: 3.11}}}}
gpu_versions: {{cuda130: {{CUDA: 13.0.3}}}}
images:
  - {{base_image: bookworm, python: py311, gpu: cuda130}}
recipes:
  gpu: {{test: dockerfiles/tests/cuda.yaml, build_args: {{UV_IMAGE: "imagekit.test/uv:1"}}}}
  gpu-base: {{build_args: {{CUDA_IMAGE: "{bases}/cuda"}}}}
cloudbuild: {options}
"""
PLAIN = """
base_url: {address}/ml
base_images: {{b: {{BASE_IMAGE: "imagekit.test/ubuntu:bookworm", UBUNTU_VERSION: 1}}}}
python_versions: {{py1: {{PYTHON_VERSION: 1, SECONDS: 0}}, py2: {{PYTHON_VERSION: 2}}}}
images: [{{base_image: b, python: [py1, py2]}}]
recipes: {{cpu: {{dockerfile: Dockerfile}}}}
cloudbuild: {options}
"""
PARENT_AND_CHILD = """
base_url: {address}/ml
python_versions: {{py1: {{}}}}
images: [{{recipe: child, python: py1}}]
recipes:
  parent: {{axes: [], dockerfile: Dockerfile.parent, tag: parent}}
  child: {{axes: python, parent: parent, dockerfile: Dockerfile.child, tag: "child-{{python}}"}}
cloudbuild: {options}
"""
SLOW = """
ARG BASE_IMAGE
FROM ${BASE_IMAGE}
ARG PYTHON_VERSION
ARG SECONDS=600
RUN echo slow $PYTHON_VERSION && sleep $SECONDS
"""


@pytest.fixture
def checkout(tmp_path):
    """This repository, as a person has it who submits it."""
    folder = tmp_path / "checkout"
    folder.mkdir()
    # With the shipped Dockerfiles, which are built.
    return copied(folder, ROOT)


@pytest.fixture
def cloud(tmp_path, docker, registry):
    """The service. Each build begins on an engine that holds none of the images to build."""

    def forget():
        names = run(docker, "image", "ls", "--format", "{{.Repository}}:{{.Tag}}").split()
        # What another build has taken the name from has none, and cannot be removed by it.
        named = [name for name in names if not name.endswith(":<none>")]
        # Other tests build on this engine at the same time.
        ours = [name for name in named if name.startswith(f"{registry.address}/")]
        if ours:
            run(docker, "image", "rm", "--force", *ours)

    with Cloud(tmp_path / "cloud", builder(docker, CA_BUNDLE), forget) as found:
        yield found


@pytest.fixture
def idle(tmp_path):
    """The service, with nothing that would build: for what comes before a build."""
    with Cloud(tmp_path / "cloud", lambda *_: [sys.executable, "-c", ""]) as found:
        yield found


def imagekit_in(folder, service, *args, **environment):
    """Run `imagekit` against the service: its finished process."""
    with started(folder, service, *args, **environment) as process:
        out, err = process.communicate()
    return subprocess.CompletedProcess(args, process.returncode, out, err)


def started(folder, service, *args, **environment):
    # Whatever this machine's own gcloud is set to is no part of a test.
    env = os.environ | service.environment(folder / "gcloud") | environment
    return subprocess.Popen(
        [sys.executable, "-m", "imagekit", *args],
        cwd=folder,
        env={key: value for key, value in env.items() if value is not None},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def write_config(folder, registry, matrix=MATRIX, options="{project: p}"):
    text = matrix.format(address=registry.address, bases=COMPILING, options=options)
    (folder / "images.yaml").write_text(text)
    if matrix is MATRIX:
        return
    (folder / ".gcloudignore").write_text("/*\n!/Dockerfile*\n")
    (folder / "Dockerfile").write_text(SLOW)
    (folder / "Dockerfile.parent").write_text("FROM scratch\nCOPY Dockerfile.parent /\n")
    child = "ARG BASE_IMAGE\nFROM ${BASE_IMAGE}\nCOPY Dockerfile.child /\n"
    (folder / "Dockerfile.child").write_text(child)


# The service answers a question after the state of a build when there is news. Where a test is not
# about gcloud, the client library submits: gcloud takes a second of processor time at each start.
SUBMIT = ("submit", "-c", "images.yaml", "--interval", "0.1")


def generated(folder, service, registry, **config):
    write_config(folder, registry, **config)
    done = imagekit_in(folder, service, "generate", "-c", "images.yaml")
    assert done.returncode == 0, done.stderr
    return done


def states(folder):
    found = reports.read(folder / "runs/build/report.json")
    return {entry.id.rpartition(":")[2]: entry.state for entry in found.steps}


# ---- what is built


def test_gcloud_builds_this_repository(checkout, cloud, registry):
    generated(checkout, cloud, registry)
    home = checkout / "gcloud"
    done = call(
        *(cloud, home, "builds", "submit", "--project=p", "--config=cloudbuild.json", "--async"),
        *("--format=json", "."),
        cwd=checkout,
    )
    assert done.returncode == 0, done.stderr
    name = json.loads(done.stdout)["id"]
    wait_until(lambda: cloud.builds[name]["build"]["status"] in ("SUCCESS", "FAILURE"), 300)
    build, lines = cloud.builds[name]["build"], cloud.builds[name]["lines"]
    assert build["status"] == "SUCCESS", lines[-30:]
    tags = ["gpu-base-bookworm-cuda130", "gpu-bookworm-py311-cuda130"]
    assert registry.tags() == tags
    # What was watched afterwards by its id tells the same, with the digests of the registry.
    watched = imagekit_in(checkout, cloud, "submit", "--project", "p", "--resume", name)
    assert watched.returncode == 0, watched.stderr
    found = reports.read(checkout / "runs/build/report.json")
    pushed = {e.images[0].rpartition(":")[2]: e.digest for e in found.steps if e.kind == "push"}
    assert pushed == {tag: registry.digest(tag) for tag in tags}


def test_a_split_build_is_built_in_order_and_pulls_its_parent(checkout, cloud, registry):
    options = "{project: p, limits: {steps: 3}}"
    said = generated(checkout, cloud, registry, matrix=PARENT_AND_CHILD, options=options)
    assert "2 images in 2 build files" in said.stdout
    submit = (*SUBMIT, "--via", "library")
    done = imagekit_in(checkout, cloud, *submit)
    assert done.returncode == 0, done.stdout + done.stderr
    first, second = (kept["build"] for kept in cloud.builds.values())
    assert first["finishTime"] < second["createTime"]
    pull = next(s for s in second["steps"] if s["args"][0] == "pull")
    assert pull["status"] == "SUCCESS"
    assert registry.tags() == ["child-py1", "parent"]
    found = reports.read(checkout / "runs/build/report.json")
    assert [(b.file, b.status) for b in found.builds] == [
        ("cloudbuild-01.json", "SUCCESS"),
        ("cloudbuild-02.json", "SUCCESS"),
    ]
    assert found.outcome == "succeeded"
    # The notebook of builds reads it like a local build's.
    shown = build_report.read(str(checkout / "runs/build/report.json"))
    assert build_report.verdict(shown).values["steps"] == {"succeeded": len(found.steps)}
    assert f"{first['id']} success, {first['logUrl']}" in done.stdout
    log = checkout / "runs/build" / next(e.log for e in found.steps if e.kind == "pull")
    assert "Pull complete" in log.read_text() or "Downloaded newer image" in log.read_text()
    again = imagekit_in(checkout, cloud, *submit, "--resume")
    assert (again.returncode, len(cloud.builds)) == (0, 2), "what has succeeded is not built again"
    # Unless what it is made of has changed.
    with (checkout / "Dockerfile.child").open("a") as file:
        file.write("LABEL changed=yes\n")
    again = imagekit_in(checkout, cloud, *submit, "--resume")
    assert (again.returncode, len(cloud.builds)) == (0, 3), again.stdout + again.stderr


def test_the_client_library_does_the_same(checkout, cloud, registry):
    generated(checkout, cloud, registry, matrix=PLAIN)
    done = imagekit_in(checkout, cloud, *SUBMIT, "--via", "library", "--file", one_image(checkout))
    assert done.returncode == 0, done.stdout + done.stderr
    assert registry.tags() == ["cpu-b-py1"]
    assert states(checkout) == {"cpu-b-py1": "succeeded", "cpu-b-py1-push": "succeeded"}
    (log,) = (checkout / "runs/build").glob("001-*.log")
    assert "slow 1" in log.read_text()


def one_image(folder):
    """A build file of one image, that is built at once."""
    config = imagekit.load(folder / "images.yaml")
    text = imagekit.render(imagekit.plan(config, only=["*py1"]), config)
    (folder / "one.json").write_text(text)
    return "one.json"


def test_cloud_build_pushes_and_signs_by_itself_and_logs_may_be_elsewhere(
    checkout, cloud, registry
):
    options = "{publish: provenance, logging: CLOUD_LOGGING_ONLY, project: p}"
    generated(checkout, cloud, registry, matrix=PLAIN, options=options)
    done = imagekit_in(checkout, cloud, *SUBMIT, "--stream", "--file", one_image(checkout))
    assert done.returncode == 0, done.stdout + done.stderr
    (kept,) = cloud.builds.values()
    assert kept["build"]["options"]["requestedVerifyOption"] == "VERIFIED"
    found = reports.read(checkout / "runs/build/report.json")
    assert found.steps[-1].digest == registry.digest("cpu-b-py1")
    (log,) = (checkout / "runs/build").glob("001-*.log")
    lines = log.read_text().splitlines()
    assert any("slow 1" in line for line in lines)
    own = [line for _, line in kept["lines"] if line.startswith("Step #0 ")]
    assert len(lines) == len(own), "each line once"
    assert all(line in done.stdout for line in own)


def test_layers_of_last_time_are_taken_from_the_registry(checkout, cloud, registry, tiny_tree):
    generated(checkout, cloud, registry, matrix=PLAIN, options="{cache: registry, project: p}")
    name = one_image(checkout)
    for _ in range(2):
        # What this engine remembers of building is not there on Cloud Build's next machine.
        with new_engine(tiny_tree, "imagekit.test/ubuntu:bookworm"):
            done = imagekit_in(checkout, cloud, *SUBMIT, "--via", "library", "--file", name)
            assert done.returncode == 0, done.stdout + done.stderr
    (log,) = (checkout / "runs/build").glob("001-*.log")
    assert "CACHED" in log.read_text()
    assert "importing cache manifest" in log.read_text()


# ---- what fails


def test_an_image_that_fails_ends_the_build_with_6(checkout, cloud, registry):
    generated(checkout, cloud, registry, matrix=PLAIN, options="{project: p, limits: {steps: 2}}")
    (checkout / "Dockerfile").write_text(SLOW.replace("echo slow", "false"))
    done = imagekit_in(checkout, cloud, *SUBMIT, "--via", "library")
    assert done.returncode == 6, done.stdout + done.stderr
    assert len(cloud.builds) == 1, "the next file is not built"
    assert states(checkout) == {
        "cpu-b-py1": "failed",
        "cpu-b-py1-push": "blocked",
        "cpu-b-py2": "blocked",
        "cpu-b-py2-push": "blocked",
    }
    assert "1 build file not submitted" in done.stdout
    assert registry.tags() == []


@pytest.fixture
def watched(checkout, cloud, registry):
    """A slow build that is being watched: how to interrupt it."""
    generated(checkout, cloud, registry, matrix=PLAIN)
    is_over = cloud.is_news
    cloud.is_news = lambda build: (
        is_over(build) or any(step.get("status") == "WORKING" for step in build["steps"])
    )

    def interrupted(*more):
        with started(checkout, cloud, *SUBMIT, *more) as process:
            wait_until(lambda: "running" in process.stdout.readline(), 120)
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=300)
        return process.returncode, out, err

    return interrupted


def test_ctrl_c_leaves_the_build_alone_and_it_can_be_watched_again(watched, checkout, cloud):
    code, _, err = watched("--via", "library")
    assert code == 130
    (name,) = cloud.builds
    assert cloud.builds[name]["build"]["status"] == "WORKING"
    told = "is still running; imagekit submit --config images.yaml --resume watches"
    assert f"build {name} {told}" in err
    cloud.cancel("p", name)
    resume = ("--resume", name, "--via", "library")
    again = imagekit_in(checkout, cloud, *SUBMIT, "--project", "p", *resume)
    assert (again.returncode, len(cloud.builds)) == (130, 1)
    assert f"build {name} cancelled" in again.stdout
    assert "interrupted" in states(checkout).values()


def test_ctrl_c_ends_the_build_where_that_is_asked_for(watched, checkout, cloud):
    code, out, _ = watched("--cancel", "--via", "library")
    assert code == 130
    (kept,) = cloud.builds.values()
    assert kept["build"]["status"] == "CANCELLED"
    assert f"build {kept['build']['id']} cancelled" in out
    assert reports.read(checkout / "runs/build/report.json").outcome == "interrupted"


@pytest.fixture
def ready(checkout, idle):
    """A checkout with a build file for Artifact Registry, and a service without anything."""
    config = "base_url: us-docker.pkg.dev/p/images/ml\npython_versions: {py1: {}}\n"
    config += "images: [{python: py1}]\nrecipes: {cpu: {dockerfile: Dockerfile}}\n"
    (checkout / "images.yaml").write_text(config)
    (checkout / "Dockerfile").write_text("FROM scratch\n")
    (checkout / ".gcloudignore").write_text("/*\n!/Dockerfile\n")
    assert imagekit_in(checkout, idle, "generate", "-c", "images.yaml").returncode == 0
    return checkout


BUILD_FILE = pathlib.Path("cloudbuild.json")


@pytest.fixture
def client(ready, idle, monkeypatch):
    """Make a client for the service, like `imagekit submit` in the checkout.

    It starts gcloud for what it is asked alone, where a submission asks for much before that.
    """
    for key, value in idle.environment(ready / "gcloud").items():
        monkeypatch.setenv(key, value)
    monkeypatch.chdir(ready)

    def made(via="gcloud", **options):
        return Library(ready, **options) if via == "library" else Gcloud("gcloud", **options)

    return made


LOGGED_OUT = {"CLOUDSDK_AUTH_DISABLE_CREDENTIALS": None}


@pytest.mark.parametrize(
    ("args", "environment", "message"),
    [
        (["--gcloud", "no-gcloud"], {}, "program 'no-gcloud' not found; install Google Cloud's"),
        (["--via", "library"], {}, "no project is set; use --project"),
        (["--via", "library", "--project", "p"], LOGGED_OUT, "run gcloud auth application-default"),
        (["--via", "library", "--project", "denied"], {}, "does not have permission; ask for"),
        (
            ["--via", "library", "--project", "rejected"],
            {},
            "invalid build: no; Cloud Build rejected",
        ),
    ],
)
def test_what_google_cloud_refuses_is_one_line_and_7(ready, idle, args, environment, message):
    idle.repositories.add(("p", "us", "images"))
    idle.denied.add("denied")
    idle.rejected["rejected"] = "invalid build: no"
    done = imagekit_in(ready, idle, *SUBMIT, *args, **environment)
    assert done.returncode == 7, done.stdout + done.stderr
    assert message in done.stderr
    told = [line for line in done.stderr.splitlines() if "warning:" not in line]
    assert len(told) == 1
    assert idle.builds == {}


@pytest.mark.parametrize(
    ("project", "message"),
    [
        (None, "[project] is not currently set; give --project, set 'project' under"),
        ("denied", "PERMISSION_DENIED: The caller does not have permission; ask"),
        ("rejected", "INVALID_ARGUMENT: invalid build: no; Cloud Build rejected"),
        ("logged-out", "not logged in; run gcloud auth login"),
    ],
)
def test_what_gcloud_says_of_a_refused_build_is_told_with_a_remedy(
    client, idle, monkeypatch, project, message
):
    idle.denied.add("denied")
    idle.rejected["rejected"] = "invalid build: no"
    if project == "logged-out":
        for name in LOGGED_OUT:
            monkeypatch.delenv(name)
    with pytest.raises(CloudError) as refused:
        client(project=project).submit(BUILD_FILE, [])
    assert message in str(refused.value)
    assert len(str(refused.value).splitlines()) == 1
    assert idle.builds == {}


def test_a_build_that_does_not_exist_is_told(client):
    with pytest.raises(CloudError, match="NOT_FOUND: Requested entity was not found"):
        client(project="p").describe("none")


def test_gcloud_says_that_a_repository_is_missing(client):
    assert client().exists(registry_of("us-docker.pkg.dev/p/images/ml")) is False


def test_a_repository_that_is_missing_is_told_before_anything_is_uploaded(ready, idle):
    done = imagekit_in(ready, idle, *SUBMIT, "--project", "p", "--via", "library")
    assert done.returncode == 7
    create = "gcloud artifacts repositories create images --repository-format=docker --location=us"
    assert f"create it: {create} --project=p" in done.stderr
    assert not [path for method, path in idle.asked if "upload" in path]


def test_what_the_upload_would_lack_is_told(ready, idle):
    (ready / ".gcloudignore").write_text("/*\n")
    done = imagekit_in(ready, idle, *SUBMIT, "--project", "p")
    assert done.returncode == 5
    assert done.stderr.endswith(
        "Dockerfile: the build needs this file, and .gcloudignore excludes it\n"
    )


def test_a_build_file_that_is_out_of_date_is_not_submitted(ready, idle):
    text = (ready / "images.yaml").read_text()
    (ready / "images.yaml").write_text(text.replace("py1", "py2"))
    done = imagekit_in(ready, idle, *SUBMIT, "--project", "p")
    assert done.returncode == 4
    assert "cloudbuild.json is out of date" in done.stderr
    assert idle.builds == {}


def test_the_script_that_a_dry_run_prints_runs_gcloud(ready, idle):
    text = (ready / "images.yaml").read_text().replace("py1: {}", 'py1: {X: "${_A} ${_B}"}')
    (ready / "images.yaml").write_text(text + 'cloudbuild: {substitutions: {_A: "", _B: ""}}\n')
    assert imagekit_in(ready, idle, "generate", "-c", "images.yaml").returncode == 0
    more = ("--project", "p", "--region", "europe-west1", "--substitution", "_A=1,2")
    done = imagekit_in(ready, idle, *SUBMIT, *more, "--substitution", "_B=3", "--dry-run")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[2].startswith("gcloud builds submit . --config=cloudbuild.json --project=p")
    assert idle.asked == []
    # The command does what it says: Cloud Build is given the substitutions and the region.
    env = os.environ | idle.environment(ready / "gcloud")
    # Waiting, gcloud reads the log from a host that cannot be configured.
    assert lines[2].endswith(" --suppress-logs")
    command = ["sh", "-c", done.stdout.replace("--suppress-logs", "--async")]
    ran = subprocess.run(command, cwd=ready, env=env, check=False, capture_output=True)
    assert ran.returncode == 0, ran.stderr
    (kept,) = idle.builds.values()
    assert kept["location"] == "europe-west1"
    assert kept["build"]["substitutions"] == {"_A": "1,2", "_B": "3"}


def test_each_file_is_given_the_substitutions_that_it_uses(ready, idle, client):
    idle.repositories.add(("p", "us", "images"))
    text = (ready / "images.yaml").read_text()
    text = text.replace("{py1: {}}", '{py1: {X: "${_A}"}, py2: {X: "${_B}"}}')
    text = text.replace("python: py1", "python: [py1, py2]")
    more = "{project: p, limits: {steps: 2}, substitutions: {_A: a, _B: b}}"
    (ready / "images.yaml").write_text(f"{text}cloudbuild: {more}\nsource: https://example.com\n")
    assert imagekit_in(ready, idle, "generate", "-c", "images.yaml").returncode == 0

    def given():
        found = [kept["build"]["substitutions"] for kept in idle.builds.values()]
        return [{k: v for k, v in one.items() if k[0] == "_"} for one in found]

    done = imagekit_in(ready, idle, *SUBMIT, "--via", "library", "--substitution", "_B=new")
    assert done.returncode == 0, done.stdout + done.stderr
    assert given() == [{"_A": "a"}, {"_B": "new"}]
    idle.builds.clear()
    # That gcloud passes on what it is given, the script of a dry run shows.
    client(project="p", substitutions={"_B": "new"}).submit(pathlib.Path("cloudbuild-01.json"), [])
    assert given() == [{"_A": "a"}]
    done = imagekit_in(ready, idle, *SUBMIT, "--substitution", "_C=1")
    assert done.returncode == 2
    assert "no build file uses ${_C}" in done.stderr


def test_gcloud_ends_a_build(client, idle):
    build = {"id": "b", "projectId": "p", "status": "QUEUED"}
    idle.builds["b"] = {"build": build, "location": "europe-west1"}
    client(project="p", region="europe-west1").cancel("b")
    assert idle.builds["b"]["build"]["status"] == "CANCELLED"
    assert ("POST", "/v1/projects/p/locations/europe-west1/builds/b:cancel?alt=json") in idle.asked


@pytest.mark.parametrize("via", ["gcloud", "library"])
def test_a_log_is_kept_byte_by_byte(client, idle, tmp_path, via):
    service = client(via, project="p")
    build = client("library", project="p").submit(BUILD_FILE, ["Dockerfile"])
    whole = ('Step #0 - "x": 5%\r 10%\r\nStep #0 - "x": ✓ done\r\n' * 50).encode()
    log = Log(tmp_path / "log.txt", None, [], 0)
    # Two halves, of which the first ends amid a line.
    for length in (len(whole) // 2 + 1, len(whole)):
        idle.builds[build.id]["raw"] = whole[:length]
        log.read(service, build)
        assert log.path.read_bytes() == whole[:length], log.error


def test_lines_in_cloud_logging_are_read_once(client, idle):
    build = msgspec.structs.replace(
        client("library", project="p").submit(BUILD_FILE, ["Dockerfile"]),
        options=LogOptions(logging="CLOUD_LOGGING_ONLY"),
    )
    service, lines = client(project="p"), idle.builds[build.id]["lines"]
    lines += [(now(), "one"), (now(), "two")]
    assert service.log(build) == b"one\ntwo\n"
    lines += [(now(), "three")]
    # The first two are not older than a minute, and so they are in what gcloud gives again.
    assert service.log(build) == b"three\n"


# ---- what is uploaded, and what starts a build


def test_only_what_the_build_needs_is_uploaded(root, family, tmp_path):
    copied(tmp_path)
    shutil.copy(root / ".gcloudignore", tmp_path)
    (tmp_path / "README.md").write_text("not for a build\n")
    listed = subprocess.run(
        [gcloud(), "meta", "list-files-for-upload", "."],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    uploaded = {*listed.stdout.split()}
    assert {*upload.needed(upload.files_of(family / "cloudbuild.json"), family)} <= uploaded
    # Another config may need the others.
    dockerfiles = (path for path in (family / "dockerfiles").rglob("*") if path.is_file())
    assert uploaded == {str(path.relative_to(family)) for path in dockerfiles}


REPOSITORIES = {
    "github": "https://github.com/owner/name.git",
    "connected": "projects/p/locations/l/connections/c/repositories/r",
    "developer-connect": "projects/p/locations/l/connections/c/gitRepositoryLinks/r",
    "source": "https://source.developers.google.com/p/p/r/name",
    "github-enterprise": "https://git.example.com/owner/name, "
    "host_config: projects/p/locations/l/githubEnterpriseConfigs/c",
    "gitlab": "https://git.example.com/group/sub/name, "
    "host_config: projects/p/locations/l/gitLabConfigs/c",
}
SCHEDULES = {
    "": "",
    "pubsub": ", schedule: 0 4 * * 1",
    "webhook": ", schedule: 0 4 * * 1, secret: projects/p/secrets/s/versions/1",
}


def written_triggers(folder):
    """The triggers of every kind of config, each with a name of its own: text and content."""
    cases = itertools.product(REPOSITORIES.items(), SCHEDULES.items(), (100, 2))
    for (kind, repository), (clock, schedule), limit in cases:
        if schedule and kind == "developer-connect":
            # Cloud Build has no source for that; the config says so.
            continue
        name = "-".join(part for part in (kind, clock, str(limit)) if part)
        (folder / "images.yaml").write_text(
            "base_url: gcr.io/p/ml\npython_versions: {a: {}, b: {}}\nimages: [{python: [a, b]}]\n"
            "cloudbuild: {service_account: n@p.iam.gserviceaccount.com, logging: NONE, tags: [t], "
            f"limits: {{steps: {limit}}}, trigger: {{name: {name}, approval: true, "
            "ignored_files: ['*.md'], branch: release/1.0, "
            f"repository: {repository}{schedule}}}}}\n"
        )
        cli.main(
            ["trigger", "-c", "images.yaml", "--output", f"{name}.yaml"], standalone_mode=False
        )
        text = (folder / f"{name}.yaml").read_text()
        expected = {name, f"{name}-schedule"} if schedule else {name}
        triggers = list(yaml.safe_load_all(text))
        assert {one["name"] for one in triggers} == expected
        yield text, triggers


def test_gcloud_imports_every_trigger(tmp_path, idle, monkeypatch):
    shutil.copytree(pathlib.Path(__file__).parents[2] / "dockerfiles", tmp_path / "dockerfiles")
    monkeypatch.chdir(tmp_path)
    # To start gcloud takes longer than all that it does here.
    texts, contents = zip(*written_triggers(tmp_path), strict=True)
    (tmp_path / "trigger.yaml").write_text("".join(texts))
    written = [one for content in contents for one in content]
    assert len(written) == 2 * (len(REPOSITORIES) * (1 + 2 + 2) - 4)
    home = tmp_path / "gcloud"
    args = ("builds", "triggers", "import", "--source=trigger.yaml", "--project=p")
    imported = call(idle, home, *args, cwd=tmp_path)
    assert imported.returncode == 0, imported.stderr
    kept = [
        {
            key: value
            for key, value in one.items()
            if key not in ("id", "createTime", "resourceName")
        }
        for one in idle.triggers.values()
    ]
    # gcloud passes on what it understands of a field, and would leave out the rest.
    assert kept == written
    # A second import mends the same trigger.
    (tmp_path / "trigger.yaml").write_text(texts[0])
    again = call(idle, home, *args, cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    assert len(idle.triggers) == len(written)


def test_a_trigger_watches_exactly_what_the_images_are_made_of(family):
    config = imagekit.load(family / "config/images.yaml")
    plan = imagekit.plan(config)
    files = [upload.BuildFile(pathlib.Path("cloudbuild.json"), imagekit.render(plan, config))]
    needed = upload.needed(files, family)
    assert needed == sorted(needed)
    assert needed == [
        "dockerfiles/Dockerfile",
        "dockerfiles/Dockerfile.gpu",
        "dockerfiles/tests/cuda.yaml",
        "dockerfiles/tests/python.yaml",
    ]
