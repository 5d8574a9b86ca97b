"""Install what a lock file has, with the program that wrote it."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from imagekit.project import commands
from imagekit.project.commands import Step
from imagekit.project.directory import Directory, strings, table, tables, text
from imagekit.project.package import DYNAMIC, Package
from imagekit.project.requirement_files import Itself, RequirementFiles
from imagekit.project.settings import place_of

OF_PYPROJECT = ("uv.lock", "poetry.lock", "pdm.lock")
"""Lock files that are of no use without their pyproject.toml."""
PYLOCK = re.compile(r"pylock\.([^.]+)\.toml")
"""The names of lock files beside pylock.toml (packaging.python.org/en/latest/specifications/
pylock-toml/#file-name)."""


class Selection(msgspec.Struct, frozen=True, kw_only=True):
    """What to install of a project."""

    extras: tuple[str, ...] = ()
    """The extras."""
    groups: tuple[str, ...] = ()
    """The dependency groups."""
    members: tuple[str, ...] = ()
    """The packages of a workspace; without any, uv's choice."""

    def options(self, extra: str = "--extra", group: str = "--group") -> list[str]:
        """Return the extras and groups as options of a command."""
        extras = [word for name in self.extras for word in (extra, name)]
        return extras + [word for name in self.groups for word in (group, name)]


def choose(directory: Directory, mode: str) -> str:
    """Return the lock file to install from; empty if there is none. Report one without effect."""
    found = [name for name in OF_PYPROJECT if directory.has_file(name)]
    if found and not directory.has_file("pyproject.toml"):
        for name in found:
            message = (
                f"{name} is of no use without pyproject.toml; copy it, or pass --ignore {name}"
            )
            directory.add_problem(name, message)
        return ""
    pylocks = directory.names("pylock.toml", "pylock.*.toml")
    named = [name for name in ("pylock.toml", f"pylock.{mode}.toml") if name in pylocks]
    # A lock file that is named for the mode comes first.
    named = named[-1:] or [name for name in pylocks if PYLOCK.fullmatch(name)]
    if len(named) > 1 and "uv.lock" not in found:
        message = f"{' and '.join(named)} are lock files; pass --ignore for all but one"
        directory.add_problem(named[0], message)
    of_project = [name for name in found if name != "uv.lock"]
    first = [name for name in found if name == "uv.lock"] + named[:1] + of_project
    pipfile = [name for name in ("Pipfile.lock",) if directory.has_file(name)]
    return (first + pipfile + [""])[0]


def uv_sync(
    directory: Directory, package: Package, selection: Selection, reader: RequirementFiles
) -> tuple[list[Step], list[Step]]:
    """Return the steps before and after the code that install a uv.lock.

    Local packages are installed after the code; before it, uv needs only what they declare.
    """
    reader.files += ["uv.lock", "pyproject.toml"]
    if not isinstance(directory.toml_of("uv.lock").get("package", []), list):
        place = place_of(directory.root / "uv.lock", "package")
        message = "package: expected an array of tables; run uv lock"
        directory.add_problem("uv.lock", message, place.line, place.column)
    local: list[str] = []
    is_dynamic = package.is_dynamic
    for locked in tables(directory.toml_of("uv.lock"), "package"):
        source = table(locked, "source")
        kind = next((k for k in ("editable", "directory", "virtual", "path") if k in source), "")
        if not kind:
            continue
        path = text(source[kind])
        is_folder = kind != "path" and directory.is_inside(path)
        if kind in ("editable", "directory"):
            label = text(locked.get("name"))
            directory.check_name("a package", label, "uv.lock")
            local.append(label)
        if is_folder and directory.is_folder(path):
            is_dynamic |= _declaring(directory, path, reader)
        else:
            reader.copy("uv.lock", 1, path, f"./{path}")
    for name in member_files(directory):
        is_dynamic |= _declaring(directory, posixpath.dirname(name), reader)
    toml = directory.toml_of("pyproject.toml")
    words = ["--inexact", "--no-dev", *selection.options()]
    words += [f"--package={name}" for name in selection.members]
    if "project" not in toml and not selection.members:
        words.append("--all-packages")
    # What is dynamic is known only when the code is there.
    check = "--frozen" if is_dynamic else "--locked"
    sync = ["uv", "sync", check, *words, "--no-install-local"]
    before = [Step(commands=(" ".join(commands.quoted(sync)),))]
    if not local and not package.is_built:
        return before, []
    refreshed = [f"--refresh-package={name}" for name in local]
    sync = ["uv", "sync", "--locked", *words, "--no-editable", *refreshed]
    built = (f"cd {commands.SOURCE}", " ".join(commands.quoted(sync)))
    return before, [Step(commands=built, source=commands.SOURCE)]


def member_files(directory: Directory) -> list[str]:
    """Return the pyproject.toml of each member of a uv workspace."""
    workspace = table(directory.toml_of("pyproject.toml"), "tool", "uv", "workspace")
    inside = [name for name in strings(workspace.get("members")) if directory.is_inside(name)]
    return directory.names(*(f"{name.rstrip('/')}/pyproject.toml" for name in inside))


def _declaring(directory: Directory, folder: str, reader: RequirementFiles) -> bool:
    """Copy what declares a local package. Return whether only its build knows the dependencies."""
    names = [
        posixpath.normpath(posixpath.join(folder, name))
        for name in ("pyproject.toml", "setup.py", "setup.cfg")
    ]
    found = [name for name in names if directory.has_file(name)]
    reader.files += found
    if not found or not found[0].endswith("pyproject.toml"):
        return True
    project = table(directory.toml_of(found[0]), "project")
    return not project or bool(DYNAMIC & set(strings(project.get("dynamic"))))


def pylock(
    directory: Directory, name: str, selection: Selection, reader: RequirementFiles
) -> list[Step]:
    """Return the steps that install a pylock.toml."""
    for locked in tables(directory.toml_of(name), "packages"):
        for kind in ("directory", "archive"):
            if path := text(table(locked, kind).get("path")):
                reader.copy(name, 1, path, path)
    reader.files.append(name)
    words = ["-r", name, *selection.options()]
    return [Step(commands=(commands.pip_install(words),))]


def poetry(
    directory: Directory, lock: str, selection: Selection, reader: RequirementFiles
) -> list[Step]:
    """Return the steps that install a project of Poetry, locking it first if it is not."""
    locked = directory.toml_of(lock) if lock else {}
    for package in tables(locked, "package"):
        source = table(package, "source")
        if source.get("type") in ("directory", "file"):
            reader.copy(lock, 1, text(source.get("url")), text(source.get("url")))
    for path in (
        [] if lock else _paths(table(directory.toml_of("pyproject.toml"), "tool", "poetry"))
    ):
        reader.copy("pyproject.toml", 1, path, path)
    _copy_settings(directory, reader, lock, "poetry.toml")
    words = ["export", "-f", "requirements.txt", "--with-credentials"]
    words += selection.options("--extras", "--with")
    run = commands.exported(commands.POETRY, words, () if lock else ("lock",))
    return [Step(commands=(*run, *([] if lock else ["rm poetry.lock"])))]


def pdm(
    directory: Directory, lock: str, selection: Selection, reader: RequirementFiles
) -> list[Step]:
    """Return the steps that install a project of PDM, locking it first if it is not."""
    for path in _paths(table(directory.toml_of("pyproject.toml"), "tool", "pdm")):
        reader.copy("pyproject.toml", 1, path, path)
    for package in tables(directory.toml_of(lock) if lock else {}, "package"):
        if path := text(package.get("path")):
            reader.copy(lock, 1, path, path)
    _copy_settings(directory, reader, lock, "pdm.toml")
    # Without a group, none for development; with one, only that.
    which = "-d" if selection.groups else "--prod"
    words = ["export", "-f", "requirements", which, *selection.options("-G", "-G")]
    extras = [word for name in selection.extras for word in ("-G", name)]
    first = "lock --check" if lock else " ".join(["lock", *commands.quoted(extras)])
    run = commands.exported(commands.PDM, words, (first,))
    return [Step(commands=(*run, "rm -f .pdm-python", *([] if lock else ["rm pdm.lock"])))]


def pipenv(
    directory: Directory, lock: str, selection: Selection, reader: RequirementFiles
) -> list[Step]:
    """Return the steps that install a Pipfile, from its lock if there is one."""
    has_pipfile = directory.has_file("Pipfile")
    pipfile = directory.toml_of("Pipfile") if has_pipfile else {}
    lists = {name: part for name, part in pipfile.items() if isinstance(part, dict)}
    chosen = ["packages", *(_category(name) for name in selection.groups)]
    for entry in (value for name in chosen for value in table(lists, name).values()):
        path = text(entry.get("path") or entry.get("file")) if isinstance(entry, dict) else ""
        is_local = path and "://" not in path
        if is_local and reader.copy("Pipfile", 1, path, path):
            itself = Itself(bool(entry.get("editable")), tuple(strings(entry.get("extras"))))
            reader.itself.append(itself)
    reader.files += [name for name in ("Pipfile", lock) if name and directory.has_file(name)]
    directory.used.add(lock or "Pipfile")
    words = ["requirements", *(["--hash"] if lock else ["--from-pipfile", "--no-lock"])]
    groups = [_category(name) for name in selection.groups]
    words += ["--dev"] if groups == ["dev-packages"] else []
    words += ["--categories", " ".join(chosen)] if groups not in ([], ["dev-packages"]) else []
    # The directory itself is installed with the code.
    without = f'sed -i "/^\\(-e \\)\\{{0,1\\}}\\.\\(\\[.*\\)\\{{0,1\\}}$/d" {commands.TOOLS}'
    before = ("verify",) if lock and has_pipfile else ()
    after = without if reader.itself else ""
    run = commands.exported(commands.PIPENV, words, before, after, has_hashes=bool(lock))
    return [Step(commands=run)]


def _category(name: str) -> str:
    return "dev-packages" if name == "dev" else name


def categories(directory: Directory) -> list[str]:
    """Return the names of a Pipfile's groups of packages, beside `packages`."""
    others = {"packages", "source", "requires", "scripts", "pipenv", "pipfile"}
    if not directory.has_file("Pipfile"):
        return []
    pipfile = directory.toml_of("Pipfile")
    return sorted(name for name in pipfile if name not in others and table(pipfile, name))


def pipfile_names(directory: Directory) -> set[str]:
    """Return the packages that a Pipfile or its lock names."""
    if directory.has_file("Pipfile"):
        return set(table(directory.toml_of("Pipfile"), "packages"))
    return set(table(directory.json_of("Pipfile.lock", "run pipenv lock"), "default"))


def _copy_settings(directory: Directory, reader: RequirementFiles, lock: str, name: str) -> None:
    reader.files += ["pyproject.toml", *([lock] if lock else [])]
    if directory.has_file(name):
        directory.used.add(name)
        reader.files.append(name)


def _paths(value: Any) -> list[str]:
    """Return the local paths of dependencies in tables of pyproject.toml."""
    paths = []
    for key, child in value.items():
        if key == "path" and isinstance(child, str):
            paths.append(child)
        elif isinstance(child, dict) and key not in ("build", "scripts", "packages"):
            paths += _paths(child)
    return paths


MANAGERS: dict[str, Callable[[Directory, str, Selection, RequirementFiles], Sequence[Step]]] = {
    "poetry": poetry,
    "pdm": pdm,
    "pipenv": pipenv,
}
"""How the projects of a program are installed, with its lock file or without."""
