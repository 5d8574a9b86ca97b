"""What a change of a config would bring, and the explorer that shows it."""

import pathlib
import subprocess
import sys

import pytest

import imagekit
from imagekit import api
from imagekit.build import report as reports
from imagekit.build.report import Report, StepReport
from imagekit.errors import ConfigError, ImagekitError, UsageError
from imagekit.notebook import explorer, overview, session, tables, whatif
from imagekit.notebook.display import Table
from imagekit.notebook.whatif import WhatIf

# It asks git for the last commit.
pytestmark = pytest.mark.edge

CONFIG = """\
base_url: h/r
# The systems.
base_images: {old: {}, new: {}}
python_versions: {py39: {PYTHON_VERSION: 3.9}, py310: {PYTHON_VERSION: 3.10}}
gpu_versions: {cuda9: {}}
images:
  - {base_image: [old, new], python: [py39, py310]}
  - {base_image: new, python: [py39, py310], gpu: cuda9}
exclude: [{python: py39, gpu: cuda9, reason: too old}]
aliases: {cpu: {base_image: new, python: py310}}
"""


@pytest.fixture
def what_if(config_file):
    return WhatIf(config_file(CONFIG))


def tags(what_if):
    return {image.tag for image in what_if.view().checked.plan.images}


BEFORE = {
    *("cpu-old-py39", "cpu-old-py310", "cpu-new-py39", "cpu-new-py310"),
    *("gpu-base-new-cuda9", "gpu-new-py310-cuda9"),
}
EXCLUDED = "gpu-new-py39-cuda9"


def test_nothing_is_changed_at_first(what_if):
    view = what_if.view()
    assert tags(what_if) == BEFORE
    assert view.difference == ""
    assert list(view.sentences()) == [
        "6 → 6 images against the config: the same images",
        "13 → 13 build steps in 1 build file (now 1)",
    ]


def test_a_new_value_brings_images_where_its_neighbour_is(what_if):
    what_if.apply("x", whatif.add_value("python", "py311", "py310", "PYTHON_VERSION=3.11"))
    new = {"cpu-old-py311", "cpu-new-py311", "gpu-new-py311-cuda9"}
    assert tags(what_if) == BEFORE | new
    view = what_if.view()
    assert {*view.comparisons[0].changes.added} == new
    assert next(view.sentences()) == "6 → 9 images against the config: 3 added"
    assert (view.steps, view.files) == ((13, 19), (1, 1))
    assert "+python_versions: {py39: {PYTHON_VERSION: 3.9}, py310" in view.difference
    text, _ = what_if.state
    assert "# The systems." in text
    assert api.check(written("changed.yaml", text)).plan == view.checked.plan


def written(name, text):
    pathlib.Path(name).write_text(text)
    return name


def test_a_cell_is_excluded_with_its_alias_and_included_again(what_if):
    what_if.apply("x", whatif.exclude("cpu-new-py310", ""))
    assert tags(what_if) == BEFORE - {"cpu-new-py310"}
    (rule,) = what_if.state[1].config.exclude[1:]
    assert rule.reason == whatif.NOT_WANTED
    assert rule.axes == {"base_image": ("new",), "python": ("py310",), "gpu": (None,)}
    view = what_if.view()
    assert "-aliases:" in view.difference
    assert [*view.sentences()][1:3] == ["aliases removed: cpu", "1 rule added"]
    what_if.undo("x")
    assert what_if.view().difference == ""


def test_what_an_alias_is_in_one_repository_goes_with_the_image(config_file):
    text = """\
base_url: h/r
axes: {os: {a: {}, b: {}}, python: {py1: {}}}
recipes:
  os: {dockerfile: D, axes: [os], repository: os, tag: "{os}"}
  python: {dockerfile: D, axes: [python], parent: os, repository: python, tag: "{os}-{python}"}
images: [{os: [a, b]}, {os: [a, b], python: py1}]
aliases:
  latest: [{os: a}, {os: a, python: py1}]
  new: [{os: b, python: py1}]
"""
    what_if = WhatIf(config_file(text))
    what_if.apply("x", whatif.exclude("python:a-py1", "why"))
    what_if.apply("y", whatif.exclude("python:b-py1", "why"))
    assert "latest: [{os: a}]" in what_if.state[0]
    assert "aliases removed: latest (1 of 2), new" in [*what_if.view().sentences()]


