import shutil
import xml.etree.ElementTree as ET

import pytest

import imagekit
from imagekit.build import images as docker_images
from imagekit.build.images import Image, Layer, Manifest
from imagekit.errors import EngineError
from imagekit.notebook import build_report, images


@pytest.fixture
def build(tmp_path, monkeypatch, family):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(family / "notebooks", tmp_path / "notebooks")
    return build_report.read()


def test_a_report_alone_says_what_was_built(build):
    found = images.read(build)
    frame = imagekit.to_pandas(found)
    assert len(frame) == 6
    assert frame.loc["cpu-bookworm-py311", "layers"] == 4
    assert frame["size"].between(170e6, 230e6).all()
    # Two images were not in the build before.
    assert frame["growth"].isna().sum() == 2
    assert frame["built"].dt.tz is not None
    text = str(images.table(found))
    assert "6 images. Example, because" in text
    assert "212.6 MB" in text
    assert str(images.layers(found)).startswith("Not shown")


def test_a_picture_of_the_sizes(build):
    picture = images.sizes(images.read(build))
    assert str(picture).splitlines()[1] == "    221.6 MB  gpu-trixie-py313-cuda130"
    root = ET.fromstring(picture.svg)
    titles = {title.text for title in root.iter("{http://www.w3.org/2000/svg}title")}
    assert "cpu-bookworm-py311: 212.6 MB, 4 layers" in titles
    assert picture.svg == images.sizes(images.read(build)).svg


def test_pull_commands_are_by_digest(build):
    found = images.read(build)
    commands = images.pulls(found).frame["command"]
    assert len(commands) == 6
    assert commands.iloc[0].startswith("docker pull example.com/ml@sha256:4e926a3ab4f4")
    for entry in build.report.steps:
        entry.digest = None if entry.kind == "push" else entry.digest
    assert str(images.pulls(images.read(build))).startswith("No image was pushed")


@pytest.mark.parametrize(
    ("name", "repository"),
    [("h:5000/r:a", "h:5000/r"), ("h:5000/r/s", "h:5000/r/s"), ("r:a", "r")],
)
def test_the_repository_of_an_image(name, repository):
    assert images._repository(name) == repository


def test_what_the_engine_has_now(build, monkeypatch):
    first, second = (e for e in build.report.steps[:4] if e.kind == "build")
    there = Image(id=first.digest, size=10**6, layers=2, created="2026-01-01T00:00:00Z")
    other = Image(id="sha256:other", size=10**7, layers=3, created="2026-01-01T00:00:00Z")
    known = {first.images[0]: there, second.images[0]: other}
    monkeypatch.setattr(docker_images, "on_engine", lambda _docker, _names: known)
    layer = Layer(created="2026-01-01T00:00:00Z", size=5, instruction="RUN <x>")
    monkeypatch.setattr(docker_images, "layers", lambda _docker, _name: [layer, layer])
    found = images.read(build, engine=True)
    assert [*found.frame["engine"]] == ["there", "another image", *["missing"] * 4]
    assert found.frame["size"].count() == 2
    assert "✗ another image" in str(images.table(found))
    table = images.layers(found)
    assert table.caption == "Layers of 2 images"
    assert len(table.frame) == 4
    assert "RUN &lt;x&gt;" in table.html()


def test_what_the_registry_has_now(build, monkeypatch):
    pushed = next(entry for entry in build.report.steps if entry.kind == "push")
    manifest = Manifest(digest=pushed.digest, size=10**6, layers=2)
    known = {pushed.images[0]: manifest}
    monkeypatch.setattr(docker_images, "in_registry", lambda _docker, _names: known)
    frame = images.read(build, registry=True).frame
    assert [*frame["registry"]] == ["there", *["missing"] * 5]
    assert frame["download"].dropna().to_list() == [10**6]


def test_a_build_without_sizes(build):
    for entry in build.report.steps:
        entry.size = entry.layers = None
    found = images.read(build)
    assert str(images.sizes(found)).startswith("No sizes")
    assert "size" not in images.table(found).frame


@pytest.mark.edge
def test_without_docker_that_is_said(build, monkeypatch):
    monkeypatch.setenv("IMAGEKIT_DOCKER", "no-such-docker")
    for asked in ("engine", "registry"):
        with pytest.raises(EngineError, match=r"no-such-docker. not found"):
            images.read(build, **{asked: True})
