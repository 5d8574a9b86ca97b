"""A matrix on free axes, with layers and repositories of their own, on a real engine."""

import datetime
import functools
import json
import subprocess

from tests.system.conftest import built, run

DOCKERFILE = """\
ARG BASE_IMAGE
FROM ${BASE_IMAGE} AS first
ARG NAME=none
RUN echo "${NAME}" >> /layers
FROM first AS second
COPY said /said
"""
CONFIG = """\
base_url: {address}
axes:
  os: {{bookworm: {{BASE_IMAGE: {base}, NAME: bookworm}}}}
  accelerator: {{fast: {{NAME: fast}}}}
  library: {{one: {{NAME: one, VERSION: 1.0}}, two: {{NAME: two, VERSION: 2.0}}}}
recipes:
  plain:
    dockerfile: Dockerfile
    context: files
    target: first
    axes: [os]
    repository: base
    tag: "{{os}}"
  quick:
    dockerfile: Dockerfile
    context: files
    target: first
    axes: [accelerator]
    parent: plain
    repository: base
    tag: "{{os}}-{{accelerator}}"
  library:
    dockerfile: Dockerfile
    context: files
    axes: [library]
    omit: [VERSION]
    parent: [plain, quick]
    repository: library
    labels: {{org.example.price: 5$}}
    tags:
      - "{{library.VERSION}}-{{accelerator}}"
      - "{{library.VERSION}}-{{accelerator}}-{{date}}-{{commit}}"
images:
  - {{os: bookworm, accelerator: [null, fast], library: [one, two]}}
aliases:
  latest: {{os: bookworm, library: two}}
"""


def git(project, *args):
    identity = ("-c", "user.name=n", "-c", "user.email=n@example.com")
    subprocess.run(["git", "-C", project, *identity, *args], check=True, capture_output=True)


def today():
    return datetime.datetime.now(datetime.UTC).date().isoformat()


def tags(registry, repository):
    return sorted(json.loads(registry.get(f"{repository}/tags/list")[1])["tags"])


def test_layers_of_two_kinds_go_to_their_repositories(docker, tiny, bare_registry, tmp_path):
    registry, project = bare_registry, tmp_path / "project"
    build = functools.partial(built, docker, project)
    project.mkdir()
    (project / "images.yaml").write_text(CONFIG.format(address=registry.address, base=tiny))
    (project / "Dockerfile").write_text(DOCKERFILE)
    (project / "files").mkdir()
    (project / "files/said").write_text("from the context\n")
    refused = build("--push")
    assert "there is no git commit here" in refused.stderr
    git(project, "init", "-q")
    git(project, "add", "-A")
    git(project, "commit", "-qm", "m")
    days = [today()]
    done = build("--push")
    assert done.returncode == 0, done.stdout + done.stderr
    days.append(today())

    commit = run("git", "-C", project, "rev-parse", "HEAD")[:7]
    versions = ("1.0", "1.0-fast", "2.0", "2.0-fast")
    # Midnight may have been in between.
    moving = [{f"{version}-{day}-{commit}" for version in versions} for day in days]
    assert tags(registry, "base") == ["bookworm", "bookworm-fast"]
    found = set(tags(registry, "library"))
    assert found in [{*versions, *names, "latest"} for names in moving]

    name = f"{registry.address}/library:2.0-fast"
    said = run(docker, "run", "--rm", "--network", "none", name, "cat", "/layers", "/said")
    assert said == "bookworm\nfast\ntwo\nfrom the context\n"
    template = '{{index .Config.Labels "org.example.price"}}'
    assert run(docker, "image", "inspect", "--format", template, name) == "5$\n"
