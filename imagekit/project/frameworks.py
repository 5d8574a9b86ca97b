"""Which builds of PyTorch, JAX and TensorFlow an image gets, with a GPU and without."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from imagekit.project.package import canonical

PYTORCH = "https://download.pytorch.org/whl"


def notes(names: Iterable[str], *, cuda: str | None, has_index: bool) -> Iterator[str]:
    """Return a note for each framework that is taken from the default index.

    Args:
        names: the packages that the project requires, with extras such as `jax[cuda13]`.
        cuda: the CUDA version of the base image; empty if it is not known, None without a GPU.
        has_index: whether the project names an index of its own.
    """
    if has_index:
        return
    named = {canonical(name) for name in names}
    if "torch" in named:
        # pytorch.org/get-started/locally: the default on Linux is a build with CUDA.
        yield _torch(cuda)
    if "jax" in named and cuda is not None and not any("jax[cuda" in name for name in named):
        # docs.jax.dev/en/latest/installation.html
        major = cuda.partition(".")[0] or "13"
        yield (
            "jax: without an extra such as cuda13, the package index has the build for CPUs; for "
            f"this base image, require jax[cuda{major}]"
        )
    if "tensorflow" in named:
        # www.tensorflow.org/install/pip
        yield (
            "tensorflow: the build for GPUs and CPUs, which uses the CUDA libraries of the base "
            "image; tensorflow[and-cuda] brings its own"
            if cuda is not None
            else "tensorflow: the build for GPUs and CPUs; tensorflow-cpu is smaller"
        )


def _torch(cuda: str | None) -> str:
    start = "torch: the package index's build, with CUDA libraries of its own"
    if cuda is None:
        return f"{start}; for the much smaller build for CPUs, add --extra-index-url {PYTORCH}/cpu"
    numbers = re.match(r"(\d+)\.(\d+)", cuda)
    label = f"cu{numbers[1]}{numbers[2]}" if numbers else "cu130"
    version = f" {numbers[0]}" if numbers else ""
    return (
        f"{start}; for the build for CUDA{version} of the base image, add --extra-index-url "
        f"{PYTORCH}/{label} to a requirement file, or [[tool.uv.index]] to pyproject.toml"
    )
