"""Updates: what the user has not changed is replaced, what both changed is merged, nothing is lost.

A new version is another text of the template; an old one is a version number and an old text.
"""

import json
import subprocess

import msgspec
import pytest

import imagekit
from imagekit.cli.app import main
from imagekit.scaffold import generated, record, template
from imagekit.support import git

OLD = b"one\ntwo\nthree\nfour\nfive\n"
NEW = b"one\ntwo\nthree\nfour\nFIVE\n"
MINE = b"ONE\ntwo\nthree\nfour\nfive\n"
OTHER = b"one\ntwo\nthree\nfour\n5\n"


def ran(*arguments):
    with pytest.raises(SystemExit) as stop:
        main([str(argument) for argument in arguments])
    return stop.value.code


@pytest.fixture
def version(monkeypatch):
    """Make this imagekit a version, with these files in a family."""

    def become(number, **files):
        monkeypatch.setattr(imagekit, "__version__", number)
        texts = {name.replace("_", "."): text for name, text in files.items()}
        texts["README.md"] = b"# A family\n"
        monkeypatch.setattr(template, "files", lambda _: texts | {"config/images.yaml": b"c\n"})

    return become


@pytest.fixture
def family(tmp_path, monkeypatch, version):
    """A family that version 1.0 has started."""
    monkeypatch.chdir(tmp_path)

    def start(**files):
        version("1.0", **files)
        assert ran("init") == 0
        return tmp_path

    return start


def test_what_is_not_changed_is_replaced(family, version, capsys):
    folder = family(a_txt=OLD, b_txt=OLD)
    version("1.1", a_txt=NEW, b_txt=OLD)
    capsys.readouterr()
    assert ran("init", "--update") == 0
    assert (folder / "a.txt").read_bytes() == NEW
    assert capsys.readouterr().out == "~ a.txt\nimagekit 1.0 → 1.1: 1 file written\n"
    assert record.read(folder).imagekit == "1.1"
    assert record.read(folder).text("a.txt") == NEW
    assert ran("init", "--update") == 0
    assert capsys.readouterr().out == "0 files written; up to date with imagekit 1.1\n"


def test_what_the_new_version_has_not_changed_is_the_user_s(family, version):
    folder = family(a_txt=OLD)
    (folder / "a.txt").write_bytes(MINE)
    version("1.1", a_txt=OLD)
    assert ran("init", "--update") == 0
    assert (folder / "a.txt").read_bytes() == MINE


@pytest.mark.edge
def test_what_both_changed_is_merged_and_merged_again(family, version, capsys):
    folder = family(a_txt=OLD)
    (folder / "a.txt").write_bytes(MINE)
    version("1.1", a_txt=NEW)
    assert ran("init", "--update") == 0
    assert (folder / "a.txt").read_bytes() == b"ONE\ntwo\nthree\nfour\nFIVE\n"
    assert "~ a.txt: merged with yours\n" in capsys.readouterr().out
    # The text of 1.1 alone was never in the folder, and yet is what the next merge starts from.
    version("1.2", a_txt=NEW + b"six\n")
    assert ran("init", "--update") == 0
    assert (folder / "a.txt").read_bytes() == b"ONE\ntwo\nthree\nfour\nFIVE\nsix\n"


@pytest.mark.edge
def test_a_conflict_is_marked_listed_and_in_the_exit_code(family, version, capsys):
    folder = family(a_txt=OLD, b_txt=OLD)
    (folder / "a.txt").write_bytes(OTHER)
    version("1.1", a_txt=NEW, b_txt=NEW)
    assert ran("init", "--update", "--dry-run") == 5
    assert (folder / "a.txt").read_bytes() == OTHER
    assert capsys.readouterr().err == "these would have to be settled by hand: a.txt\n"
    assert ran("init", "--update") == 5
    marked = b"<<<<<<< yours\n5\n=======\nFIVE\n>>>>>>> imagekit 1.1\n"
    assert (folder / "a.txt").read_bytes() == b"one\ntwo\nthree\nfour\n" + marked
    # Everything else is done.
    assert (folder / "b.txt").read_bytes() == NEW
    said = capsys.readouterr()
    assert "! a.txt: 1 conflict, marked with <<<<<<< and >>>>>>>\n" in said.out
    assert said.err == "settle by hand, then commit: a.txt\n"


