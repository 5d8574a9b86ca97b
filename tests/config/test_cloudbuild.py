import pytest

from imagekit.config import check_cloudbuild, cloudbuild
from imagekit.config.cloudbuild import CloudBuild, Limits, Trigger

NAMES = {"_A", "_LONG"}


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("plain", "plain"),
        ("$HOME ${HOME} $$", "$$HOME $${HOME} $$$$"),
        ("${_A}", "${_A}"),
        ("$_A/x", "$_A/x"),
        ("$_AB ${_AB}", "$$_AB $${_AB}"),
        ("a$${_A}$", "a$$${_A}$$"),
        ("${_LONG}${_A}", "${_LONG}${_A}"),
    ],
)
def test_what_is_escaped_and_what_is_substituted(text, escaped):
    assert cloudbuild.escape(text, NAMES) == escaped


def test_substitutions_that_a_text_holds():
    assert cloudbuild.substituted("$_A ${_B} ${_LONG}x", NAMES) == {"_A", "_LONG"}


@pytest.mark.parametrize(
    ("account", "name"),
    [
        ("a@p.iam.gserviceaccount.com", "projects/p/serviceAccounts/a@p.iam.gserviceaccount.com"),
        ("projects/p/serviceAccounts/1", "projects/p/serviceAccounts/1"),
        (
            "1-compute@developer.gserviceaccount.com",
            "projects/-/serviceAccounts/1-compute@developer.gserviceaccount.com",
        ),
        ("a@example.com", None),
    ],
)
def test_service_accounts(account, name):
    assert cloudbuild.account_name(account) == name


@pytest.mark.parametrize(
    ("options", "region"),
    [
        (CloudBuild(), None),
        (CloudBuild(region="us-west1"), "us-west1"),
        (CloudBuild(worker_pool="projects/p/locations/r1/workerPools/w"), "r1"),
    ],
)
def test_where_a_build_runs(options, region):
    assert cloudbuild.region_of(options) == region


@pytest.mark.parametrize("logging", ["CLOUD_LOGGING_ONLY", "NONE"])
def test_a_service_account_needs_its_own_logs(logging):
    account = "a@p.iam.gserviceaccount.com"
    (problem,) = check_cloudbuild.check(CloudBuild(service_account=account))
    assert "requires 'logging: CLOUD_LOGGING_ONLY'" in problem.message
    assert not list(check_cloudbuild.check(CloudBuild(service_account=account, logging=logging)))
    assert not list(
        check_cloudbuild.check(CloudBuild(service_account=account, logs_bucket="gs://bucket"))
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (CloudBuild(tags=tuple(map(str, range(65)))), "65 tags are more than 64"),
        (CloudBuild(tags=("a", "b"), limits=Limits(tags=1)), "2 tags are more than 1"),
        (
            CloudBuild(substitutions={f"_A{n}": "" for n in range(201)}),
            "201 substitutions are more",
        ),
        (CloudBuild(substitutions={"_A": "x" * 4_001}), "the value has 4001 characters"),
        (CloudBuild(substitutions={"_" + "A" * 1_000: ""}), "is not a valid substitution"),
    ],
)
def test_what_there_may_not_be_more_of(options, message):
    (problem,) = check_cloudbuild.check(options)
    assert message in problem.message


def test_what_there_may_be_just_so_much_of():
    fits = {f"_A{n}": "x" * 4_000 for n in range(199)} | {"_" + "A" * 999: ""}
    options = CloudBuild(tags=tuple(map(str, range(64))), substitutions=fits)
    assert not list(check_cloudbuild.check(options))


@pytest.mark.parametrize(
    "repository",
    [
        "https://github.com/o/n",
        "https://github.com/o/n.git",
        "https://source.developers.google.com/p/p/r/n",
        "projects/p/locations/l/connections/c/repositories/r",
        "projects/p/locations/l/connections/c/gitRepositoryLinks/r",
    ],
)
def test_repositories_that_can_be_watched(repository):
    assert not list(check_cloudbuild.check(CloudBuild(trigger=Trigger(repository=repository))))
