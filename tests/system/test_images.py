"""The notebook of images on a real engine and a real registry."""

import json

from imagekit.build import images as docker_images
from imagekit.build import report as reports
from imagekit.build.report import Report, StepReport
from imagekit.notebook import build_report, images
from tests.system.conftest import run, serving

DOCKERFILE = """FROM scratch
COPY one /
COPY two /
"""


def test_what_the_engine_and_the_registry_say(docker, tmp_path, monkeypatch):
    monkeypatch.setenv("IMAGEKIT_DOCKER", docker)
    context = tmp_path / "context"
    context.mkdir()
    for name, text in (("Dockerfile", DOCKERFILE), ("one", "1" * 1000), ("two", "2" * 2000)):
        (context / name).write_text(text)
    with serving(tmp_path, tmp_path / "content") as registry:
        pushed, never = (f"{registry.address}/ml:{tag}" for tag in ("imagekit-test", "never"))
        try:
            run(docker, "build", "-t", pushed, str(context))
            run(docker, "push", pushed)
            digest = registry.digest("imagekit-test")
            steps = [
                *(StepReport(id=n, kind="build", images=(n,)) for n in (pushed, never)),
                StepReport(id=f"{pushed}-push", kind="push", images=(pushed,), digest=digest),
            ]
            report = Report(file="f", jobs=1, started="2026-01-01T00:00:00+00:00", steps=steps)
            reports.write(report, tmp_path / "report.json")
            build = build_report.read(str(tmp_path / "report.json"))
            found = images.read(build, engine=True, registry=True)
            frame = found.frame
            assert [*frame["engine"]] == [*frame["registry"]] == ["there", "missing"]
            assert frame.loc["imagekit-test", ["size", "layers"]].tolist() == [3000, 2]
            assert 0 < frame.loc["imagekit-test", "download"] < 3000
            layers = images.layers(found).frame
            assert layers["size"].tolist() == [1000, 2000]
            assert "COPY" in layers["instruction"].iloc[0]
            # The command that the notebook shows works, also when the tag is gone.
            command = images.pulls(found).frame["command"].iloc[0].split()
            run(docker, *command[1:])
            named = json.loads(run(docker, "image", "inspect", command[-1]))
            assert named[0]["Id"] == docker_images.on_engine(docker, [pushed])[pushed].id
        finally:
            run(docker, "image", "rm", "--force", pushed)