def test_without_git_the_new_text_is_left_beside_until_there_is_one(
    family, version, capsys, monkeypatch
):
    folder = family(a_txt=OLD)
    (folder / "a.txt").write_bytes(MINE)
    version("1.1", a_txt=NEW)
    with monkeypatch.context() as context:
        context.setattr(git, "merge", lambda *_: None)
        context.setattr(git, "installed", lambda: False)
        assert ran("init", "--update") == 5
    assert (folder / "a.txt").read_bytes() == MINE
    assert (folder / "a.txt.imagekit-1.1").read_bytes() == NEW
    said = capsys.readouterr()
    assert "which would merge it, is not installed; the new text is in a.txt.imagekit-1.1" in (
        said.out
    )
    monkeypatch.setattr(git, "merge", lambda *_: (b"merged\n", 0))
    assert ran("init", "--update") == 0
    assert (folder / "a.txt").read_bytes() == b"merged\n"


def test_what_git_cannot_merge_is_left_beside(family, version, capsys, monkeypatch):
    folder = family(a_txt=OLD)
    (folder / "a.txt").write_bytes(MINE)
    version("1.1", a_txt=NEW)
    monkeypatch.setattr(git, "merge", lambda *_: None)
    assert ran("init", "--update") == 5
    assert "! a.txt: it cannot be merged; the new text is in a.txt.imagekit-1.1\n" in (
        capsys.readouterr().out
    )
    # It was shown once; the next update has nothing to add.
    assert ran("init", "--update") == 0
    assert (folder / "a.txt").read_bytes() == MINE


@pytest.mark.parametrize("name", ["../x", "/etc/x", "a/../../x"])
def test_a_record_names_nothing_outside_of_the_family(family, capsys, name):
    folder = family(a_txt=OLD)
    path = folder / ".imagekit.json"
    path.write_text(path.read_text().replace('"a.txt"', json.dumps(name)))
    assert ran("init", "--update") == 2
    assert f"{name!r} is not a path in the family" in capsys.readouterr().err


def test_new_files_are_added_and_files_in_their_place_kept(family, version, capsys):
    folder = family(a_txt=OLD)
    (folder / "c.txt").write_bytes(MINE)
    version("1.1", a_txt=OLD, b_txt=NEW, c_txt=NEW)
    for _ in range(2):
        capsys.readouterr()
        assert ran("init", "--update") == 0
        assert (folder / "b.txt").read_bytes() == NEW
        assert (folder / "c.txt").read_bytes() == MINE
        assert "= c.txt: was there before\n" in capsys.readouterr().out
    assert record.read(folder).text("c.txt") is None


def test_files_of_no_use_any_more_are_removed_unless_changed(family, version, capsys):
    folder = family(a_txt=OLD, b_txt=OLD)
    (folder / "b.txt").write_bytes(MINE)
    version("1.1")
    capsys.readouterr()
    assert ran("init", "--update") == 0
    assert not (folder / "a.txt").exists()
    assert (folder / "b.txt").read_bytes() == MINE
    said = capsys.readouterr().out
    assert said.startswith("- a.txt\n= b.txt: imagekit has it no more; you changed it\n")
    assert ran("init", "--update") == 0
    assert "b.txt" not in capsys.readouterr().out.replace(said, "")


def test_files_that_the_user_removed_stay_removed(family, version, capsys):
    folder = family(a_txt=OLD)
    (folder / "a.txt").unlink()
    (folder / "config/images.yaml").unlink()
    for number, text in (("1.1", NEW), ("1.2", OLD)):
        version(number, a_txt=text)
        assert ran("init", "--update") == 0
        assert not (folder / "a.txt").exists()
        assert "= a.txt: you removed it\n" in capsys.readouterr().out
    version("1.3")
    assert ran("init", "--update") == 0
    assert "a.txt" not in capsys.readouterr().out


