"""The notebooks of imagekit, executed on the tests' family: fresh, thin, readable as they are."""

import ast
import contextlib
import hashlib
import pathlib

import nbformat
import papermill
import pytest

import imagekit
from imagekit.runs.record import RESULT_TYPE
from tests.conftest import FAMILY, ROOT
from tools import notebooks
from tools.notebooks import executed, project

NAMES = [f"{name}.ipynb" for name in notebooks.NAMES]


@pytest.fixture
def copy(tmp_path):
    """A copy of the tests' family, in which the notebooks may write."""
    return project(tmp_path)


def code_cells(name):
    notebook = nbformat.read(FAMILY / "notebooks" / name, as_version=4)
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


@pytest.mark.edge
@pytest.mark.parametrize("name", NAMES)
def test_committed_notebook_is_what_executing_it_gives(name, copy):
    # One of them in its own folder, from which it finds the project.
    with contextlib.chdir(copy / "notebooks" if name == "explore.ipynb" else copy):
        text = executed(copy / "notebooks" / name)
    committed = (FAMILY / "notebooks" / name).read_text(encoding="utf-8")
    assert text == committed, "run `make notebooks` and commit the result"


def test_the_family_of_the_tests_has_the_notebooks_of_imagekit():
    assert sorted(path.name for path in (FAMILY / "notebooks").glob("*.ipynb")) == [*NAMES]


@pytest.mark.parametrize("name", NAMES)
def test_is_executed_in_order_without_errors(name):
    cells = code_cells(name)
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    assert not [
        out for cell in cells for out in cell.outputs if out.output_type != "execute_result"
    ]


@pytest.mark.parametrize("name", NAMES)
def test_is_thin(name):
    cells = code_cells(name)
    trees = [ast.parse(cell.source) for cell in cells]
    assert len(cells) <= 12
    assert max(len(cell.source.splitlines()) for cell in cells) <= 8
    statements = {type(node) for tree in trees for node in ast.walk(tree)}
    logic = {ast.FunctionDef, ast.ClassDef, ast.For, ast.While, ast.If, ast.Try, ast.Lambda}
    assert not statements & {*logic, ast.ListComp, ast.DictComp, ast.GeneratorExp}
    imports = [any(isinstance(n, (ast.Import, ast.ImportFrom)) for n in t.body) for t in trees]
    # Once, at the top: the parameters may come before, so that the answer is in sight.
    assert imports.index(True) <= 1
    assert sum(imports) == 1


@pytest.mark.parametrize("name", NAMES)
def test_reads_as_prose(name):
    notebook = nbformat.read(FAMILY / "notebooks" / name, as_version=4)
    kinds = [cell.cell_type for cell in notebook.cells]
    assert kinds[0] == "markdown"
    assert notebook.cells[0].source.startswith("# ")
    for number, cell in enumerate(notebook.cells):
        if cell.get("outputs") or "parameters" in cell.metadata.get("tags", []):
            assert kinds[number - 1] == "markdown", f"cell {number} has no words before it"


@pytest.mark.parametrize("name", NAMES)
def test_has_one_parameters_cell_that_papermill_can_read(name):
    tagged = [c for c in code_cells(name) if "parameters" in c.metadata.get("tags", [])]
    assert len(tagged) == 1
    for node in ast.parse(tagged[0].source).body:
        assert isinstance(node, ast.AnnAssign)
        assert isinstance(node.annotation, ast.Name)


@pytest.mark.parametrize("name", NAMES)
def test_papermill_finds_every_parameter(name, caplog):
    (cell,) = (c for c in code_cells(name) if "parameters" in c.metadata.get("tags", []))
    declared = [node.target.id for node in ast.parse(cell.source).body]
    found = papermill.inspect_notebook(str(FAMILY / "notebooks" / name))
    assert list(found) == declared
    assert all(about["inferred_type_name"] != "None" for about in found.values())
    assert all(about["help"] for about in found.values())
    assert not caplog.records


def test_no_notebook_names_the_machine_it_ran_on():
    for path in (FAMILY / "notebooks").glob("*.ipynb"):
        assert str(ROOT) not in path.read_text(encoding="utf-8")
        assert str(pathlib.Path.home()) not in path.read_text(encoding="utf-8")


def test_the_committed_result_is_data():
    outputs = [out for cell in code_cells("generate.ipynb") for out in cell.outputs]
    (found,) = [out.data[RESULT_TYPE] for out in outputs if RESULT_TYPE in out.data]
    assert set(found) == {
        *(
            "config",
            "inputs",
            "outputs",
            "images",
            "changes",
            "commit",
            "imagekit",
            "build",
            "summary",
        ),
    }
    plan = imagekit.plan(imagekit.load(FAMILY / "config/images.yaml"))
    assert found["build"]["images"].keys() == {image.tag for image in plan.images}
    assert found["images"]["total"] == len(plan.images)
    written = hashlib.sha256((FAMILY / "cloudbuild.json").read_bytes()).hexdigest()
    assert found["outputs"] == {"cloudbuild.json": written}
