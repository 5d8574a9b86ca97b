"""The rules of the original generator (google/caliban, scripts/cloudbuild.py), plainly.

It reads a JSON config with `python_versions`, `gpu_versions`, `base_images` and `images`, and
writes a build and a push step for each GPU base that an image uses and for each image. Nothing is
checked. The benchmark compares imagekit with it.
"""

import argparse
import json
import pathlib


def step_pair(tag, dockerfile, build_args, wait_for):
    """A build step and a push step."""
    args = ["build", "-t", tag, "-f", dockerfile]
    for name, value in build_args.items():
        args += ["--build-arg", f"{name}={value}"]
    builder = "gcr.io/cloud-builders/docker"
    return [
        {"id": tag, "name": builder, "args": [*args, "."], "waitFor": [wait_for]},
        {"id": f"{tag}-push", "name": builder, "args": ["push", tag], "waitFor": [tag]},
    ]


def generate(config, base_url):
    """The build of a config."""
    bases, pythons, gpus = (
        config.get(section, {}) for section in ("base_images", "python_versions", "gpu_versions")
    )
    steps, gpu_bases = [], {}
    for image in config["images"]:
        if image.get("gpu"):
            gpu_bases[image.get("base_image"), image["gpu"]] = None
    for base, gpu in gpu_bases:
        names = "-".join(filter(None, ("gpu-base", base, gpu)))
        args = {**bases.get(base, {}), **gpus[gpu]}
        args.pop("BASE_IMAGE", None)
        steps += step_pair(f"{base_url}:{names}", "dockerfiles/Dockerfile.gpu", args, "-")
    for image in config["images"]:
        base, python, gpu = (image.get(axis) for axis in ("base_image", "python", "gpu"))
        if gpu:
            order = (base, python, gpu) if base else (gpu, python)
            parent = "-".join(filter(None, ("gpu-base", base, gpu)))
            args = {"BASE_IMAGE": f"{base_url}:{parent}", **pythons[python]}
            names = "-".join(filter(None, ("gpu", *order)))
            wait_for = f"{base_url}:{parent}"
        else:
            args = {"BASE_IMAGE": "ubuntu:18.04", **bases.get(base, {}), **pythons[python]}
            args.pop("UBUNTU_VERSION", None)
            names = "-".join(filter(None, ("cpu", base, python)))
            wait_for = "-"
        steps += step_pair(f"{base_url}:{names}", "dockerfiles/Dockerfile", args, wait_for)
    return {"steps": steps, "timeout": "86400s", "options": {"env": ["DOCKER_BUILDKIT=1"]}}


def main():
    """Read the config and write the build file."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--config", required=True)
    parser.add_argument("--base_url", required=True)
    parser.add_argument("--output", required=True)
    options = parser.parse_args()
    with pathlib.Path(options.config).open(encoding="utf-8") as file:
        config = json.load(file)
    with pathlib.Path(options.output).open("w", encoding="utf-8") as file:
        json.dump(generate(config, options.base_url), file, indent=2)
        file.write("\n")


if __name__ == "__main__":
    main()
