"""What is made of Cloud Build's answers; the answers themselves come from a script."""

import json
import pathlib

import pytest

from imagekit.build import progress, report
from imagekit.build.cloud import service, submit, upload
from imagekit.errors import BuildFileError, CloudError, UsageError

DOCKER = "gcr.io/cloud-builders/docker"


def step(verb, tag, *wait_for):
    name = tag if verb == "build" else f"{tag}-{verb}"
    args = ["build", "-t", tag, "."] if verb == "build" else [verb, tag]
    return {"id": name, "name": DOCKER, "args": args, "waitFor": list(wait_for) or ["-"]}


FIRST = [step("build", "h/r:a"), step("push", "h/r:a", "h/r:a")]
SECOND = [
    step("pull", "h/r:a"),
    step("build", "h/r:b", "h/r:a-pull"),
    step("push", "h/r:b", "h/r:b"),
]


class Script:
    """A service that answers one thing after the other, the last again and again."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.done = []
        self.logs = []

    def _next(self):
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return service.parse(json.dumps(answer))

    def submit(self, file, needed):
        self.done.append(f"submit {file.name}")
        return self._next()

    def describe(self, build):
        self.done.append(f"describe {build}")
        return self._next()

    def cancel(self, build):
        self.done.append(f"cancel {build}")

    def log(self, build):
        assert build.status != "QUEUED", "a build that waits has no log"
        return self.logs.pop(0) if self.logs else b""


def build(status, *states, **more):
    return {"id": "1", "projectId": "p", "status": status, "logUrl": "https://l"} | {
        "steps": [{"status": state} for state in states],
        **more,
    }


@pytest.fixture
def submitted(tmp_path):
    """Submit files of these steps, and watch: the report."""

    def make(service, *files, name="cloudbuild.json", interrupt_at=None, **options):
        parts = [
            upload.BuildFile(pathlib.Path(f"b{n}.json"), json.dumps({"steps": steps}))
            for n, steps in enumerate(files, start=1)
        ]
        resumed = options.pop("resumed", ())
        chosen = submit.Options(logs=tmp_path, interval=0.001, **options)
        seen = []

        def observe(entry):
            seen.append((entry.id, entry.state))
            if interrupt_at is not None and seen[-1] == interrupt_at:
                doing.stop.set()

        doing = submit.Submission(name, parts, service, chosen, observe, resumed)
        make.seen, make.doing = seen, doing
        return doing.run(())

    return make


def states(found):
    return [entry.state for entry in found.steps]


def test_a_build_is_followed_to_its_end(submitted, tmp_path):
    digest = f"sha256:{'1' * 64}"
    times = {"startTime": "2026-11-24T10:00:00Z", "endTime": "2026-11-24T10:00:05Z"}
    last = build("SUCCESS", "SUCCESS", "SUCCESS")
    last["steps"][0]["timing"] = times
    service = Script(build("QUEUED"), build("WORKING", "WORKING", "QUEUED"), last)
    service.logs = [
        b'starting\nStep #0 - "h/r:a": one\nStep #0 - "h/r:a": tw',
        f"o\nStep #1: a: digest: {digest} size: 1".encode(),
    ]
    found = submitted(service, FIRST)
    assert found.outcome == "succeeded"
    assert submitted.seen == [
        ("h/r:a", "running"),
        ("h/r:a", "succeeded"),
        ("h/r:a-push", "succeeded"),
    ]
    assert (found.steps[0].started, found.steps[0].finished) == tuple(times.values())
    assert found.steps[1].digest == digest
    assert (tmp_path / found.steps[0].log).read_text() == "one\ntwo\n"
    assert report.read(tmp_path / report.NAME) == found
    assert (tmp_path / "log-1.txt").read_bytes().startswith(b"starting\nStep #0")


def test_an_interrupt_before_anything_is_submitted(submitted, tmp_path):
    class Interrupted(Script):
        def submit(self, file, needed):
            raise KeyboardInterrupt

    found = submitted(Interrupted(), FIRST)
    assert found.outcome == "interrupted"
    assert report.read(tmp_path / report.NAME) == found


def test_a_file_is_submitted_when_the_one_before_has_succeeded(submitted):
    service = Script(
        build("WORKING"),
        build("SUCCESS", *["SUCCESS"] * 2),
        build("SUCCESS", *["SUCCESS"] * 3),
    )
    found = submitted(service, FIRST, SECOND)
    assert service.done == ["submit b1.json", "describe 1", "submit b2.json"]
    assert found.outcome == "succeeded"
    # The second file's first step waits for what is last in the first.
    assert [entry.needs for entry in found.steps[2:]] == [
        ("h/r:a-push",),
        ("h/r:a-pull",),
        ("h/r:b",),
    ]


def test_a_parent_that_is_pulled_twice_has_two_names(submitted):
    service = Script(*[build("SUCCESS", *["SUCCESS"] * 3)] * 3)
    found = submitted(service, FIRST, SECOND, [step("pull", "h/r:a")])
    names = [entry.id for entry in found.steps if entry.kind == "pull"]
    assert names == ["h/r:a-pull", "h/r:a-pull (b3.json)"]


def test_a_failure_ends_everything(submitted):
    failed = build("FAILURE", "FAILURE", "QUEUED", failureInfo={"detail": "why"})
    failed["steps"][0]["exitCode"] = 3
    found = submitted(Script(failed), FIRST, SECOND)
    assert found.outcome == "failed"
    assert states(found) == ["failed", "blocked", "blocked", "blocked", "blocked"]
    assert [entry.reason for entry in found.steps[:3]] == [
        "exit code 3",
        "another step failed",
        "the build of b1.json did not succeed",
    ]
    assert "1 build file not submitted" in list(submit.summary(found))


@pytest.mark.parametrize(
    ("status", "state", "reason", "outcome"),
    [
        ("TIMEOUT", "timed out", "too long", "failed"),
        ("EXPIRED", "timed out", "too long", "failed"),
        ("INTERNAL_ERROR", "blocked", "too long", "failed"),
        ("CANCELLED", "interrupted", "the build was cancelled", "interrupted"),
    ],
)
def test_other_ends(submitted, status, state, reason, outcome):
    ended = build(status, "SUCCESS", "CANCELLED", statusDetail="too long")
    found = submitted(Script(ended), FIRST)
    assert (found.outcome, found.steps[1].state, found.steps[1].reason) == (outcome, state, reason)
    assert found.steps[0].state == "succeeded"


def test_an_interruption_leaves_the_build_alone(submitted):
    service = Script(build("WORKING", "WORKING", "QUEUED"))
    found = submitted(service, FIRST, interrupt_at=("h/r:a", "running"))
    assert (found.outcome, found.finished) == ("running", None)
    assert service.done == ["submit b1.json"]


def test_an_interruption_ends_the_build_once_where_that_is_asked_for(submitted):
    working = build("WORKING", "WORKING", "QUEUED")
    service = Script(working, working, build("CANCELLED", "CANCELLED", "QUEUED"))
    found = submitted(service, FIRST, interrupt_at=("h/r:a", "running"), cancel=True)
    assert found.outcome == "interrupted"
    assert service.done == ["submit b1.json", "cancel 1", "describe 1", "describe 1"]


def test_now_and_then_cloud_build_may_not_answer(submitted):
    down = CloudError("down")
    service = Script(build("WORKING"), down, down, build("SUCCESS", "SUCCESS", "SUCCESS"))
    assert submitted(service, FIRST).outcome == "succeeded"


def test_at_last_it_is_given_up(submitted, tmp_path):
    service = Script(build("WORKING", "WORKING"), CloudError("down"))
    with pytest.raises(CloudError, match="down"):
        submitted(service, FIRST)
    assert service.done.count("describe 1") == submit.PATIENCE
    assert report.read(tmp_path / report.NAME).builds[0].id == "1"


def test_a_log_that_cannot_be_read_is_told_and_ends_nothing(submitted):
    service = Script(build("SUCCESS", "SUCCESS", "SUCCESS"))

    def log(_):
        raise CloudError("no permission")

    service.log = log
    assert submitted(service, FIRST).outcome == "succeeded"
    assert submitted.doing.notes == ["the log of build 1 could not be read: no permission"]


def resumable(steps, status):
    text = json.dumps({"steps": steps})
    file = upload.BuildFile(pathlib.Path("b1.json"), text)
    return report.Submitted(file="b1.json", sha256=file.sha256, id="1", status=status)


@pytest.mark.parametrize(
    ("steps", "status", "done"),
    [
        (FIRST, "SUCCESS", ["describe 1"]),
        (FIRST, "WORKING", ["describe 1", "describe 1"]),
        (FIRST, "FAILURE", ["describe 1", "submit b1.json"]),
        (SECOND, "SUCCESS", ["submit b1.json"]),
    ],
)
def test_what_was_begun_is_gone_on_with(submitted, steps, status, done):
    over = build("SUCCESS", "SUCCESS", "SUCCESS")
    service = Script(build(status, "SUCCESS", "SUCCESS"), over)
    found = submitted(service, FIRST, resumed=[resumable(steps, status)])
    assert service.done == done
    assert found.outcome == "succeeded"


@pytest.mark.parametrize("resumed", [[], [resumable(FIRST, "WORKING")]])
def test_only_a_new_build_has_another_before_it(submitted, tmp_path, resumed):
    (tmp_path / report.NAME).write_text("{}")
    service = Script(build("SUCCESS", "SUCCESS", "SUCCESS"))
    submitted(service, FIRST, resumed=resumed)
    assert (tmp_path / report.PREVIOUS).exists() == (not resumed)


def test_a_build_that_is_only_watched_is_never_submitted(submitted):
    failed = build("FAILURE", "FAILURE", "QUEUED")
    resumed = [resumable(FIRST, "FAILURE")]
    known = service.parse(json.dumps(failed))
    found = submitted(Script(failed), FIRST, resumed=resumed, watched=known)
    assert found.outcome == "failed"
    assert submitted.doing.service.done == [], "what is known is not asked for again"


def test_what_was_begun_is_not_forgotten_when_cloud_build_does_not_answer(submitted, tmp_path):
    with pytest.raises(CloudError):
        submitted(Script(CloudError("denied")), FIRST, resumed=[resumable(FIRST, "WORKING")])
    assert report.read(tmp_path / report.NAME).builds[0].id == "1"


def test_an_interruption_in_the_last_moment_begins_nothing_more(submitted):
    service = Script(build("WORKING", "WORKING"), build("SUCCESS", "SUCCESS", "SUCCESS"))
    found = submitted(service, FIRST, SECOND, interrupt_at=("h/r:a", "succeeded"))
    assert service.done == ["submit b1.json", "describe 1"]
    assert found.outcome == "interrupted"


def test_a_build_that_ends_while_it_is_cancelled(submitted):
    service = Script(build("WORKING", "WORKING"), build("SUCCESS", "SUCCESS", "SUCCESS"))

    def cancel(_):
        raise CloudError("it has ended")

    service.cancel = cancel
    found = submitted(service, FIRST, interrupt_at=("h/r:a", "running"), cancel=True)
    assert found.outcome == "succeeded"


def test_only_steps_that_have_ended_have_an_exit_code(submitted):
    # Google's library says 0 of all others.
    failed = build("FAILURE", "FAILURE", "QUEUED")
    failed["steps"] = [{**step, "exitCode": 0} for step in failed["steps"]]
    assert [entry.exit_code for entry in submitted(Script(failed), FIRST).steps] == [None, None]


def test_lines_of_a_log_are_shown_as_they_come(submitted):
    shown = []
    service = Script(build("SUCCESS", "SUCCESS", "SUCCESS"))
    service.logs = [b'Step #0 - "h/r:a": x\nStep #9: of none\n']
    submitted(service, FIRST, show=shown.append)
    assert shown == ['Step #0 - "h/r:a": x', "Step #9: of none"]


def test_an_answer_that_is_no_build():
    with pytest.raises(CloudError, match="unexpected response from Cloud Build"):
        service.parse("[]")


def test_what_is_watched_by_its_id_is_taken_from_the_build_itself():
    raw = {"id": "7", "steps": FIRST, "status": "WORKING"}
    file, begun = submit.watched(service.parse(json.dumps(raw)))
    assert json.loads(file.text) == raw
    assert (begun.id, begun.sha256) == ("7", file.sha256)


# ---- before it


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pathlib.Path("Dockerfile").write_text("FROM x\nCOPY sub /\n")
    pathlib.Path("sub").mkdir()
    pathlib.Path("sub/a").write_text("a")
    pathlib.Path("other").write_text("o")
    pathlib.Path("b1.json").write_text(json.dumps({"steps": FIRST}))
    return tmp_path


def test_what_a_build_needs(project):
    files = upload.files_of(pathlib.Path("b1.json"))
    assert upload.needed(files, project) == ["Dockerfile", "sub/a"]


def test_what_many_images_are_made_of_is_read_once(project, monkeypatch):
    read = []
    monkeypatch.setattr(upload, "made_of", lambda *given: read.append(given) or {"Dockerfile": ""})
    steps = [step("build", f"h/r:a{n}") for n in range(3)]
    steps.append(step("build", "h/r:b") | {"dir": "sub"})
    steps.append(step("build", "h/r:c"))
    steps[-1]["args"] = ["build", "-t", "h/r:c", "-f", "Dockerfile", "sub"]
    pathlib.Path("b1.json").write_text(json.dumps({"steps": steps}))
    upload.needed(upload.files_of(pathlib.Path("b1.json")), project)
    assert [given[1:] for given in read] == [
        ("Dockerfile", "."),
        ("sub/Dockerfile", "sub"),
        ("Dockerfile", "sub"),
    ]


def test_what_is_ignored_is_decided_where_the_build_runs_so_that_goes_along(project):
    pathlib.Path(".dockerignore").write_text("sub/a\n")
    files = upload.files_of(pathlib.Path("b1.json"))
    assert upload.needed(files, project) == [".dockerignore", "Dockerfile"]
    pathlib.Path("Dockerfile.dockerignore").write_text("")
    found = upload.needed(files, project)
    assert found == ["Dockerfile", "Dockerfile.dockerignore", "sub/a"]


def test_what_is_missing_is_told_at_once(project):
    tested = step("test", "h/r:a")
    tested["name"] = "gcr.io/gcp-runtimes/container-structure-test"
    tested["args"] = ["test", "--image", "h/r:a", "--config", "t.yaml"]
    pathlib.Path("Dockerfile").unlink()
    pathlib.Path("b1.json").write_text(json.dumps({"steps": [*FIRST, tested]}))
    with pytest.raises(BuildFileError) as error:
        upload.needed(upload.files_of(pathlib.Path("b1.json")), project)
    assert [str(problem) for problem in error.value.problems] == [
        "Dockerfile: the build needs this file, and it does not exist",
        "t.yaml: the build needs this file, and it does not exist",
    ]


def test_a_torn_set_of_files_is_not_submitted(project):
    entry = {"file": "b1.json", "sha256": "0"}
    manifest = {"repository": "h/r", "critical_path": 1, "files": [entry]}
    pathlib.Path("m.json").write_text(json.dumps(manifest))
    with pytest.raises(UsageError, match=r"b1.json is not the file that m.json names"):
        upload.files_of(pathlib.Path("m.json"))


def test_a_build_is_another_one_when_what_it_reads_has_changed(project):
    (file,) = upload.files_of(pathlib.Path("b1.json"))

    def made(**substitutions):
        return upload.with_inputs(file, project, substitutions).sha256

    before = made()
    assert made() == before
    assert made(_UNUSED="1") == before
    pathlib.Path("sub/a").write_text("other")
    assert made() != before
    pathlib.Path("sub/a").write_text("a")
    pathlib.Path("other").write_text("is read by nothing")
    assert made() == before


def test_what_an_earlier_build_left_is_not_taken_for_this_one_s(submitted, tmp_path):
    for name in ("001-x.log", "log-old.txt", "passed.json"):
        (tmp_path / name).write_text("old")
    submitted(Script(build("SUCCESS", "SUCCESS", "SUCCESS")), FIRST)
    assert {path.name for path in tmp_path.iterdir()} == {"passed.json", "report.json"}
    assert submitted.doing.notes == ["build 1 has no log that can be read here"]


def test_the_reason_of_a_build_is_one_line(submitted):
    failed = build("FAILURE", "QUEUED", "QUEUED", failureInfo={"detail": "no\nbuilder\n"})
    found = submitted(Script(failed), FIRST)
    assert {entry.reason for entry in found.steps} == {"no builder"}
    assert list(progress.summary(found, pathlib.Path()))[:1] == ["⊘ h/r:a, h/r:a-push: no builder"]