def test_an_excluded_cell_is_included_and_only_that(config_file):
    # One more operating system, and a rule that excludes it whole.
    text = CONFIG.replace("  - {base_image: new,", "  - {base_image: [old, new],")
    what_if = WhatIf(config_file(text.replace("python: py39, gpu", "gpu")))
    before = tags(what_if)
    what_if.apply("x", whatif.include("gpu-old-py310-cuda9"))
    assert tags(what_if) - before == {"gpu-old-py310-cuda9", "gpu-base-old-cuda9"}
    left = [(r.axes, r.reason) for r in what_if.state[1].config.exclude]
    # In the order of the axes.
    assert left == [
        ({"base_image": ("new",), "gpu": ("cuda9",)}, "too old"),
        ({"base_image": ("old",), "python": ("py39",), "gpu": ("cuda9",)}, "too old"),
    ]


def test_a_cell_that_is_not_listed_gets_an_entry(what_if):
    # The rule about Python 3.9 does not hold for it any more, but for the other system.
    what_if.apply("x", whatif.include("gpu-old-py39-cuda9"))
    assert tags(what_if) - BEFORE == {"gpu-old-py39-cuda9", "gpu-base-old-cuda9"}
    assert "gpu-new-py39-cuda9" not in tags(what_if)


def test_a_value_and_a_recipe_go_with_what_is_about_them(what_if):
    what_if.apply("gpu", whatif.remove_value("base_image", "old"))
    assert tags(what_if) == {tag for tag in BEFORE if "old" not in tag}
    what_if.apply("recipe", whatif.remove_recipe("gpu"))
    assert tags(what_if) == {"cpu-new-py39", "cpu-new-py310"}
    assert what_if.state[1].config.exclude == ()
    what_if.undo()
    assert len(tags(what_if)) == 4
    what_if.reset()
    assert tags(what_if) == BEFORE


def test_recipes_that_an_entry_names_are_removed_from_it(config_file):
    text = "base_url: h/r\naxes: {os: {a: {}}}\nrecipes:\n"
    for name in "xyz":
        text += f"  {name}: {{dockerfile: D, axes: [os], tag: '{name}-{{os}}'}}\n"
    what_if = WhatIf(config_file(text + "images: [{os: a, recipe: [x, y]}]\n"))
    what_if.apply("x", whatif.remove_recipe("x"))
    assert tags(what_if) == {"y-a"}


def test_a_rule_against_a_parent_is_refused_and_not_dropped(config_file):
    text = "base_url: h/r\naxes: {os: {a: {}}}\nrecipes:\n"
    text += "  low: {dockerfile: D, axes: [os], tag: 'low-{os}'}\n"
    text += "  top: {dockerfile: D, parent: low, tag: 'top-{os}'}\n"
    what_if = WhatIf(config_file(f"{text}images: [{{os: a, recipe: [low, top]}}]\n"))
    with pytest.raises(ConfigError, match="exclude both or neither"):
        what_if.apply("x", whatif.exclude("low-a", "why"))
    assert what_if.edits == []
    what_if.apply("x", whatif.exclude("top-a", "why"))
    assert tags(what_if) == {"low-a"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (whatif.add_value("python", "py39", None, ""), "already"),
        (whatif.add_value("python", "py3", "py39", "PYTHON_VERSION=3.9"), "are those of 'py39'"),
        (whatif.add_value("python", "py3", "py39", "X"), "'X' is not NAME=value"),
        (whatif.add_value("python", "py3", "py39", "X=1 X=2"), "X is given twice"),
        (whatif.add_value("python", "py3", "py39", "X='1"), "a quote without an end"),
        (whatif.exclude("gpu-base-new-cuda9", "x"), "only built as a parent"),
        (whatif.exclude("nonsense", "x"), "the matrix has no image nonsense"),
        (whatif.remove_value("gpu", "cuda9"), "last value"),
        (lambda text, _: f"{text}nonsense: 1\n", "unknown key"),
    ],
)
def test_what_is_not_valid_changes_nothing(what_if, change, message):
    what_if.apply("first", whatif.exclude("cpu-old-py39", "why"))
    before = what_if.state
    with pytest.raises(ImagekitError, match=message):
        what_if.apply("x", change)
    assert (what_if.state, len(what_if.edits)) == (before, 1)


