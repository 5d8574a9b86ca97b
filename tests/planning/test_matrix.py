import json

import pytest

import imagekit
from imagekit import api
from imagekit.cli.app import main
from imagekit.document.trigger import documents
from imagekit.errors import LimitError
from imagekit.planning.matrix import MAX_NOT_LISTED

SPARSE = f"""
base_url: h/r
axes:
  os: {{{", ".join(f"o{n}: {{O: {n}}}" for n in range(40))}}}
  python: {{{", ".join(f"p{n}: {{P: {n}}}" for n in range(40))}}}
recipes:
  base: {{dockerfile: D, axes: [os, python], tag: "{{os}}-{{python}}"}}
images: [{{os: o0, python: p0}}]
"""


def printed(capsys, *args):
    with pytest.raises(SystemExit) as stop:
        main(["matrix", "--config", "images.yaml", *args])
    assert stop.value.code == 0
    return capsys.readouterr().out


def test_many_combinations_that_no_entry_names_are_counted_and_listed_on_request(
    config_file, capsys
):
    matrix = api.check(config_file(SPARSE)).matrix
    assert (len(matrix.cells), matrix.more) == (1, 1_599)
    assert len(list(matrix.not_listed())) == 1_599
    shown = printed(capsys)
    assert shown.endswith("1 included, 1599 not listed (show them with --all)\n")
    assert shown.count("\n") == 4
    assert printed(capsys, "--all").count("· not listed") == 1_599
    document = json.loads(printed(capsys, "--json"))
    assert (len(document["rows"]), document["not_listed"]) == (1, 1_599)
    assert len(json.loads(printed(capsys, "--json", "--all"))["rows"]) == 1_600


def test_more_than_a_million_combinations_are_not_listed(config_file, capsys):
    axes = ", ".join(f"a{n}: {{x: {{A{n}: 1}}, y: {{A{n}: 2}}}}" for n in range(40))
    entry = ", ".join(f"a{n}: x" for n in range(40))
    names = ", ".join(f"a{n}" for n in range(40))
    recipe = f"{{dockerfile: D, axes: [{names}], tag: '{{{names.replace(', ', '}-{')}}}'}}"
    text = f"base_url: h/r\naxes: {{{axes}}}\nrecipes: {{r: {recipe}}}\nimages: [{{{entry}}}]\n"
    config_file(text)
    with pytest.raises(SystemExit) as stop:
        main(["matrix", "--config", "images.yaml", "--all"])
    assert stop.value.code == 2
    message = "--all would list 1099511627775 combinations, and lists at most 1000000\n"
    assert capsys.readouterr().err.endswith(message)
    assert printed(capsys).endswith("1099511627775 not listed (show them with --all)\n")


def test_as_many_as_the_limit_are_listed(config_file):
    text = SPARSE.replace("o39: {O: 39}", "").replace("images: [{os: o0, python: p0}]", "")
    values = ", ".join(f"o{n}" for n in range(14))
    pythons = ", ".join(f"p{n}" for n in range(40))
    text += f"images: [{{os: [{values}], python: [{pythons}]}}]"
    matrix = api.check(config_file(text)).matrix
    assert MAX_NOT_LISTED == 1_000
    assert (len(matrix.cells), matrix.more) == (39 * 40, 0)
    assert len(list(matrix.not_listed())) == 25 * 40


DATED = """
base_url: us-docker.pkg.dev/p/r/ml
source: https://example.com/repository
axes: {python: {py: {P: 1}}}
recipes: {base: {dockerfile: D, axes: [python], tags: ["{python}", "{python}-{date}"]}}
images: [{python: py}]
cloudbuild: {project: p, trigger: {repository: "https://github.com/o/r"}}
"""


def test_a_trigger_does_not_know_the_date(config_file):
    config = imagekit.load(config_file(DATED))
    with pytest.raises(LimitError, match="which a trigger does not know"):
        documents(imagekit.plan(config), config.cloudbuild, ["cloudbuild.json"], [])


def test_a_trigger_of_several_files_hands_the_commit_on(config_file):
    config = imagekit.load(config_file(DATED.replace("{date}", "{commit}")))
    found = documents(imagekit.plan(config), config.cloudbuild, ["a-01.json", "a-02.json"], [])
    args = found[0]["build"]["steps"][0]["args"]
    assert "--substitutions=COMMIT_SHA=$COMMIT_SHA,SHORT_SHA=$SHORT_SHA" in args


def test_what_a_recipe_is_not_listed_for_is_shown_of_each_recipe(config_file):
    text = """\
base_url: h/r
axes: {os: {noble: {OS: 1}, jammy: {OS: 2}}, python: {py1: {PY: 1}, py2: {PY: 2}}}
recipes:
  base: {dockerfile: D, axes: [os], tag: "{os}"}
  app: {dockerfile: D, parent: base, tag: "app-{os}"}
  other: {dockerfile: D, parent: base, tag: "other-{os}"}
  python: {dockerfile: D, axes: [python], parent: app, tag: "{os}-{python}"}
images:
  - {recipe: base, os: noble}
  - {recipe: other, os: [noble, jammy]}
  - {recipe: app, os: noble}
  - {os: jammy, python: py1}
exclude: [{recipe: other, os: jammy, reason: why}]
"""
    matrix = api.check(config_file(text)).matrix
    # The base and the app of jammy are built as parents.
    others = [str(cell.combination) for cell in matrix.cells if cell.status == "not listed"]
    assert others == ["noble × py1 (python)", "noble × py2 (python)", "jammy × py2 (python)"]
    assert [cell.combination for cell in matrix.not_listed()] == [
        cell.combination for cell in matrix.cells if cell.status == "not listed"
    ]
    less = text.replace("  - {os: jammy, python: py1}\n", "")
    matrix = api.check(config_file(less)).matrix
    others = [str(cell.combination) for cell in matrix.cells if cell.status == "not listed"]
    assert others == ["jammy (base)", "jammy (app)"]
