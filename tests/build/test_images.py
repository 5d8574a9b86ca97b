"""What the Docker client says of images, with a client that answers from files."""

import json

import pytest

from imagekit.build import images
from imagekit.errors import EngineError

pytestmark = pytest.mark.edge


@pytest.fixture
def docker(tmp_path):
    """A Docker client that prints this, and exits like this."""
    client = tmp_path / "docker"

    def make(printed, error="", code=0):
        (tmp_path / "printed").write_text(printed)
        (tmp_path / "error").write_text(error)
        files = f"cat {tmp_path}/printed; cat {tmp_path}/error >&2; echo $* >> {tmp_path}/asked"
        client.write_text(f"#!/bin/sh\n{files}; exit {code}\n")
        client.chmod(0o755)
        return str(client)

    make.asked = tmp_path / "asked"
    return make


ABOUT = {"Id": "sha256:1", "Size": 5, "RootFS": {"Layers": ["a", "b"]}, "Created": "2026-01-01"}


def test_images_that_are_missing_on_the_engine_are_left_out(docker):
    answer = json.dumps([ABOUT | {"RepoTags": ["r:a", "r:alias"]}])
    client = docker(answer, "Error: No such image: r:b", 1)
    found = images.on_engine(client, ["r:a", "r:b"])
    assert found == {
        "r:a": images.Image(id="sha256:1", size=5, layers=2, created="2026-01-01"),
    }
    assert images.on_engine(client, []) == {}


@pytest.mark.parametrize("printed", ["", "[]"])
def test_an_engine_that_does_not_answer_is_an_error(docker, printed):
    client = docker(printed, "Cannot connect to the Docker daemon", 1)
    with pytest.raises(EngineError, match="Cannot connect to the Docker daemon"):
        images.on_engine(client, ["r:a"])
    with pytest.raises(EngineError, match="Cannot connect"):
        images.layers(client, "r:a")
    with pytest.raises(EngineError, match="Cannot connect"):
        images.in_registry(client, ["r:a"])


def test_the_layers_of_the_base_come_first(docker):
    lines = [
        {"CreatedAt": "2026-01-02", "Size": "7", "CreatedBy": "RUN x   y # buildkit"},
        {"CreatedAt": "2026-01-01", "Size": "0", "CreatedBy": ""},
    ]
    found = images.layers(docker("\n".join(map(json.dumps, lines))), "r:a")
    assert [(layer.size, layer.instruction) for layer in found] == [(0, ""), (7, "RUN x y")]


def manifest(kind):
    return {
        "Descriptor": {"digest": "sha256:d"},
        kind: {"layers": [{"size": 2}, {"size": 3}]},
    }


@pytest.mark.parametrize("kind", ["SchemaV2Manifest", "OCIManifest"])
@pytest.mark.parametrize("several", [False, True])
def test_what_a_registry_has(docker, kind, several):
    about = [manifest(kind), manifest(kind)] if several else manifest(kind)
    found = images.in_registry(docker(json.dumps(about)), ["h/r:a"])
    assert found == {"h/r:a": images.Manifest(digest="sha256:d", size=5, layers=2)}
    assert docker.asked.read_text() == "manifest inspect --verbose h/r:a\n"


def test_an_image_that_no_registry_has_is_left_out(docker):
    client = docker("", "no such manifest: h/r:a", 1)
    assert images.in_registry(client, ["h/r:a"]) == {}
    client = docker("", "x509: certificate signed by unknown authority", 1)
    with pytest.raises(EngineError, match="unknown authority"):
        images.in_registry(client, ["h/r:a"])


@pytest.mark.parametrize("name", ["localhost:5000/r:a", "127.0.0.1/r:a", "[::1]:5000/r:a"])
def test_a_registry_on_this_machine_may_be_without_tls(docker, name):
    images.in_registry(docker(json.dumps(manifest("OCIManifest"))), [name])
    assert "--insecure" in docker.asked.read_text()