def test_saving_writes_the_file_unless_it_has_changed(what_if):
    what_if.apply("x", whatif.exclude("cpu-old-py39", "why"))
    text, _ = what_if.state
    what_if.save()
    assert pathlib.Path("images.yaml").read_text() == text
    assert what_if.view().difference == ""
    pathlib.Path("images.yaml").write_text(CONFIG)
    with pytest.raises(UsageError, match="has changed on disk"):
        what_if.save()
    assert pathlib.Path("images.yaml").read_text() == CONFIG


def test_it_is_compared_with_the_last_commit_and_the_last_run(config_file, tmp_path):
    name = config_file(CONFIG)
    for command in ("init -q", "add .", "-c user.name=n -c user.email=e commit -qm x"):
        subprocess.run(["git", *command.split()], check=True, cwd=tmp_path)
    subprocess.run(
        [sys.executable, "-m", "imagekit", "run", "generate", "-p", "config", name], check=True
    )
    pathlib.Path(name).write_text(CONFIG.replace("[old, new], python", "new, python"))
    view = WhatIf(name).view()
    assert [one.against.split(" (")[0] for one in view.comparisons] == [
        *("the config", "HEAD", "the last run")
    ]
    assert [(one.before, len(one.changes.removed)) for one in view.comparisons] == [
        *((4, 0), (6, 2), (6, 2))
    ]
    found = overview.state(name, "cloudbuild.json").frame["state"].to_dict()
    assert found == {
        **{name: "ok", "cloudbuild.json": "out of date"},
        **{"last generate": "ok", "last build": "none yet"},
    }


# ---- build times


def built(**seconds):
    """The report of a build of images with known times, one after the other."""
    steps, at = [], 0
    for tag, time in seconds.items():
        moments = [f"2026-01-01T00:{t // 60:02d}:{t % 60:02d}+00:00" for t in (at, at + time)]
        name = f"other/r:{tag.replace('_', '-')}"
        steps.append(
            StepReport(
                id=name,
                kind="build",
                images=(name,),
                state="succeeded",
                started=moments[0],
                finished=moments[1],
            )
        )
        at += time
    report = Report(file="b", jobs=1, started="2026-01-01T00:00:00+00:00", steps=steps)
    report.outcome = "succeeded"
    reports.DEFAULT.parent.mkdir(parents=True)
    reports.write(report, reports.DEFAULT)


def test_build_times_are_measured_or_those_of_the_recipe(config_file):
    built(cpu_old_py39=10, cpu_old_py310=20, cpu_new_py39=60, gpu_base_new_cuda9=100)
    what_if = WhatIf(config_file(CONFIG))
    # cpu-new-py310 takes the median of its recipe, 20; gpu the median of all, 40.
    assert what_if.view().seconds == (250.0, 250.0)
    what_if.apply("x", whatif.exclude("cpu-new-py39", "why"))
    assert what_if.view().seconds == (250.0, 190.0)
    sentence = "4.2 → 3.2 minutes to build, estimated from the last build"
    assert list(what_if.view().sentences())[-1] == sentence
    checked = what_if.original
    frame = tables.by_value(checked.matrix, checked.plan).frame
    assert frame.loc["py39", "build (min)"] == pytest.approx(70 / 60)
    assert frame.loc["cuda9", "build (min)"] == pytest.approx(140 / 60)


def test_a_build_of_something_else_says_nothing(config_file):
    built(nothing_of_ours=10)
    assert WhatIf(config_file(CONFIG)).view().seconds == (None, None)


# ---- the explorer


def test_without_an_interactive_front_end_it_is_a_table(config_file, monkeypatch):
    monkeypatch.setenv(session.VARIABLE, "0")
    found = explorer.explore(config_file(CONFIG), only=["cpu-*"])
    assert isinstance(found, Table)
    assert found.frame.loc["py39", "✓ included"] == 2
    with pytest.raises(ConfigError, match="matches no image"):
        explorer.explore("images.yaml", skip="nonsense")


