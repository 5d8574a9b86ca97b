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


def found(config_file, text=CONFIG, **dockerfiles):
    config = imagekit.load(config_file(text))
    pathlib.Path("dockerfiles").mkdir()
    for name, lines in dockerfiles.items():
        pathlib.Path("dockerfiles", name.replace("_", ".")).write_text(lines)
    return [
        str(problem) for problem in preflight.dockerfiles(imagekit.plan(config), config, read_utf8)
    ]


def test_nothing_is_said_of_what_is_right(config_file):
    text = "ARG BASE_IMAGE\nARG PYTHON_VERSION\nARG PYTHON_VERSON\n"
    assert found(config_file, Dockerfile=text, Dockerfile_gpu="ARG CUDA") == []


def test_a_missing_dockerfile_and_an_undeclared_build_arg_are_said(config_file):
    assert found(config_file, Dockerfile="ARG BASE_IMAGE\nARG PYTHON_VERSION") == [
        "warning: dockerfiles/Dockerfile.gpu: No such file or directory; needed by 1 image",
        "warning: dockerfiles/Dockerfile does not declare ARG 'PYTHON_VERSON', so Docker "
        "ignores it (1 image); did you mean 'PYTHON_VERSION'?",
    ]


def test_what_is_no_text_is_said(config_file):
    found(config_file, Dockerfile_gpu="ARG CUDA")
    pathlib.Path("dockerfiles/Dockerfile").write_bytes(b"\xff")
    config = imagekit.load("images.yaml")
    (problem,) = preflight.dockerfiles(imagekit.plan(config), config, read_utf8)
    assert problem.message == "dockerfiles/Dockerfile: cannot be read; needed by 3 images"


EMPTY = CONFIG.replace("py312: {PYTHON_VERSION: 3.12}", "py312: {}").replace("VERSON", "VERSION")


def test_an_axis_value_without_build_args_is_built_with_the_default(config_file):
    text = "ARG BASE_IMAGE=b\nARG PYTHON_VERSION=3.13\nARG OTHER=1\nARG HTTP_PROXY"
    told = (
        "python_versions.py312: warning: 'py312' has no build args, so dockerfiles/Dockerfile "
        "uses its default PYTHON_VERSION=3.13 (2 images); set the build args"
    )
    assert found(config_file, EMPTY, Dockerfile=text, Dockerfile_gpu="ARG CUDA=1") == [told]


def test_of_an_axis_without_any_build_args_every_default_is_told(config_file):
    text = EMPTY.replace("py311: {PYTHON_VERSION: 3.11, HTTP_PROXY: p}", "py311: {}")
    said = found(
        config_file,
        text,
        Dockerfile="ARG BASE_IMAGE=b\nARG A=1\nARG B=2",
        Dockerfile_gpu="ARG CUDA",
    )
    assert ["default A=1, B=2 (1 image)" in line for line in said] == [True, False]
    assert "'py312' has no build args" in said[1]


def test_a_dockerfile_without_a_default_says_it_itself(config_file):
    text = "ARG BASE_IMAGE=b\nARG PYTHON_VERSION\nARG HTTP_PROXY"
    assert found(config_file, EMPTY, Dockerfile=text, Dockerfile_gpu="ARG CUDA") == []


def test_a_test_that_does_not_exist_is_said(config_file):
    text = CONFIG + "recipes: {cpu: {test: [t/there.yaml, t/gone.yaml]}}\n"
    pathlib.Path("t").mkdir()
    pathlib.Path("t/there.yaml").touch()
    lines = "ARG BASE_IMAGE\nARG PYTHON_VERSION\nARG PYTHON_VERSON\n"
    assert found(config_file, text, Dockerfile=lines, Dockerfile_gpu="ARG CUDA") == [
        "warning: t/gone.yaml: No such file or directory; 2 images must pass this test"
    ]


STAGES = """
base_url: h/i
axes: {os: {a: {BASE_IMAGE: x}, b: {}, c: {BASE_IMAGE: ""}}}
recipes:
  one: {dockerfile: D, axes: [os], target: dev, tag: "{os}"}
  two: {dockerfile: D, axes: [os], target: Final, tag: "two-{os}"}
  three: {dockerfile: D, axes: [os], target: finale, tag: "three-{os}"}
  four: {dockerfile: D, axes: [os], tag: "four-{os}"}
images: [{os: [a, b, c], recipe: [one, two, three, four]}]
"""
DOCKERFILE = """
ARG BASE_IMAGE
ARG OTHER=o
FROM ${BASE_IMAGE} AS dev
ARG BASE_IMAGE
FROM $OTHER-$TARGETARCH AS final
FROM --platform=$BUILDPLATFORM $UNKNOWN AS unknown
FROM DEV
"""


def test_what_docker_could_not_build_upon_is_said(config_file):
    config = imagekit.load(config_file(STAGES))
    pathlib.Path("D").write_text(DOCKERFILE)
    plan = imagekit.plan(config)
    said = [str(problem) for problem in preflight.dockerfiles(plan, config, read_utf8)]
    need = "warning: D needs the build arg BASE_IMAGE for FROM, which has no default and no value"
    assert said[:3] == [
        f"{need} for 2 images",
        "warning: D has no stage 'finale'; needed by 3 images; did you mean 'final'?",
        f"{need} for 2 images",
    ]
    pathlib.Path("D").write_text(DOCKERFILE.replace("FROM DEV", "FROM unknown"))
    said = [str(problem) for problem in preflight.dockerfiles(plan, config, read_utf8)]
    assert said[2] == (
        "warning: D uses UNKNOWN in FROM without 'ARG UNKNOWN' before the first FROM"
    )
    all_given = imagekit.plan(config, only=["*a"])
    said = [str(problem) for problem in preflight.dockerfiles(all_given, config, read_utf8)]
    assert not [one for one in said if "needs" in one]
    pathlib.Path("D").write_text("ARG BASE_IMAGE\n")
    said = [str(problem) for problem in preflight.dockerfiles(plan, config, read_utf8)]
    assert [one for one in said if "FROM" in one] == []
