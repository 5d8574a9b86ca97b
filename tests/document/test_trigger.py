import json

import msgspec
import pytest
import yaml

import imagekit
from imagekit.document import terraform
from imagekit.document import trigger as triggers
from imagekit.errors import ConfigError, LimitError, UsageError

CONFIG = """
base_url: {url}
python_versions: {{a: {{}}}}
images: [{{python: a}}]
cloudbuild: {{{more}}}
"""


@pytest.fixture
def planned(config_file):
    def make(repository, *, url="gcr.io/p/ml", whole="", **more):
        options = ", ".join(f"{key}: {value}" for key, value in more.items())
        trigger = f"trigger: {{repository: {repository}{', ' + options if options else ''}}}"
        text = CONFIG.format(url=url, more=f"{trigger}{', ' + whole if whole else ''}")
        config = imagekit.load(config_file(text))
        return imagekit.plan(config), config.cloudbuild

    return make


CONNECTED = "projects/p/locations/l/connections/c/repositories/r"
LINKED = "projects/p/locations/l/connections/c/gitRepositoryLinks/r"
ENTERPRISE = "projects/p/locations/l/githubEnterpriseConfigs/c"
GITLAB = "projects/p/locations/l/gitLabConfigs/c"
PUSH = {"push": {"branch": "^main$"}}


@pytest.mark.parametrize(
    ("repository", "host_config", "event"),
    [
        ("https://github.com/o/n.git", None, {"github": {"owner": "o", "name": "n", **PUSH}}),
        (CONNECTED, None, {"repositoryEventConfig": {"repository": CONNECTED, **PUSH}}),
        (LINKED, None, {"developerConnectEventConfig": {"gitRepositoryLink": LINKED, **PUSH}}),
        (
            "https://source.developers.google.com/p/q/r/n",
            None,
            {"triggerTemplate": {"projectId": "q", "repoName": "n", "branchName": "^main$"}},
        ),
        (
            "https://git.example.com/o/n",
            ENTERPRISE,
            {
                "github": {"owner": "o", "name": "n", **PUSH}
                | {"enterpriseConfigResourceName": ENTERPRISE}
            },
        ),
        (
            "https://git.example.com/g/s/n/",
            GITLAB,
            {
                "gitlabEnterpriseEventsConfig": {
                    "gitlabConfigResource": GITLAB,
                    "projectNamespace": "g/s/n",
                    **PUSH,
                }
            },
        ),
    ],
)
def test_what_a_trigger_listens_to(planned, repository, host_config, event):
    more = {"host_config": host_config} if host_config else {}
    (found,) = triggers.documents(*planned(repository, **more), ["c.json"], ["Dockerfile"])
    assert event.items() <= found.items()
    assert found["includedFiles"] == ["Dockerfile", "c.json"]
    assert found["filename"] == "c.json"
    assert "ignoredFiles" not in found
    assert "approvalConfig" not in found


def test_what_the_config_says_more(planned):
    plan = planned(
        CONNECTED,
        name="nightly",
        branch="release/1.0",
        ignored_files="['**/*.md']",
        approval="true",
        whole="tags: [t], service_account: a@p.iam.gserviceaccount.com, logging: NONE",
    )
    (found,) = triggers.documents(*plan, ["c.json"], [])
    assert found["name"] == "nightly"
    assert found["repositoryEventConfig"]["push"] == {"branch": r"^release/1\.0$"}
    assert found["ignoredFiles"] == ["**/*.md"]
    assert found["approvalConfig"] == {"approvalRequired": True}
    assert found["tags"] == ["t"]
    assert found["serviceAccount"] == "projects/p/serviceAccounts/a@p.iam.gserviceaccount.com"


@pytest.mark.parametrize(
    ("repository", "host_config", "source"),
    [
        ("https://github.com/o/n", None, {"uri": "https://github.com/o/n", "repoType": "GITHUB"}),
        (CONNECTED, None, {"repository": CONNECTED}),
        (
            "https://source.developers.google.com/p/q/r/n",
            None,
            {
                "uri": "https://source.developers.google.com/p/q/r/n",
                "repoType": "CLOUD_SOURCE_REPOSITORIES",
            },
        ),
        (
            "https://git.example.com/o/n",
            ENTERPRISE,
            {
                "uri": "https://git.example.com/o/n",
                "repoType": "GITHUB",
                "githubEnterpriseConfig": ENTERPRISE,
            },
        ),
        (
            "https://git.example.com/o/n",
            GITLAB,
            {"uri": "https://git.example.com/o/n", "repoType": "GITLAB"},
        ),
    ],
)
def test_a_schedule_is_a_second_trigger(planned, repository, host_config, source):
    more = {"host_config": host_config} if host_config else {}
    plan = planned(repository, schedule="0 4 * * 1", **more)
    _, found = triggers.documents(*plan, ["c.json"], ["Dockerfile"])
    assert found["name"] == "imagekit-schedule"
    assert found["pubsubConfig"] == {"topic": "projects/p/topics/imagekit-schedule"}
    assert found["sourceToBuild"] == source | {"ref": "refs/heads/main"}
    assert found["gitFileSource"] == {"path": "c.json", **source, "revision": "refs/heads/main"}
    assert "includedFiles" not in found


