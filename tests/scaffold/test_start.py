"""What `imagekit init` writes, and what it leaves alone."""

import contextlib
import json
import pathlib
import re
import subprocess
import sys

import pytest
import yaml

import imagekit
from imagekit.cli.app import main
from imagekit.errors import UsageError
from imagekit.scaffold import changes, record, start, template
from imagekit.scaffold.template import Options
from imagekit.support import shipped
from tests.conftest import ROOT


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def ran(*arguments):
    with pytest.raises(SystemExit) as stop:
        main([str(argument) for argument in arguments])
    return stop.value.code


def texts(folder):
    paths = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def test_an_empty_folder_becomes_a_family(folder, capsys):
    assert ran("init", "mine") == 0
    found = texts(folder / "mine")
    assert set(found) == {
        ".gcloudignore",
        ".gitattributes",
        ".github/workflows/images.yml",
        ".gitignore",
        ".imagekit.json",
        ".pre-commit-config.yaml",
        "Makefile",
        "README.md",
        "config/images.yaml",
        "dockerfiles/Dockerfile",
        "dockerfiles/Dockerfile.gpu",
        "dockerfiles/tests/cuda.yaml",
        "dockerfiles/tests/python.yaml",
        *(f"notebooks/{path.name}" for path in (ROOT / "notebooks").glob("*.ipynb")),
        "requirements.txt",
    }
    assert found["dockerfiles/Dockerfile"] == (ROOT / "dockerfiles/Dockerfile").read_bytes()
    assert f"imagekit[family]=={imagekit.__version__}\n".encode() in found["requirements.txt"]
    assert found["README.md"].startswith(b"# mine\n")
    said = capsys.readouterr().out.splitlines()
    assert said[-3:] == [
        f"{len(found) - 1} files written",
        "Put the address of your repository into base_url in config/images.yaml",
        "Next: cd mine && make generate",
    ]
    assert sorted(said[:-3]) == sorted(f"+ {name}" for name in found if name != ".imagekit.json")


def test_no_template_is_left_unfilled(folder):
    for ci in template.CI_FILES:
        assert ran("init", ci, "--ci", ci) == 0
    for name, text in texts(folder).items():
        assert not re.search(rb"@[A-Z]+@", text), name


@pytest.mark.parametrize("options", [[], ["--example"]], ids=["small", "example"])
def test_its_config_is_right_and_needs_no_other_file(folder, options):
    assert ran("init", *options, "--base-url", "host.example/a/b") == 0
    plan = imagekit.plan(imagekit.load("config/images.yaml"))
    assert plan.repository == "host.example/a/b"
    for image in plan.images:
        for name in (image.dockerfile, *image.test):
            assert (folder / name).is_file()
    if options:
        own = (ROOT / "config/images.yaml").read_text().splitlines()
        now = (folder / "config/images.yaml").read_text().splitlines()
        assert [new for old, new in zip(own, now, strict=True) if old != new] == [
            "base_url: host.example/a/b"
        ]


def test_its_notebooks_are_the_shipped_ones_without_outputs(folder):
    assert ran("init") == 0
    for path in (folder / "notebooks").glob("*.ipynb"):
        mine, own = (json.loads(p.read_text()) for p in (path, ROOT / "notebooks" / path.name))
        assert [cell["source"] for cell in mine["cells"]] == [c["source"] for c in own["cells"]]
        assert [c["metadata"] for c in mine["cells"]] == [c["metadata"] for c in own["cells"]]
        code = [cell for cell in mine["cells"] if cell["cell_type"] == "code"]
        assert {(str(c["outputs"]), c["execution_count"]) for c in code} == {("[]", None)}


@pytest.mark.parametrize(
    ("ci", "file"),
    [("github", ".github/workflows/images.yml"), ("cloudbuild", "ci/cloudbuild.yaml")],
)
def test_ci_is_what_was_asked_for(folder, ci, file):
    assert ran("init", "--ci", ci) == 0
    others = {".github/workflows/images.yml", "ci/cloudbuild.yaml"} - {file}
    assert (folder / file).is_file()
    assert not any((folder / other).exists() for other in others)
    document = yaml.safe_load((folder / file).read_text())
    assert "make test" in json.dumps(document)


def test_actions_are_those_of_our_own_workflows():
    uses = re.compile(r"uses: (.*)")
    own = {
        use
        for path in (ROOT / ".github/workflows").glob("*")
        for use in uses.findall(path.read_text())
    }
    assert set(uses.findall((template.TEMPLATES / "github.yml").read_text())) <= own


