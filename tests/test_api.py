import pathlib

import pytest

import imagekit
from imagekit import api
from imagekit.config.schema import Alias, Config, Entry, Exclude
from imagekit.errors import ConfigError, ConfigWarning, LimitError, UsageError

CONFIG = """
base_url: example.com/image
python_versions: {py39: {PYTHON_VERSION: 3.9}, py310: {PYTHON_VERSION: 3.10}}
images:
  - python: [py39, py310]
"""


def test_the_steps_of_the_pipeline(config_file):
    config = imagekit.load(config_file(CONFIG))
    assert [cell.status for cell in imagekit.matrix(config).cells] == ["built", "built"]
    plan = imagekit.plan(config)
    assert [image.tag for image in plan.images] == ["cpu-py39", "cpu-py310"]
    assert plan.images[1].build_args["PYTHON_VERSION"] == "3.10"
    assert imagekit.render(plan, config).startswith('{\n  "steps": [')


def test_modules_are_there_without_importing_each():
    assert imagekit.errors.ConfigError is ConfigError
    assert {"load", "api", "errors"} <= {*dir(imagekit)}
    with pytest.raises(AttributeError, match="module 'imagekit' has no attribute 'laod'"):
        imagekit.laod  # noqa: B018


def test_a_config_from_python_needs_no_file():
    entry = Entry(axes={"python": ("py311",)})
    config = Config(python_versions={"py311": {"PYTHON_VERSION": "3.11"}}, images=(entry,))
    assert imagekit.plan(config).names() == ("cpu-py311",)


def test_problems_of_a_config_from_python_carry_paths():
    config = Config(
        python_versions={"py311": {}},
        images=(Entry(axes={"python": ("py311", "py31")}),),
        exclude=(Exclude(axes={"python": ("py311",), "gpu": ("x",)}, reason="r"),),
        aliases={"a": Alias(axes={"python": "py312"})},
    )
    with pytest.raises(ConfigError) as error:
        imagekit.plan(config)
    assert [str(problem).split(":")[0] for problem in error.value.problems] == [
        "images[0].python[1]",
        "exclude[0].gpu[0]",
        "aliases.a.python[0]",
    ]


@pytest.mark.parametrize(("url", "timeout"), [("example.com/other", 60), ("", 0), (None, None)])
def test_what_is_given_stands_in_for_the_file_s_own(config_file, url, timeout):
    config = imagekit.load(config_file(CONFIG), base_url=url, timeout=timeout)
    assert config.repository == (url or "example.com/image")
    assert config.cloudbuild.timeout == (timeout or 86_400)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"base_url": "UPPER"}, "base_url: 'UPPER' is not a valid image repository"),
        ({"timeout": 86_401}, "timeout: 86401 is not between 1 and 86400 seconds"),
        ({"timeout": -1}, "timeout: -1 is not between"),
    ],
)
def test_what_is_given_wrongly_is_refused(config_file, options, message):
    with pytest.raises(UsageError, match=message):
        imagekit.load(config_file(CONFIG), **options)


@pytest.mark.parametrize(
    "only", ["cpu-py310", ["cpu-py310"], ("cpu-py31*",), ["example.com/image:*10"]]
)
def test_one_glob_is_as_good_as_a_list_of_one(config_file, only):
    config = imagekit.load(config_file(CONFIG))
    assert imagekit.plan(config, only=only).names() == ("cpu-py310",)


@pytest.mark.parametrize("nothing", ["", (), []])
def test_no_globs_take_everything(config_file, nothing):
    config = imagekit.load(config_file(CONFIG))
    assert len(imagekit.plan(config, only=nothing, skip=nothing).images) == 2


def test_warnings_do_not_stop(config_file):
    text = CONFIG.replace("base_url: example.com/image", "gpu_versions: {cuda1: {}}")
    warnings = api.check(config_file(text)).warnings
    assert [str(warning).split(": ")[0] for warning in warnings] == [
        "images.yaml:2:1",
        "images.yaml:2:16",
    ]


def test_loading_warns_of_what_deserves_a_look(config_file):
    with pytest.warns(ConfigWarning, match="1:1: warning: 'base_url' is not set"):
        imagekit.load(config_file(CONFIG.replace("base_url: example.com/image", "").strip()))


def test_limits_hold_for_the_selection_and_not_for_the_matrix(config_file):
    text = CONFIG + "cloudbuild: {limits: {steps: 2}}\n"
    config = imagekit.load(config_file(text))
    with pytest.raises(LimitError, match="4 steps are more than the 2"):
        imagekit.render(imagekit.plan(config), config)
    assert imagekit.render(imagekit.plan(config, only="*39"), config)


@pytest.mark.parametrize(
    "images", ["[{}]", "[{}, {gpu: c}]", "[{python: p}, {python: p, gpu: c}]", "[{gpu: c}]"]
)
def test_images_of_axes_that_are_not_there_are_refused(config_file, images):
    with pytest.raises(ConfigError, match="python_versions"):
        imagekit.load(config_file(f"base_url: h/r\nimages: {images}\n"))


def test_a_time_out_may_have_a_unit(config_file):
    config = imagekit.load(config_file(CONFIG), timeout="90m")
    assert '"timeout": "5400s"' in imagekit.render(imagekit.plan(config), config)


@pytest.mark.parametrize("globs", [5, [5], {"a": 1}])
def test_what_is_no_glob_is_refused(config_file, globs):
    config = imagekit.load(config_file(CONFIG))
    with pytest.raises(UsageError, match="is not a glob or a list of globs"):
        imagekit.plan(config, only=globs)


def test_what_is_no_path_is_refused():
    with pytest.raises(UsageError, match="5 is not a path"):
        imagekit.load(5)


@pytest.mark.parametrize("path", ["absent.yaml", "."])
def test_a_file_that_cannot_be_read(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match="cannot be read"):
        imagekit.load(pathlib.Path(path))
