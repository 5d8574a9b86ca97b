import types

import imagekit
from imagekit.document import targets

CONFIG = "base_url: h/r\npython_versions: {a: {V: 1}, b: {V: 2}}\nimages: [{python: [a, b]}]\n"


def tags(plan, config, path):
    return {path: "".join(f"{plan.reference(image.tag)}\n" for image in plan.images)}


def test_a_second_target_is_a_module_and_a_line(config_file, monkeypatch):
    second = types.SimpleNamespace(files=tags)
    monkeypatch.setitem(targets.TARGETS, "tags", second)
    config = imagekit.load(config_file(CONFIG))
    plan = imagekit.plan(config)
    assert imagekit.files(plan, config, "t", target="tags") == {"t": "h/r:cpu-a\nh/r:cpu-b\n"}
    assert list(imagekit.files(plan, config)) == ["cloudbuild.json"]
