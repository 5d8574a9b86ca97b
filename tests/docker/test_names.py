import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from imagekit.docker.names import (
    Registry,
    are_tags,
    common_repository,
    invalid_reason,
    is_repository,
    is_tag,
    registry_of,
)


@pytest.mark.parametrize(
    ("url", "registry"),
    [
        ("us-docker.pkg.dev/p/r/ml", Registry("p", "us", "r")),
        ("europe-west1-docker.pkg.dev/p/r/deep/ml", Registry("p", "europe-west1", "r")),
        ("gcr.io/p/ml", Registry("p", "us", "gcr.io")),
        ("eu.gcr.io/p/ml", Registry("p", "europe", "eu.gcr.io")),
        ("us-docker.pkg.dev/example.com/p/r/ml", Registry("example.com:p", "us", "r")),
        ("gcr.io/example.com/p/ml", Registry("example.com:p", "us", "gcr.io")),
        ("docker.io/library/ml", None),
        ("localhost:5000/ml", None),
        ("ml", None),
    ],
)
def test_what_has_to_exist_before_a_push(url, registry):
    assert is_repository(url)
    assert registry_of(url) == registry


def test_the_command_that_creates_it():
    assert Registry("p", "us", "r").create_command == (
        "gcloud artifacts repositories create r --repository-format=docker --location=us "
        "--project=p"
    )


@pytest.mark.parametrize(
    "url", ["us-docker.pkg.dev/p/r", "us-docker.pkg.dev", "gcr.io/p", "gcr.io/example.com/p"]
)
def test_an_address_without_an_image(url):
    assert not is_repository(url)
    assert "the image name is missing" in invalid_reason(url)


@pytest.mark.parametrize(
    ("references", "repository"),
    [
        (["h/r:b", "h/r:a", "h/r:c"], "h/r"),
        (["localhost:5000/r:b"], "localhost:5000/r"),
        (["h/r:$_TAG", "h/r:1.${_B}-x"], "h/r"),
        (["h/b:1", "h/a:1"], None),
        (["h/a:1", "h/b:1"], None),
        (["h/r:1", "h/r/s:1"], None),
        (["h/r:1", "h/r-s:1"], None),
        (["h/r:1", "h/r@sha256:1"], None),
        (["h/r:1", "h/r:a/b:1"], None),
        (["h/r:1", "h/r:2\n"], None),
        (["h/r:1", "h/r"], None),
        (["h/r"], None),
        ([], None),
    ],
)
def test_the_repository_that_references_have_in_common(references, repository):
    assert common_repository(references) == repository


TAGS = st.text("aZ0_.-:\né", max_size=4) | st.sampled_from(["a" * 128, "a" * 129])


@given(st.lists(TAGS | st.just("a")))
@example(["a\nb"]).via("a line break within a name, and not between two")
@example([""])
def test_several_names_are_tags_if_each_is(names):
    assert are_tags(names) == all(map(is_tag, names))
