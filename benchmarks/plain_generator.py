"""The rules of the original generator (google/caliban, scripts/cloudbuild.py), plainly.

It reads a JSON config with `python_versions`, `gpu_versions`, `base_images` and `images`, prints
the names of the images, and writes a build and a push step for each GPU base that an image uses and
for each image. Nothing is checked. Like the original, it reads its options with absl, makes a named
tuple of each image and of each step, and puts an image's name together wherever it is needed. The
benchmark compares imagekit with it.
"""

import enum
import json
import pathlib
from typing import NamedTuple

from absl import app, flags

BUILDER = "gcr.io/cloud-builders/docker"
OPTIONS = flags.FLAGS
flags.DEFINE_string("config", None, "the config, in JSON", required=True)
flags.DEFINE_string("base_url", None, "the repository of the images", required=True)
flags.DEFINE_string("output", None, "the build file to write", required=True)


class Kind(enum.Enum):
    """What an image is."""

    CPU = "cpu"
    GPU = "gpu"
    GPU_BASE = "gpu-base"


class Image(NamedTuple):
    """An image: its versions and what it is built with."""

    base_url: str
    dockerfile: str
    base: str | None
    python: str | None
    gpu: str | None
    build_args: dict

    @property
    def kind(self):
        """What the image is."""
        if self.gpu is None:
            return Kind.CPU
        return Kind.GPU_BASE if self.python is None else Kind.GPU

    @property
    def tag(self):
        """The name of the image."""
        parts = [self.kind.value, self.base, self.python, self.gpu]
        if self.kind is Kind.GPU and self.base is None:
            # The first generation of configs has no base images, and another order.
            parts = [self.kind.value, self.gpu, self.python]
        return f"{self.base_url}:{'-'.join(part for part in parts if part)}"


class Step(NamedTuple):
    """A step of the build."""

    id: str
    args: list
    wait_for: list

    def as_dict(self):
        """The step as it is written."""
        return {"id": self.id, "name": BUILDER, "args": self.args, "waitFor": self.wait_for}


def gpu_bases(config, base_url):
    """The GPU bases that the images use, each once."""
    bases, gpus = config.get("base_images", {}), config.get("gpu_versions", {})
    used = {
        (image.get("base_image"), image["gpu"]): None
        for image in config["images"]
        if image.get("gpu")
    }
    for base, gpu in used:
        args = {**bases.get(base, {}), **gpus[gpu]}
        args.pop("BASE_IMAGE", None)
        yield Image(base_url, "dockerfiles/Dockerfile.gpu", base, None, gpu, args)


def images(config, base_url):
    """The images that the config lists."""
    bases, pythons = config.get("base_images", {}), config.get("python_versions", {})
    for image in config["images"]:
        base, python, gpu = (image.get(axis) for axis in ("base_image", "python", "gpu"))
        if gpu:
            below = Image(base_url, "", base, None, gpu, {})
            args = {"BASE_IMAGE": below.tag, **pythons[python]}
        else:
            args = {"BASE_IMAGE": "ubuntu:18.04", **bases.get(base, {}), **pythons[python]}
            args.pop("UBUNTU_VERSION", None)
        yield Image(base_url, "dockerfiles/Dockerfile", base, python, gpu, args)


def steps(image):
    """A build step and a push step."""
    args = ["build", "-t", image.tag, "-f", image.dockerfile]
    for name, value in image.build_args.items():
        args += ["--build-arg", f"{name}={value}"]
    parent = image.build_args["BASE_IMAGE"] if image.kind is Kind.GPU else "-"
    yield Step(image.tag, [*args, "."], [parent])
    yield Step(f"{image.tag}-push", ["push", image.tag], [image.tag])


def main(_):
    """Read the config and write the build file."""
    with pathlib.Path(OPTIONS.config).open(encoding="utf-8") as file:
        config = json.load(file)
    found = [*gpu_bases(config, OPTIONS.base_url), *images(config, OPTIONS.base_url)]
    for image in found:
        print(image.tag)
    build = {
        "steps": [step.as_dict() for image in found for step in steps(image)],
        "timeout": "86400s",
        "options": {"env": ["DOCKER_BUILDKIT=1"]},
    }
    with pathlib.Path(OPTIONS.output).open("w", encoding="utf-8") as file:
        json.dump(build, file, indent=2)
        file.write("\n")


if __name__ == "__main__":
    app.run(main)