def test_the_config_is_the_user_s_from_the_start(family, version, monkeypatch):
    folder = family(a_txt=OLD)
    version("1.1", a_txt=OLD)
    files = template.files(None) | {"config/images.yaml": b"newer: matrix\n"}
    monkeypatch.setattr(template, "files", lambda _: files)
    assert ran("init", "--update") == 0
    assert (folder / "config/images.yaml").read_bytes() == b"c\n"


def test_a_diff_shows_and_writes_nothing(family, version, capsys):
    folder = family(a_txt=OLD, b_txt=OLD)
    version("1.1", a_txt=NEW)
    capsys.readouterr()
    assert ran("init", "--update", "--diff") == 0
    said = capsys.readouterr().out
    assert "--- a.txt\n+++ a.txt\n@@ -2,4 +2,4 @@\n" in said
    assert "-five\n+FIVE\n" in said
    assert said.endswith("-four\n-five\n")
    assert (folder / "a.txt").read_bytes() == OLD
    assert record.read(folder).imagekit == "1.0"


def test_an_older_imagekit_does_not_undo_an_update(family, version, capsys):
    family(a_txt=OLD)
    version("0.9", a_txt=NEW)
    assert ran("init", "--update") == 2
    assert capsys.readouterr().err == (
        "imagekit 1.0 wrote this family, and this is 0.9; run pip install 'imagekit>=1.0'\n"
    )


