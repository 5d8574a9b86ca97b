"""The committed notebooks: fresh, thin, and readable without running them."""

import ast
import contextlib
import hashlib
import os
import pathlib
import subprocess
import sys

import nbformat
import papermill
import pytest

import imagekit
from imagekit.runs.record import RESULT_TYPE
from tools.notebooks import NOTEBOOKS, ROOT, copied, executed

NAMES = [path.name for path in NOTEBOOKS]


@pytest.fixture
def project(tmp_path):
    """A copy of what the notebooks read, in which they may write."""
    return copied(tmp_path)


def code_cells(name):
    notebook = nbformat.read(ROOT / "notebooks" / name, as_version=4)
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def nbval(project, *more):
    command = [sys.executable, "-m", "pytest", "--nbval", "--nbval-current-env", "-q", "-rA"]
    settings = ["-c", os.devnull, "--rootdir", str(project), "-p", "no:cacheprovider", *more]
    return subprocess.run(
        [*command, *settings, "notebooks"],
        cwd=project,
        capture_output=True,
        text=True,
        check=False,
        # The plugins of the outer run have nothing to do here.
        env={
            key: value for key, value in os.environ.items() if not key.startswith(("COV", "PYTEST"))
        },
    )


@pytest.mark.edge
def test_nbval_reproduces_every_output(project):
    done = nbval(project)
    assert done.returncode == 0, done.stdout
    for name in NAMES:
        assert done.stdout.count(f"PASSED notebooks/{name}::") == len(code_cells(name))


@pytest.mark.edge
def test_nbval_notices_a_changed_output(project):
    config = project / "config/images.yaml"
    config.write_text(config.read_text().replace("CUDA: 13.4.2", "CUDA: 13.4.1"))
    done = nbval(project)
    assert done.returncode == 1
    assert "FAILED notebooks/explore.ipynb" in done.stdout
    assert "FAILED notebooks/generate.ipynb" in done.stdout


@pytest.mark.edge
@pytest.mark.parametrize("name", NAMES)
def test_committed_notebook_is_what_executing_it_gives(name, project):
    with contextlib.chdir(project):
        assert executed(project / "notebooks" / name) == (ROOT / "notebooks" / name).read_text(
            encoding="utf-8"
        ), "run `make notebooks` and commit the result"


@pytest.mark.edge
def test_a_notebook_started_in_its_own_folder_finds_the_project(project):
    with contextlib.chdir(project / "notebooks"):
        text = executed(project / "notebooks" / "explore.ipynb")
    assert text == (ROOT / "notebooks" / "explore.ipynb").read_text(encoding="utf-8")


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
    assert imports == [True] + [False] * (len(cells) - 1)


@pytest.mark.parametrize("name", NAMES)
def test_reads_as_prose(name):
    notebook = nbformat.read(ROOT / "notebooks" / name, as_version=4)
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
    found = papermill.inspect_notebook(str(ROOT / "notebooks" / name))
    assert list(found) == declared
    assert all(about["inferred_type_name"] != "None" for about in found.values())
    assert all(about["help"] for about in found.values())
    assert not caplog.records


def test_no_notebook_names_the_machine_it_ran_on():
    for path in NOTEBOOKS:
        assert str(ROOT) not in path.read_text(encoding="utf-8")
        assert str(pathlib.Path.home()) not in path.read_text(encoding="utf-8")


def test_the_committed_result_is_data():
    outputs = [out for cell in code_cells("generate.ipynb") for out in cell.outputs]
    (found,) = [out.data[RESULT_TYPE] for out in outputs if RESULT_TYPE in out.data]
    assert set(found) == {
        *("config", "inputs", "outputs", "images", "changes", "commit", "imagekit", "build"),
    }
    plan = imagekit.plan(imagekit.load(ROOT / "config/images.yaml"))
    assert found["build"]["images"].keys() == {image.tag for image in plan.images}
    assert found["images"]["total"] == len(plan.images)
    written = hashlib.sha256((ROOT / "cloudbuild.json").read_bytes()).hexdigest()
    assert found["outputs"] == {"cloudbuild.json": written}