def test_a_schedule_may_arrive_through_a_webhook(planned):
    secret = "projects/p/secrets/s/versions/1"  # noqa: S105 - the name of one
    plan = planned(CONNECTED, schedule="0 4 * * 1", secret=secret)
    assert triggers.documents(*plan, ["c.json"], [])[1]["webhookConfig"] == {"secret": secret}
    job, imported = triggers.commands(*plan, "t.yaml")
    address = "https://cloudbuild.googleapis.com/v1/projects/p/locations/l/triggers/"
    assert f"'--uri={address}imagekit-schedule:webhook?key=API_KEY&secret=SECRET'" in job
    assert "'--schedule=0 4 * * 1'" in job
    assert imported == "gcloud builds triggers import --source=t.yaml --project=p --region=l"
    found = json.loads(terraform.render(*plan, triggers.documents(*plan, ["c.json"], [])))
    assert list(found["variable"]) == ["cloud_build_api_key", "webhook_secret"]
    (made,) = found["resource"]["google_cloud_scheduler_job"].values()
    assert made["http_target"]["uri"].endswith(
        ":webhook?key=${var.cloud_build_api_key}&secret=${var.webhook_secret}"
    )


def test_several_build_files_are_submitted_in_order(planned):
    (found,) = triggers.documents(*planned(CONNECTED), ["x/c-01.json", "x/c-02.json"], [])
    assert found["includedFiles"] == ["x/c-01.json", "x/c-02.json"]
    first, second = found["build"]["steps"]
    assert first["args"][2:5] == ["submit", ".", "--config=x/c-01.json"]
    assert (first["waitFor"], second["waitFor"]) == (["-"], ["c-01.json"])


GITHUB = "https://github.com/o/n"


def test_what_is_left_to_do(planned):
    plan = planned(GITHUB, schedule="0 4 * * 1", topic="weekly", whole="region: europe-west1")
    assert triggers.commands(*plan, "a file.yaml") == [
        "gcloud pubsub topics create weekly --project=p",
        "gcloud scheduler jobs create pubsub weekly --topic=weekly --message-body=build "
        "'--schedule=0 4 * * 1' --time-zone=Etc/UTC --location=europe-west1 --project=p",
        "gcloud builds triggers import '--source=a file.yaml' --project=p --region=europe-west1",
    ]
    plan = planned(GITHUB, url="example.com/x")
    assert triggers.commands(*plan, "t") == ["gcloud builds triggers import --source=t"]


def test_a_trigger_is_where_its_repository_is_connected(planned):
    assert triggers.commands(*planned(CONNECTED), "t")[0].endswith(" --region=l")
    text = terraform.render(*planned(CONNECTED), triggers.documents(*planned(CONNECTED), ["c"], []))
    assert json.loads(text)["resource"]["google_cloudbuild_trigger"]["imagekit"]["location"] == "l"
    with pytest.raises(ConfigError, match="the trigger's repository is connected in l, not "):
        planned(CONNECTED, whole="region: us-west1")


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (
            {"schedule": "0 4 * * 1", "topic": "projects/p/topics/x"},
            "is not a valid topic: write it like my-topic",
        ),
        ({"schedule": "0 4 * * 1", "time_zone": "'a b; c'"}, "write it like Europe/Berlin"),
        ({"time_zone": "Europe/Berlin"}, "'time_zone' requires 'schedule'"),
        ({"schedule": "61 4 * * 1"}, "is not a valid schedule"),
        ({"schedule": "0 4 * * 8"}, "is not a valid schedule"),
        ({"schedule": "0 4/5/5 * * 1"}, "is not a valid schedule"),
        ({"schedule": "0 4 * *"}, "is not a valid schedule"),
        ({"branch": "^main$"}, "is not a valid branch: write the plain name"),
        ({"host_config": ENTERPRISE}, "github.com does not take 'host_config'"),
        ({"schedule": "0 4 * * $(x)"}, "is not a valid schedule"),
    ],
)
def test_what_a_shell_would_read_otherwise(planned, more, message):
    with pytest.raises(ConfigError, match=message):
        planned(GITHUB, **more)


def test_developer_connect_has_no_schedule(planned):
    with pytest.raises(ConfigError, match="a schedule is not supported for a Developer"):
        planned(LINKED, schedule="0 4 * * 1")


