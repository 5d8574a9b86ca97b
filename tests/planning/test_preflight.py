import pathlib

import imagekit
from imagekit.planning import preflight
from imagekit.support.files import read_utf8

CONFIG = """
base_url: h/i
python_versions: {py311: {PYTHON_VERSON: 3.11, HTTP_PROXY: p}, py312: {PYTHON_VERSION: 3.12}}
gpu_versions: {cuda1: {CUDA: 1.0}}
images: [{python: [py311, py312]}, {python: py312, gpu: cuda1}]
"""


def found(config_file, **dockerfiles):
    plan = imagekit.plan(imagekit.load(config_file(CONFIG)))
    pathlib.Path("dockerfiles").mkdir()
    for name, text in dockerfiles.items():
        pathlib.Path("dockerfiles", name.replace("_", ".")).write_text(text)
    return [str(problem) for problem in preflight.dockerfiles(plan, read_utf8)]


def test_nothing_is_said_of_what_is_right(config_file):
    text = "ARG BASE_IMAGE\nARG PYTHON_VERSION\nARG PYTHON_VERSON\n"
    assert found(config_file, Dockerfile=text, Dockerfile_gpu="ARG CUDA") == []


def test_a_missing_dockerfile_and_an_undeclared_build_arg_are_said(config_file):
    assert found(config_file, Dockerfile="ARG BASE_IMAGE\nARG PYTHON_VERSION") == [
        "warning: dockerfiles/Dockerfile.gpu: No such file or directory; "
        "1 image would be built with it",
        "warning: dockerfiles/Dockerfile declares no ARG 'PYTHON_VERSON'; did you mean "
        "'PYTHON_VERSION'?; docker would ignore it (1 image)",
    ]


def test_what_is_no_text_is_said(config_file):
    found(config_file, Dockerfile_gpu="ARG CUDA")
    pathlib.Path("dockerfiles/Dockerfile").write_bytes(b"\xff")
    plan = imagekit.plan(imagekit.load("images.yaml"))
    (problem,) = preflight.dockerfiles(plan, read_utf8)
    assert (
        problem.message
        == "dockerfiles/Dockerfile: it cannot be read; 3 images would be built with it"
    )
