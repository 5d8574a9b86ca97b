import pytest

from imagekit.build.cloud import gcloud


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (
            "ERROR: (gcloud.builds.submit) You do not currently have an active account selected.\n"
            "Please run:\n\n  $ gcloud auth login\n",
            "You do not currently have an active account selected; not logged in; run gcloud",
        ),
        (
            "ERROR: (gcloud.builds.submit) The required property [project] is not currently set.\n"
            "It can be set on a per-command basis\n",
            "The required property [project] is not currently set; give --project, set",
        ),
        (
            "Uploading\nERROR: (gcloud.builds.submit) PERMISSION_DENIED: The caller does not have "
            "permission. This command is unauthenticated because the [auth/x] is True\n",
            "PERMISSION_DENIED: The caller does not have permission; ask for the role Cloud Build",
        ),
        ("ERROR: (gcloud.x) INVALID_ARGUMENT: no steps", "INVALID_ARGUMENT: no steps; Cloud Build"),
        (
            "ERROR: gcloud crashed (ConnectionError): x",
            "crashed (ConnectionError): x; Google Cloud",
        ),
        (
            "ERROR: (gcloud.builds.submit) INVALID_ARGUMENT: could not resolve source: googleapi: "
            "Error 403: n does not have storage.objects.get access",
            "ask for the role Storage Admin",
        ),
        (
            "ERROR: (gcloud.builds.submit) The user is forbidden from accessing the bucket [b]",
            "ask for the role Storage Admin",
        ),
        ("ERROR: (gcloud.x) FAILED_PRECONDITION: due to quota restrictions", "ask for more quota"),
        (
            "ERROR: (gcloud.x) interpreting b.json as build config: .options.x: unused",
            "gcloud comp",
        ),
        ("something else\nodd", "gcloud: odd"),
        ("", "gcloud: no answer"),
    ],
)
def test_what_gcloud_says_is_one_line_with_what_to_do(said, told):
    error = gcloud.cloud_error(said)
    assert told in str(error)
    assert "\n" not in str(error)
    assert error.exit_code == 7


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"_A": "1"}, "_A=1"),
        ({"_A": "1", "_B": "x=y"}, "_A=1,_B=x=y"),
        ({"_A": "1,2", "_B": "3"}, "^;^_A=1,2;_B=3"),
        ({"_A": "1,2;3"}, "^|^_A=1,2;3"),
        ({"_A": ",;|#~", "_B": "@0@"}, "^@1@^_A=,;|#~@1@_B=@0@"),
    ],
)
def test_substitutions_as_gcloud_reads_them(values, text):
    assert gcloud._pairs(values) == text


@pytest.mark.parametrize(
    ("time", "before"),
    [
        ("2026-11-24T00:00:30Z", "2026-11-23T23:59:30+00:00"),
        ("2026-11-24T10:00:00.123456789Z", "2026-11-24T09:59:00.123456+00:00"),
    ],
)
def test_a_minute_before_a_time_of_google_s(time, before):
    assert gcloud._minute_before(time) == before
