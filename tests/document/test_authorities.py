"""What others say of our documents: the issue's own words, Google's types, the public schema."""

import json

import pytest
from check_jsonschema.builtin_schemas import get_builtin_schema
from google.cloud.devtools.cloudbuild_v1.types import Build
from google.protobuf import json_format
from jsonschema import ValidationError
from jsonschema.validators import validator_for

from imagekit import api
from imagekit.document.build_files import MANIFEST
from tests.conftest import FAMILY, ROOT

URL = "gcr.io/blueshift-playground/blueshift"

# Tag → the Dockerfile, the build args and the tag it stands on, as the issue lists them.
CALIBAN = {
    "gpu-base-cuda100": ("dockerfiles/Dockerfile.gpu", ["CUDA=10.0"], None),
    "gpu-base-cuda101": ("dockerfiles/Dockerfile.gpu", ["CUDA=10.1"], None),
    "cpu-py37": (
        "dockerfiles/Dockerfile",
        ["BASE_IMAGE=ubuntu:18.04", "PYTHON_VERSION=3.7"],
        None,
    ),
    "cpu-py38": (
        "dockerfiles/Dockerfile",
        ["BASE_IMAGE=ubuntu:18.04", "PYTHON_VERSION=3.8"],
        None,
    ),
    "gpu-cuda100-py37": (
        "dockerfiles/Dockerfile",
        [f"BASE_IMAGE={URL}:gpu-base-cuda100", "PYTHON_VERSION=3.7"],
        "gpu-base-cuda100",
    ),
    "gpu-cuda101-py37": (
        "dockerfiles/Dockerfile",
        [f"BASE_IMAGE={URL}:gpu-base-cuda101", "PYTHON_VERSION=3.7"],
        "gpu-base-cuda101",
    ),
    "gpu-cuda100-py38": (
        "dockerfiles/Dockerfile",
        [f"BASE_IMAGE={URL}:gpu-base-cuda100", "PYTHON_VERSION=3.8"],
        "gpu-base-cuda100",
    ),
    "gpu-cuda101-py38": (
        "dockerfiles/Dockerfile",
        [f"BASE_IMAGE={URL}:gpu-base-cuda101", "PYTHON_VERSION=3.8"],
        "gpu-base-cuda101",
    ),
}


def caliban_steps():
    for tag, (dockerfile, build_args, parent) in CALIBAN.items():
        name = f"{URL}:{tag}"
        flags = [part for build_arg in build_args for part in ("--build-arg", build_arg)]
        yield {
            "id": name,
            "name": "gcr.io/cloud-builders/docker",
            "args": ["build", "-t", name, "-f", dockerfile, *flags, "."],
            "waitFor": [f"{URL}:{parent}" if parent else "-"],
        }
        yield {
            "id": f"{name}-push",
            "name": "gcr.io/cloud-builders/docker",
            "args": ["push", name],
            "waitFor": [name],
        }


def rendered(name):
    config = api.load(FAMILY / "config" / name)
    return api.render(api.plan(config), config)


def test_caliban_s_matrix_gives_the_documented_build():
    # The shipped Dockerfiles need BuildKit, which Cloud Build's docker has to be asked for.
    options = {"env": ["DOCKER_BUILDKIT=1"]}
    expected = {"steps": list(caliban_steps()), "timeout": "86400s", "options": options}
    assert json.loads(rendered("caliban.json")) == expected


# ---- two authorities that know nothing of this project


def parse_as_google_does(text):
    """The message that Cloud Build's API would receive; an unknown field is a ParseError."""
    return json_format.Parse(text, Build.pb()())


SCHEMA = get_builtin_schema("vendor.cloudbuild")
VALIDATOR = validator_for(SCHEMA)(SCHEMA)
"""The schema of `check-jsonschema --builtin-schema vendor.cloudbuild`, which that ships with."""


DOCUMENTS = {
    "images.yaml": lambda: rendered("images.yaml"),
    "caliban.json": lambda: rendered("caliban.json"),
    "layers.yaml": lambda: rendered("layers.yaml"),
    **{
        f"{path.parent.name}/{path.stem}": lambda path=path: path.read_text(encoding="utf-8")
        for path in sorted((ROOT / "tests" / "golden").glob("*/*/cloudbuild*.json"))
        # In a case that ended in an error the file is what lay there before, of whatever kind.
        if (path.parent / "output").read_text(encoding="utf-8").startswith("exit 0\n")
        and not path.stem.endswith(MANIFEST)
    },
}


@pytest.fixture(params=DOCUMENTS)
def text(request):
    return DOCUMENTS[request.param]()


def test_google_s_types_read_the_document(text):
    build = parse_as_google_does(text)
    document = json.loads(text)
    # Reading is not enough: what was read must be what was written.
    assert [step.id for step in build.steps] == [step["id"] for step in document["steps"]]
    assert [[*step.args] for step in build.steps] == [step["args"] for step in document["steps"]]
    waits = [[*step.wait_for] for step in build.steps]
    assert waits == [step["waitFor"] for step in document["steps"]]
    assert f"{build.timeout.seconds}s" == document["timeout"]


def test_the_public_schema_accepts_the_document(text):
    VALIDATOR.validate(json.loads(text))


def misspell_in_step(document):
    document["steps"][0]["waitfor"] = document["steps"][0].pop("waitFor")


def misspell_on_top(document):
    document["time_out"] = document.pop("timeout")


def misspell_in_options(document):
    document["options"] = {"machinetype": "E2_HIGHCPU_8"}


def args_as_text(document):
    document["steps"][0]["args"] = "build ."


def unknown_logging(document):
    document["options"] = {"logging": "GCS"}


MISTAKES = [misspell_in_step, misspell_in_options, args_as_text, unknown_logging]


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.__name__)
def test_both_authorities_see_a_mistake(mistake):
    document = json.loads(rendered("caliban.json"))
    mistake(document)
    with pytest.raises(json_format.ParseError):
        parse_as_google_does(json.dumps(document))
    with pytest.raises(ValidationError):
        VALIDATOR.validate(document)


def test_google_s_types_see_a_misspelt_field_of_the_whole():
    # The schema lets any field stand there, so that this rests on one authority.
    document = json.loads(rendered("caliban.json"))
    misspell_on_top(document)
    with pytest.raises(json_format.ParseError):
        parse_as_google_does(json.dumps(document))