def test_without_widgets_it_is_a_table_too(config_file, monkeypatch):
    monkeypatch.setenv(session.VARIABLE, "1")
    monkeypatch.setitem(sys.modules, "imagekit.notebook.widgets", None)
    assert isinstance(explorer.explore(config_file(CONFIG)), Table)


@pytest.fixture
def widgets(config_file, monkeypatch):
    monkeypatch.setenv(session.VARIABLE, "1")
    return explorer.explore(config_file(CONFIG))


def box(widgets, name):
    boxes = (box for line in widgets.boxes.children for box in line.children[1].children)
    return next(box for box in boxes if box.description == name)


def test_the_widgets_follow(widgets):
    assert "6 → 6 images" in widgets.summary.value
    box(widgets, "old").value = False
    assert "6 → 4 images" in widgets.summary.value
    assert ">old<" not in widgets.grid.html
    assert "cpu-old-py39" not in widgets.graph.html
    assert widgets.difference.copied == widgets.what_if.state[0]
    widgets.undo.click()
    assert box(widgets, "old").value
    assert "6 → 6 images" in widgets.summary.value


def test_a_change_that_is_not_valid_is_a_message_and_the_box_stays(widgets):
    grid = widgets.grid.html
    box(widgets, "cuda9").value = False
    assert "last value of gpu" in widgets.message.value
    assert box(widgets, "cuda9").value
    assert widgets.grid.html == grid
    widgets.new.name.value = "a b"
    widgets.new.add.click()
    assert "is not a name" in widgets.message.value
    assert widgets.new.name.value == "a b"


def test_a_value_is_added_like_another(widgets):
    widgets.new.axis.value = "python"
    assert widgets.new.build_args.value == "PYTHON_VERSION=3.10"
    widgets.new.like.value = "py39"
    assert widgets.new.build_args.value == "PYTHON_VERSION=3.9"
    widgets.new.name.value = " py38 "
    widgets.new.build_args.value = "PYTHON_VERSION=3.8"
    widgets.new.add.click()
    # Not with CUDA 9: the rule about Python 3.9 is about it, too.
    assert "6 → 8 images against the config: 2 added" in widgets.summary.value
    assert widgets.new.name.value == ""
    widgets.reset.click()
    assert widgets.reset.disabled


def test_a_new_value_has_a_box_and_can_be_like_another(widgets):
    widgets.new.axis.value = "python"
    widgets.new.name.value = "py311"
    widgets.new.build_args.value = "PYTHON_VERSION='3.11 x'"
    widgets.new.add.click()
    assert widgets.what_if.state[1].config.axis("python")["py311"] == {"PYTHON_VERSION": "3.11 x"}
    assert "py311" in widgets.new.like.options or widgets.new.axis.value != "python"
    box(widgets, "py311").value = False
    assert "6 → 6 images" in widgets.summary.value
    widgets.reset.click()
    with pytest.raises(StopIteration):
        box(widgets, "py311")


def test_warnings_that_a_change_brings_are_shown(widgets):
    pathlib.Path("dockerfiles").mkdir()
    text = "ARG BASE_IMAGE\nARG PYTHON_VERSION=3.9\n"
    pathlib.Path("dockerfiles/Dockerfile").write_text(text)
    widgets.new.axis.value = "python"
    widgets.new.name.value = "py311"
    widgets.new.build_args.value = ""
    widgets.new.add.click()
    assert "warning: &#x27;py311&#x27; has no build args" in widgets.summary.value
    widgets.undo.click()
    assert "warning" not in widgets.summary.value


def test_a_cell_shows_its_details_and_is_toggled(widgets):
    assert widgets.toggle.layout.display == "none"
    widgets._choose("gpu-base-new-cuda9")
    assert "children: gpu-new-py310-cuda9" in widgets.chosen.value
    assert widgets.toggle.layout.display == "none"
    widgets._choose("cpu-old-py39")
    assert "PYTHON_VERSION=3.9" in widgets.chosen.value
    widgets.reason.value = "because <b>"
    widgets.toggle.click()
    assert "because &lt;b&gt;" in widgets.chosen.value
    assert widgets.toggle.description == "Include"
    widgets.reason.value = "a reason that came late"
    assert "a reason that came late" in widgets.chosen.value
    assert len(widgets.what_if.edits) == 1
    widgets.toggle.click()
    assert widgets.what_if.edits == []
    widgets._choose(EXCLUDED)
    assert widgets.reason.layout.display == "none"
    widgets.toggle.click()
    assert EXCLUDED in {image.tag for image in widgets.what_if.state[1].plan.images}