def test_a_page_of_a_repository_is_none(planned):
    with pytest.raises(
        ConfigError, match="is not a valid repository URL: write https://HOST/OWNER/"
    ):
        planned(f"{GITHUB}/tree/main")


@pytest.mark.parametrize("schedule", ["0 4 * * 1", "*/15 0-6,20 1,15 JAN-MAR mon-fri", "0 0 1 1 7"])
def test_schedules(planned, schedule):
    assert planned(GITHUB, schedule=f"'{schedule}'")[1].trigger.schedule == schedule


def test_a_path_is_no_glob(planned):
    (found,) = triggers.documents(*planned(GITHUB), ["c.json"], ["d/a[1]*.txt"])
    assert found["includedFiles"] == ["c.json", r"d/a\[1]\*.txt"]


def test_builds_that_are_submitted_by_a_build_are_in_its_region_and_know_the_commit(planned):
    plan = planned(GITHUB, whole="region: us-west1")
    (found,) = triggers.documents(*plan, ["a.json", "b.json"], [])
    assert found["build"]["steps"][0]["args"][-1] == "--region=us-west1"
    whole = msgspec.structs.replace(plan[0], source="https://example.com")
    (found,) = triggers.documents(whole, plan[1], ["a.json", "b.json"], [])
    assert found["build"]["steps"][0]["args"][-1] == "--substitutions=COMMIT_SHA=$COMMIT_SHA"


def test_a_config_without_a_trigger(config_file):
    config = imagekit.load(config_file(CONFIG.format(url="h/r", more="")))
    plan = imagekit.plan(config), config.cloudbuild
    with pytest.raises(LimitError, match="the config has no trigger; set its"):
        triggers.documents(*plan, ["c.json"], [])


def test_a_schedule_without_a_project(planned):
    plan = planned(GITHUB, url="example.com/x", schedule="0 4 * * 1")
    with pytest.raises(LimitError, match="a schedule needs the project"):
        triggers.documents(*plan, ["c.json"], [])


def test_as_yaml_everything_stays_text(planned):
    found = triggers.documents(*planned("https://github.com/y/n"), ["c.json"], [])
    assert list(yaml.safe_load_all(triggers.render(found))) == found


# ---- Terraform


def test_terraform_s_names_and_references(planned):
    plan = planned(CONNECTED, schedule="0 4 * * 1")
    found = triggers.documents(*plan, ["c.json"], ["${x}"])
    resources = json.loads(terraform.render(*plan, found))["resource"]
    pushed = resources["google_cloudbuild_trigger"]["imagekit"]
    assert pushed["location"] == "l"
    assert pushed["project"] == "p"
    assert pushed["included_files"] == ["$${x}", "c.json"]
    assert pushed["repository_event_config"]["push"] == {"branch": "^main$"}
    scheduled = resources["google_cloudbuild_trigger"]["imagekit-schedule"]
    reference = "${google_pubsub_topic.imagekit-schedule.id}"
    assert scheduled["pubsub_config"] == {"topic": reference}
    assert scheduled["source_to_build"]["repo_type"] == "UNKNOWN"
    job = resources["google_cloud_scheduler_job"]["imagekit-schedule"]
    assert job["pubsub_target"]["topic_name"] == reference
    assert resources["google_pubsub_topic"]["imagekit-schedule"]["name"] == "imagekit-schedule"


def test_terraform_repeats_a_block_for_each_step(planned):
    plan = planned("https://github.com/o/n", url="example.com/x")
    text = terraform.render(*plan, triggers.documents(*plan, ["a.json", "b.json"], []))
    (trigger,) = json.loads(text)["resource"]["google_cloudbuild_trigger"].values()
    assert [step["wait_for"] for step in trigger["build"]["step"]] == [["-"], ["a.json"]]
    assert "project" not in trigger


def test_what_terraform_s_provider_does_not_know(planned):
    plan = planned("https://git.example.com/g/n", host_config=GITLAB)
    with pytest.raises(UsageError, match="use --format yaml"):
        terraform.render(*plan, triggers.documents(*plan, ["c.json"], []))


def test_terraform_without_a_project(planned):
    plan = planned(GITHUB, url="example.com/x")
    text = terraform.render(*plan, triggers.documents(*plan, ["c.json"], []))
    (trigger,) = json.loads(text)["resource"]["google_cloudbuild_trigger"].values()
    assert {"project", "location"}.isdisjoint(trigger)


def test_approval_stays_a_truth_value(planned):
    plan = planned(GITHUB, approval="true")
    text = terraform.render(*plan, triggers.documents(*plan, ["c.json"], []))
    assert '"approval_required": true' in text