def program(name, *arguments):
    command = [pathlib.Path(sys.executable).with_name(name), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.edge
def test_ci_files_are_valid(folder):
    for ci in ("github", "cloudbuild"):
        assert ran("init", ci, "--ci", ci) == 0
    for kind, file in (
        ("github-workflows", "github/.github/workflows/images.yml"),
        ("cloudbuild", "cloudbuild/ci/cloudbuild.yaml"),
    ):
        program("check-jsonschema", "--builtin-schema", f"vendor.{kind}", file)


@pytest.mark.parametrize("url", ["h/UPPER", "a b", "h/x:tag", "us-docker.pkg.dev/acme/ml"])
def test_an_invalid_address_writes_nothing(folder, url, capsys):
    assert ran("init", "mine", "--base-url", url) == 2
    assert texts(folder) == {}
    assert capsys.readouterr().err.count("\n") == 1


def test_files_that_exist_are_kept(folder, capsys):
    (folder / "dockerfiles").mkdir()
    own = {".gitignore": b"mine\n", "dockerfiles/Dockerfile": b"FROM scratch\n"}
    for name, text in own.items():
        (folder / name).write_bytes(text)
    assert ran("init") == 0
    assert {name: (folder / name).read_bytes() for name in own} == own
    said = capsys.readouterr().out
    assert "= .gitignore: was there before; add /.venv/ and /runs/ to it\n" in said
    assert "= dockerfiles/Dockerfile: was there before\n" in said
    assert own.keys().isdisjoint(record.read(folder).files)


def test_common_files_that_exist_get_a_neighbour_so_that_the_family_works(folder, capsys):
    for name in template.RENAMED:
        (folder / name).write_text("mine\n")
    assert ran("init") == 0
    found = texts(folder)
    assert {found[name] for name in template.RENAMED} == {b"mine\n"}
    assert b"imagekit readme --quiet IMAGES.md" in found["images.mk"]
    assert b".venv/family: requirements-images.txt" in found["images.mk"]
    assert b"make -f images.mk test" in found["IMAGES.md"]
    assert b"run: make -f images.mk test" in found[".github/workflows/images.yml"]
    said = capsys.readouterr().out
    assert "Makefile was there before; imagekit's is images.mk\n" in said
    assert said.endswith("Next: make -f images.mk generate\n")


def test_force_leaves_the_files_of_others_alone(folder):
    for name in template.RENAMED:
        (folder / name).write_text("mine\n")
    assert ran("init") == 0
    (folder / "images.mk").write_text("changed\n")
    assert ran("init", "--force") == 0
    assert {(folder / name).read_text() for name in template.RENAMED} == {"mine\n"}
    assert "imagekit readme" in (folder / "images.mk").read_text()


def test_a_workflow_below_the_top_of_a_repository_is_not_left_unread(folder, capsys):
    (folder / ".git").mkdir()
    assert ran("init", "images/ml") == 0
    assert (
        f"move .github to {folder} and set defaults.run.working-directory to images/ml in "
        "images.yml\n"
    ) in capsys.readouterr().out
    assert ran("init") == 0
    assert "working-directory" not in capsys.readouterr().out


def test_the_readme_has_the_table_of_the_config(folder, capsys):
    assert ran("init", "a") == 0
    (folder / "b/config").mkdir(parents=True)
    (folder / "b/config/images.yaml").write_text((ROOT / "config/images.yaml").read_text())
    assert ran("init", "b") == 0
    for name, version in (("a", "cuda130 (13.0.3)"), ("b", "cuda134 (13.4.2)")):
        with contextlib.chdir(folder / name):
            assert version in pathlib.Path("README.md").read_text()
            assert ran("readme", "--check") == 0
            # It is no change that an update would have to merge.
            assert b"(13." not in record.read(folder / name).text("README.md")
            assert ran("init", "--update") == 0
    (folder / "c/config").mkdir(parents=True)
    (folder / "c/config/images.yaml").write_text("nonsense")
    assert ran("init", "c") == 0


def test_what_is_said(folder, capsys):
    assert ran("init", "") == 2
    assert "the folder is empty; name one" in capsys.readouterr().err
    assert ran("init", "a") == 0
    hint = "Put the address of your repository into base_url in config/images.yaml\n"
    assert hint in capsys.readouterr().out
    assert ran("init", "b", "--base-url", "reg.example.com/p/ml") == 0
    assert hint not in capsys.readouterr().out
    assert ran("-q", "init", "c") == 0
    assert capsys.readouterr().out == ""
    assert ran("-q", "init", "d", "--dry-run") == 0
    assert "+ Makefile\n" in capsys.readouterr().out


def test_force_replaces_files(folder, capsys):
    (folder / "Makefile").write_text("mine\n")
    assert ran("init", "--force") == 0
    assert "~ Makefile\n" in capsys.readouterr().out
    assert "imagekit" in (folder / "Makefile").read_text()
    assert not (folder / "images.mk").exists()
    (folder / "Makefile").write_text("mine again\n")
    assert ran("init", "--force") == 0
    assert "mine" not in (folder / "Makefile").read_text()


def test_a_file_that_is_the_same_is_imagekit_s(folder):
    text = (ROOT / "dockerfiles/Dockerfile").read_bytes()
    (folder / "dockerfiles").mkdir()
    (folder / "dockerfiles/Dockerfile").write_bytes(text)
    assert ran("init") == 0
    assert record.read(folder).text("dockerfiles/Dockerfile") == text


def test_a_family_is_started_once(folder, capsys):
    assert ran("init") == 0
    before = texts(folder)
    assert ran("init") == 2
    assert texts(folder) == before
    message = capsys.readouterr().err
    assert message.startswith(".imagekit.json: imagekit ")
    assert "run imagekit init --update" in message


@pytest.mark.parametrize("option", ["--dry-run", "--diff"])
def test_a_dry_run_writes_nothing(folder, option, capsys):
    assert ran("init", "mine", option) == 0
    assert texts(folder) == {}
    assert not (folder / "mine").exists()
    said = capsys.readouterr().out
    if option == "--diff":
        assert "+FROM ${BASE_IMAGE}\n" in said
    else:
        assert said.endswith("files would be written\n")


def test_what_is_in_the_way_is_named_and_nothing_is_written(folder, capsys):
    (folder / "config").write_text("a file")
    (folder / "Makefile").mkdir()
    (folder / "requirements.txt").mkdir()
    (folder / ".imagekit.json").mkdir()
    before = texts(folder)
    assert ran("init", "--force") == 2
    assert texts(folder) == before
    said = capsys.readouterr().err
    assert "Traceback" not in said


def test_a_folder_where_a_file_belongs_is_named(folder):
    (folder / "config").write_text("a file")
    (folder / "dockerfiles/Dockerfile").mkdir(parents=True)
    with pytest.raises(UsageError) as error:
        changes.check_places(folder, ["config/images.yaml", "dockerfiles/Dockerfile", "fine/x"])
    assert str(error.value).splitlines() == [
        f"{folder}/config: is not a folder; move it away",
        f"{folder}/dockerfiles/Dockerfile: is a folder; move it away",
    ]


def test_a_link_to_nothing_is_not_written_through(folder, capsys):
    (folder / ".gitignore").symlink_to("nowhere")
    assert ran("init") == 2
    assert capsys.readouterr().err == ".gitignore: is a link to nothing; move it away\n"
    assert texts(folder) == {}


def test_dir_that_is_a_file_is_refused(folder, capsys):
    (folder / "mine").write_text("")
    assert ran("init", "mine") == 2
    assert capsys.readouterr().err == "mine: is not a folder\n"


@pytest.mark.parametrize("error", [OSError(28, "No space left", "b/new"), KeyboardInterrupt()])
def test_a_failure_undoes_what_was_written(folder, monkeypatch, error):
    (folder / "a").write_bytes(b"before")
    (folder / "gone").write_bytes(b"was here")
    put = changes._put

    def failing(path, text):
        if path.name == "last":
            raise error
        put(path, text)

    monkeypatch.setattr(changes, "_put", failing)
    wanted = {"a": b"after", "gone": None, "b/c/new": b"new", "last": b"never"}
    with pytest.raises(UsageError if isinstance(error, OSError) else KeyboardInterrupt):
        changes.write(folder, wanted)
    assert texts(folder) == {"a": b"before", "gone": b"was here"}
    assert not (folder / "b").exists()


def test_the_shipped_files_are_in_the_checkout_or_the_wheel(tmp_path, monkeypatch):
    assert shipped.root() == ROOT
    (tmp_path / "shipped").mkdir()
    monkeypatch.setattr(shipped, "PACKAGE", tmp_path)
    assert shipped.root() == tmp_path / "shipped"


def test_a_project_s_own_file_goes_before_the_shipped_one(folder):
    name = "notebooks/example-build.json"
    assert shipped.found(name) == ROOT / name
    assert shipped.found("pyproject.toml") == pathlib.Path("pyproject.toml")
    assert shipped.found("notebooks/none.json") == pathlib.Path("notebooks/none.json")
    (folder / "notebooks").mkdir()
    (folder / name).write_text("")
    assert shipped.found(name) == pathlib.Path(name)


def test_the_options_are_on_record(folder):
    options = Options(name="x", base_url="h/a", ci="none", example=True)
    start.start(folder, options).write()
    assert record.read(folder).options == options
    assert record.read(folder).imagekit == imagekit.__version__