def test_what_is_saved_is_confirmed_first(widgets):
    widgets._choose("cpu-old-py39")
    widgets.toggle.click()
    assert widgets.confirm.layout.display == "none"
    widgets.save.click()
    assert widgets.confirm.layout.display is None
    assert pathlib.Path("images.yaml").read_text() == CONFIG
    widgets.confirm.click()
    assert "cpu-old-py39" not in {i.tag for i in imagekit.plan(imagekit.load("images.yaml")).images}
    assert "is written" in widgets.message.value
    assert widgets.save.disabled


def test_another_config_is_opened_and_a_broken_one_is_a_message(widgets):
    text = "base_url: h/r\naxes: {os: {a: {}}}\nimages: [{os: a}]\n"
    text += "recipes: {x: {dockerfile: D, axes: [os], tag: '{os}'}}\n"
    pathlib.Path("second.yaml").write_text(text)
    pathlib.Path("third.yaml").write_text("images: 1\n")
    widgets.config.options = whatif.configs_beside("images.yaml")
    widgets.config.value = "second.yaml"
    widgets.config.value = "third.yaml"
    assert "expected a list" in widgets.message.value
    # The one before stays, and is named.
    assert widgets.config.value == "second.yaml"
    assert "1 → 1 images" in widgets.summary.value
    widgets.config.value = "images.yaml"
    assert "6 → 6 images" in widgets.summary.value
    assert widgets.message.value == ""


def test_chosen_axes_that_another_config_lacks_are_left_out(config_file, monkeypatch):
    monkeypatch.setenv(session.VARIABLE, "1")
    name = config_file(CONFIG)
    found = explorer.explore(name, rows=["gpu"], columns=["python"])
    assert found.grid.html.index("py39") < found.grid.html.index("cuda9")
    text = "base_url: h/r\naxes: {os: {a: {}}}\nimages: [{os: a}]\n"
    text += "recipes: {x: {dockerfile: D, axes: [os], tag: '{os}'}}\n"
    pathlib.Path("second.yaml").write_text(text)
    found.config.options = whatif.configs_beside(name)
    found.config.value = "second.yaml"
    assert "1 → 1 images" in found.summary.value


def test_what_is_displayed_can_be_read_without_widgets(widgets):
    shown = widgets._repr_mimebundle_()
    assert "What each value brings" in shown["text/html"]
    assert "model_id" in shown["application/vnd.jupyter.widget-view+json"]


# ---- the overview


def states(*names):
    return overview.state("images.yaml", "cloudbuild.json").frame["state"].to_dict()


def test_the_state_of_a_new_family(config_file):
    config_file(CONFIG)
    assert states() == {
        **{"images.yaml": "ok", "cloudbuild.json": "none yet"},
        **{"last generate": "none yet", "last build": "none yet"},
    }
    pathlib.Path("cloudbuild.json").write_text("{}")
    table = overview.state("images.yaml", "cloudbuild.json")
    assert table.caption == "To do: cloudbuild.json"
    assert table.frame.loc["cloudbuild.json", "state"] == "out of date"
    assert table.frame.loc["cloudbuild.json", "details"].endswith("; run imagekit generate")


def test_the_state_of_a_family_that_is_built(config_file):
    checked = api.check(config_file(CONFIG))
    imagekit.write(imagekit.files(checked.plan, checked.config), "cloudbuild.json")
    built(cpu_old_py39=10)
    assert states()["cloudbuild.json"] == "ok"
    table = overview.state("images.yaml", "cloudbuild.json")
    assert table.frame.loc["last build", "details"] == "5 images not built in it"
    assert str(table.frame.loc["last build", "when"]) == "2026-01-01 00:00:00+00:00"


def test_the_state_of_a_broken_config_and_a_failed_build(config_file):
    config_file("images: 1\n")
    built(x=1)
    report = reports.read(reports.DEFAULT)
    report.outcome = "failed"
    reports.write(report, reports.DEFAULT)
    found = states()
    assert found["images.yaml"] == found["last build"] == "failed"
    assert "cloudbuild.json" not in found
