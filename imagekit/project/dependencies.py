"""Find out how the dependencies of a code directory are installed.

Installers read the files that they define: uv, and Poetry, PDM and Pipenv through it. Decided
here is which files count, what each refers to, and in which order they are installed.
"""

from __future__ import annotations

import fnmatch
import pathlib
from collections.abc import Iterable, Sequence

import msgspec

from imagekit.errors import ConfigError, Problem, UsageError, did_you_mean
from imagekit.project import (
    conda,
    indexes,
    left_aside,
    locks,
    other_files,
    package,
    python,
)
from imagekit.project.commands import Step
from imagekit.project.directory import Directory, strings, table, text
from imagekit.project.installation import Installation
from imagekit.project.locks import Selection
from imagekit.project.python import PythonRequest
from imagekit.project.settings import load_toml


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What to install of a directory, as asked for on the command line and in settings."""

    extras: tuple[str, ...] = ()
    """Extras of the project."""
    groups: tuple[str, ...] = ()
    """Dependency groups."""
    members: tuple[str, ...] = ()
    """Packages of a uv workspace."""
    mode: str = "cpu"
    """`cpu` or `gpu`; an extra with this name is installed, too."""
    script: str = ""
    """The script that the container runs."""
    ignored: tuple[str, ...] = ()
    """Files that do not count."""


class Dependencies(msgspec.Struct, frozen=True, kw_only=True):
    """How the dependencies of a code directory are installed."""

    files: tuple[str, ...] = ()
    """Files to copy before the code, for the installer; included files come first."""
    folders: tuple[str, ...] = ()
    """Folders of local packages to copy before the code."""
    guessed: tuple[str, ...] = ()
    """Those of the files that a build may read, but need not."""
    before: tuple[Step, ...] = ()
    """What is installed before the code is copied."""
    after: tuple[Step, ...] = ()
    """What is installed after the code is copied."""
    secrets: tuple[str, ...] = ()
    """Environment variables with logins, each of which is an optional secret of the build."""
    environment: dict[str, str] = {}
    """Environment variables of the installation."""
    apt: tuple[str, ...] = ()
    """Debian packages."""
    pythons: tuple[PythonRequest, ...] = ()
    """The versions of Python that files ask for."""
    extras: tuple[str, ...] = ()
    """The extras to install."""
    groups: tuple[str, ...] = ()
    """The dependency groups to install."""
    names: tuple[str, ...] = ()
    """The packages that are required, as far as they are known without an installer."""
    has_index: bool = False
    """Whether the project names a package index."""
    notes: tuple[str, ...] = ()
    """Messages for the user: what is installed from which file, and what is left aside."""


def read(root: pathlib.Path, wanted: Wanted) -> Dependencies:
    """Read the dependencies of a directory.

    Raises ConfigError with all problems, including packages that cannot be installed.
    """
    reader = _Reader(Directory(root, wanted.ignored), wanted)
    problems = reader.directory.problems
    try:
        dependencies = reader.read()
    except UsageError:
        # A word that no Dockerfile can have; where it is from, a problem says.
        if not problems:
            raise
    if problems:
        raise ConfigError(list(dict.fromkeys(problems)))
    return dependencies


class _Reader:
    """Reads the files of a directory in order, and collects the steps."""

    def __init__(self, directory: Directory, wanted: Wanted) -> None:
        self.directory, self.wanted = directory, wanted
        self.notes = directory.notes
        self.pythons = python.Pythons(directory)

    def read(self) -> Dependencies:
        directory = self.directory
        self.folder = other_files.binder(directory)
        self.package = package.read(directory, self.pythons)
        self._check_workspace()
        conda.pixi(directory, self.pythons)
        conda.locks(directory)
        self.lock = locks.choose(directory, self.wanted.mode)
        self.selection = self._select()
        self.install = Installation(directory, self.package, self.lock, self.selection)
        self._requirement_files()
        apt = self._others()
        self._note_package()
        self.install.decide(self.wanted.script, self.pythons)
        if self.install.uses_pipfile:
            groups = {"dev" if n == "dev-packages" else n for n in locks.categories(directory)}
            self._note_aside("Pipfile", "group", groups, self.selection.groups)
        self._python()
        found = indexes.read(directory)
        self._uv_settings()
        self._forget_unused()
        instead = self.lock or ("Pipfile" if self.install.uses_pipfile else self.folder)
        self.notes += left_aside.notes(directory, instead.rstrip("/") or self.package.file)
        other_files.binder_notes(directory, self.folder)
        is_empty = not self.install.before and not self.install.after and not apt
        if is_empty and not any("left aside" in note for note in self.notes):
            self.notes.append("no dependencies are declared")
        return self._dependencies(apt, found)

    def _dependencies(self, apt: list[str], found: indexes.Indexes) -> Dependencies:
        names = self.package.names | self.install.reader.names | self._pipfile_names()
        return Dependencies(
            files=tuple(dict.fromkeys(self.install.reader.files)),
            folders=tuple(sorted(self.install.reader.folders)),
            guessed=tuple(self.install.guessed),
            before=tuple(self.install.before),
            after=tuple(self.install.after),
            secrets=tuple(sorted({*found.secrets, *self.install.reader.variables})),
            environment=found.environment,
            apt=tuple(dict.fromkeys(apt)),
            pythons=tuple(self.pythons.requests),
            extras=self.install.extras(),
            groups=self.selection.groups,
            names=tuple(sorted(names)),
            has_index=bool(found.urls or self.install.reader.indexes),
            notes=tuple(dict.fromkeys(self.notes)),
        )

    # ---- what to install

    def _check_workspace(self) -> None:
        """Report a member of a uv workspace: its sources and its lock are at the root."""
        root = self.directory.root.resolve()
        for above in root.parents:
            if _is_member(root, above):
                name = self.package.name or root.name
                message = (
                    f"{self.directory.root} is a member of the uv workspace in {above}, which has "
                    f"its sources and its lock; use that directory, with --package {name}"
                )
                self.directory.problems.append(Problem(message=message))
        if not self.directory.has_file("pyproject.toml"):
            return
        uv = table(self.directory.toml_of("pyproject.toml"), "tool", "uv")
        has_lock = self.directory.has_file("uv.lock")
        if "workspace" in uv and not has_lock:
            message = "a uv workspace is installed from its lock file; run uv lock"
            self.directory.add_problem("pyproject.toml", message)
        elif self.wanted.members and "workspace" not in uv:
            message = "--package is for a uv workspace, and pyproject.toml has none"
            self.directory.problems.append(Problem(message=message))

    def _select(self) -> Selection:
        """Choose the requested extras and groups, and the extra named like the mode."""
        known = self.package.extras
        groups = set(self.package.groups) | set(locks.categories(self.directory))
        if "dev-packages" in groups:
            groups.add("dev")
        # Those of the members of a workspace are uv's to check.
        if known is not None and not self.wanted.members and not self.lock.startswith("pylock"):
            self._check_names("extra", self.wanted.extras, known, groups)
        if not self.wanted.members:
            self._check_names("dependency group", self.wanted.groups, groups, known or ())
        mode = {self.wanted.mode} & (known or set())
        return Selection(
            extras=tuple(dict.fromkeys([*self.wanted.extras, *mode])),
            groups=tuple(dict.fromkeys([*self.package.default_groups, *self.wanted.groups])),
            members=self.wanted.members,
        )

    def _check_names(
        self, kind: str, wanted: Sequence[str], known: Iterable[str], others: Iterable[str]
    ) -> None:
        """Report names that are not known; `others` are those of the other kind."""
        names = set(known)
        for name in wanted:
            if name in names:
                continue
            hint = did_you_mean(name, names)
            if name in others:
                is_group = kind == "extra"
                hint = (
                    "; it is a group, see --group" if is_group else "; it is an extra, see --extra"
                )
            elif not hint and names:
                hint = f"; available: {', '.join(sorted(names))}"
            message = f"no {kind} {name!r} in {self.directory.root}{hint}"
            self.directory.problems.append(Problem(message=message))

    def _note_package(self) -> None:
        """Say what is installed of the project, and what only if it is asked for."""
        file, found = self.package.file, self.package
        if self.lock:
            self.notes.append(f"{self.lock}: exact versions of all dependencies")
        elif file:
            program = {"poetry": "Poetry", "pdm": "PDM"}.get(found.manager)
            when = f", resolved by {program} when the image is built" if program else ""
            when = ", known when the package is built" if found.is_dynamic else when
            self.notes.insert(0, f"{file}: dependencies{when}")
        if found.is_built and (self.lock or not found.is_dynamic):
            built = {name for name in package.SETUP_FILES if self.directory.has_file(name)}
            built |= {file} if self.lock else set()
            names_of = sorted(built - self.directory.declares_nothing)
            self.directory.used |= built
            self.notes += [f"{name}: the package, built with the code" for name in names_of]
        self._note_aside(file, "extra", found.extras or (), self.install.extras())
        self._note_aside(file, "group", found.groups, self.selection.groups)

    def _note_aside(
        self, file: str, kind: str, names: Iterable[str], chosen: Iterable[str]
    ) -> None:
        """Name the extras or groups that are not installed."""
        aside = sorted(set(names) - set(chosen))
        if aside:
            listed = f"the {kind}{'s' if len(aside) > 1 else ''} {', '.join(aside)}"
            self.notes.append(f"{file}: left aside: {listed}; --{kind} installs one")

    # ---- files that are installed beside the project

    def _requirement_files(self) -> None:
        """Read the requirement file of the directory, unless something takes its place."""
        has_pipfile = self.directory.has_file("Pipfile")
        is_managed = self.lock or has_pipfile or self.package.manager != "uv"
        if is_managed and not self.folder:
            return
        for name in ("requirements.lock", "requirements.txt", "requirements.in"):
            if self.directory.has_file(self.folder + name):
                self.install.requirement_file(self.folder + name)
                return

    def _others(self) -> list[str]:
        """Read the files that are installed in any case. Return Debian packages."""
        directory, apt = self.directory, []
        for name in conda.ENVIRONMENTS:
            if directory.has_file(self.folder + name):
                self.install.words += conda.environment(
                    directory, self.folder + name, self.pythons, self.install.reader
                )
                self.notes.append(f"{self.folder}{name}: the pip section")
        if directory.has_file(f"{self.folder}apt.txt"):
            apt += other_files.apt(directory, f"{self.folder}apt.txt")
        if directory.has_file("cog.yaml"):
            words, packages = other_files.cog(directory, self.pythons, self.install.reader)
            self.install.words += words
            apt += packages
        for name in directory.names("*.ipynb"):
            self.notes.append(f"{name}: a notebook; --notebook starts JupyterLab")
        return apt

    def _python(self) -> None:
        """Read the files that choose a version of Python, and check that all agree."""
        self.pythons.files()
        if self.folder:
            self.pythons.files(self.folder)
        if self.directory.has_file("Pipfile"):
            requires = table(self.directory.toml_of("Pipfile"), "requires")
            version = requires.get("python_full_version") or requires.get("python_version")
            self.pythons.pin("Pipfile", text(version))
        if self.lock and self.lock != "Pipfile.lock":
            python.locked(self.pythons, self.lock)
        self.directory.problems += python.disagreement(self.pythons.requests)

    def _uv_settings(self) -> None:
        if self.directory.has_file("uv.toml"):
            self.directory.used.add("uv.toml")
            self.install.reader.files.append("uv.toml")

    def _forget_unused(self) -> None:
        """Forget that files were read that nothing is installed from."""
        if not self.install.uses_pipfile:
            self.directory.used -= {"Pipfile", "Pipfile.lock"}
        if not self.package.is_built:
            self.directory.used -= set(package.SETUP_FILES)
            # Of the project, a pylock.toml is all that is read.
            self.directory.used -= {"pyproject.toml"} if self.lock.startswith("pylock") else set()

    def _pipfile_names(self) -> set[str]:
        return locks.pipfile_names(self.directory) if self.install.uses_pipfile else set()


def _is_member(root: pathlib.Path, above: pathlib.Path) -> bool:
    """Return whether a folder is a member of a uv workspace whose root is above it."""
    try:
        toml = load_toml(above / "pyproject.toml", within=above)
    except ConfigError:
        return False
    workspace = table(toml, "tool", "uv", "workspace")
    parts = root.relative_to(above).parts

    def matches(key: str) -> bool:
        globs = (glob.strip("/").split("/") for glob in strings(workspace.get(key)))
        return any(
            "**" in glob or (len(glob) == len(parts) and all(map(fnmatch.fnmatchcase, parts, glob)))
            for glob in globs
        )

    return matches("members") and not matches("exclude")