def test_without_a_family_there_is_nothing_to_update(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert ran("init", "--update") == 2
    assert capsys.readouterr().err == (
        ".: no .imagekit.json is here; start a family with imagekit init\n"
    )


@pytest.mark.parametrize("option", [["--base-url", "h/a"], ["--example"], ["--force"]])
def test_options_of_a_new_family_are_refused(family, option, capsys):
    family(a_txt=OLD)
    assert ran("init", "--update", *option) == 2
    assert capsys.readouterr().err == (
        f"{option[0]} is for a new family; leave it out with --update\n"
    )


@pytest.mark.parametrize("text", ["nonsense", "{}", '{"imagekit": 1}'])
def test_a_damaged_record_is_one_line(family, text, capsys):
    folder = family(a_txt=OLD)
    (folder / ".imagekit.json").write_text(text)
    assert ran("init", "--update") == 2
    said = capsys.readouterr().err
    assert said.startswith(".imagekit.json: cannot be read: ")
    assert said.count("\n") == 1


def test_a_damaged_text_on_record_is_named(family, capsys):
    folder = family(a_txt=OLD)
    damaged = record.read(folder).files | {"a.txt": "eA=="}
    found = msgspec.structs.replace(record.read(folder), files=damaged)
    (folder / ".imagekit.json").write_bytes(msgspec.json.encode(found))
    assert ran("init", "--update") == 2
    assert "the text of a.txt is damaged" in capsys.readouterr().err


def test_a_version_that_is_none_is_taken_for_an_old_one(family):
    folder = family(a_txt=OLD)
    found = msgspec.structs.replace(record.read(folder), imagekit="a checkout")
    (folder / ".imagekit.json").write_bytes(msgspec.json.encode(found))
    assert ran("init", "--update") == 0


def test_another_ci_can_be_taken(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert ran("init") == 0
    assert ran("init", "--update", "--ci", "cloudbuild") == 0
    assert not (tmp_path / ".github/workflows/images.yml").exists()
    assert (tmp_path / "ci/cloudbuild.yaml").exists()
    assert record.read(tmp_path).options.ci == "cloudbuild"


# ---- notebooks


def notebook(*sources, outputs=False, **metadata):
    cells = [
        {
            "cell_type": "code",
            "execution_count": number if outputs else None,
            "id": f"cell-{number}",
            "metadata": {"tags": ["x"]} | ({"execution": {"a": "b"}} if outputs else {}),
            "outputs": [{"text": f"output {number}"}] if outputs else [],
            "source": [source],
        }
        for number, source in enumerate(sources)
    ]
    return json.dumps({"cells": cells, "metadata": metadata, "nbformat": 4}).encode()


def clean(*sources):
    return generated.cleared(notebook(*sources))


def outputs(path):
    cells = json.loads(path.read_text())["cells"]
    return [out["text"] for cell in cells for out in cell["outputs"]]


def test_outputs_are_not_the_user_s_changes_and_are_kept_where_the_cell_is(family, version):
    folder = family(a_ipynb=clean("a", "b", "c"))
    path = folder / "a.ipynb"
    path.write_bytes(notebook("a", "b", "c", outputs=True, kernelspec={"name": "mine"}))
    version("1.1", a_ipynb=clean("a", "B", "c"))
    assert ran("init", "--update") == 0
    assert generated.cleared(path.read_bytes()) == clean("a", "B", "c")
    assert outputs(path) == ["output 0", "output 2"]
    assert json.loads(path.read_text())["metadata"] == {"kernelspec": {"name": "mine"}}


def test_a_cell_without_outputs_of_its_own_gets_none():
    cell = {"cell_type": "code", "id": "a", "metadata": {}, "source": ["x"]}
    mine = json.dumps({"cells": [cell], "metadata": {}, "nbformat": 4}).encode()
    kept = json.loads(generated.with_outputs(notebook("x").replace(b"cell-0", b"a"), mine))
    assert kept["cells"][0]["outputs"] == []


@pytest.mark.edge
def test_changed_notebooks_are_merged(family, version):
    folder = family(a_ipynb=clean("a", "b", "c"))
    path = folder / "a.ipynb"
    path.write_bytes(notebook("A", "b", "c", outputs=True))
    version("1.1", a_ipynb=clean("a", "b", "C"))
    assert ran("init", "--update") == 0
    assert generated.cleared(path.read_bytes()) == clean("A", "b", "C")
    assert outputs(path) == ["output 0", "output 1"]


@pytest.mark.edge
def test_a_conflict_does_not_make_a_notebook_unreadable(family, version):
    folder = family(a_ipynb=clean("a"))
    path = folder / "a.ipynb"
    mine = notebook("A", outputs=True)
    path.write_bytes(mine)
    version("1.1", a_ipynb=clean("other"))
    assert ran("init", "--update") == 5
    assert path.read_bytes() == mine
    assert (folder / "a.ipynb.imagekit-1.1").read_bytes() == clean("other")


README = b"# T\n\n<!-- begin: imagekit readme -->\n%b<!-- end: imagekit readme -->\n%b"


def test_the_table_in_the_readme_is_no_change_of_the_user_s_and_stays(family, version):
    folder = family(a_md=README % (b"", b"old\n"))
    (folder / "a.md").write_bytes(README % (b"| mine |\n", b"old\n"))
    version("1.1", a_md=README % (b"", b"new\n"))
    assert ran("init", "--update") == 0
    assert (folder / "a.md").read_bytes() == README % (b"| mine |\n", b"new\n")


@pytest.mark.parametrize(
    "text", [b"{", b"[]", b'{"cells": []}', b'{"cells": 1, "metadata": {}}', b"\xff"]
)
def test_what_is_no_notebook_is_said_to_be_none(text):
    with pytest.raises(ValueError, match=r"."):
        generated.cleared(text)


@pytest.mark.edge
def test_a_notebook_that_the_user_made_unreadable_is_left_alone(family, version):
    folder = family(a_ipynb=clean("a"))
    (folder / "a.ipynb").write_bytes(b"not json")
    version("1.1", a_ipynb=clean("b"))
    assert ran("init", "--update") == 5
    assert (folder / "a.ipynb").read_bytes() == b"not json"


# ---- git


@pytest.mark.edge
def test_git_merges_texts_and_counts_conflicts():
    labels = ("yours", "before", "theirs")
    assert git.merge(MINE, OLD, NEW, labels) == (b"ONE\ntwo\nthree\nfour\nFIVE\n", 0)
    text, conflicts = git.merge(OTHER, OLD, NEW, labels)
    assert (conflicts, b">>>>>>> theirs" in text) == (1, True)
    assert git.merge(b"\0", b"\0\0", b"\0\0\0", labels) is None


def test_without_git_nothing_is_merged(monkeypatch):
    def missing(*_, **__):
        raise FileNotFoundError

    monkeypatch.setattr(subprocess, "run", missing)
    assert git.merge(MINE, OLD, NEW, ("a", "b", "c")) is None
