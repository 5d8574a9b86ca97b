"""Find out how the dependencies of a code directory are installed.

Installers read the files that they define: uv, and Poetry, PDM and Pipenv through it. Decided
here is which files count, what each refers to, and in which order they are installed.
"""

from __future__ import annotations

import fnmatch
import pathlib
from collections.abc import Iterable, Sequence

import msgspec

from imagekit.errors import ConfigError, Problem, did_you_mean
from imagekit.project import (
    commands,
    conda,
    git_version,
    indexes,
    left_aside,
    locks,
    other_files,
    package,
    python,
)
from imagekit.project.commands import Step
from imagekit.project.directory import Directory, strings, table, text
from imagekit.project.locks import Selection
from imagekit.project.package import Package
from imagekit.project.python import PythonRequest
from imagekit.project.requirement_files import RequirementFiles
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
    dependencies = reader.read()
    problems = reader.directory.problems
    if problems:
        raise ConfigError(list(dict.fromkeys(problems)))
    return dependencies


class _Reader:
    """Reads the files of a directory in order, and collects the steps."""

    def __init__(self, directory: Directory, wanted: Wanted) -> None:
        self.directory, self.wanted = directory, wanted
        self.notes = directory.notes
        self.reader = RequirementFiles(directory)
        self.pythons = python.Pythons(directory)
        self.words: list[str] = []
        """Requirement files and requirements that are installed in one command."""
        self.uses_pipfile = False
        self.before: list[Step] = []
        self.after: list[Step] = []

    def read(self) -> Dependencies:
        directory = self.directory
        self.folder = other_files.binder(directory)
        self.package = package.read(directory, self.pythons)
        self._check_workspace()
        conda.pixi(directory, self.pythons)
        conda.locks(directory)
        self.lock = locks.choose(directory, self.wanted.mode)
        self.selection = self._select()
        self._requirement_files()
        apt = self._others()
        self._note_package()
        self._steps()
        self._python()
        found = indexes.read(directory)
        self._uv_settings()
        self._forget_unused()
        instead = self.lock or ("Pipfile" if "Pipfile" in directory.used else "")
        self.notes += left_aside.notes(directory, instead or self.package.file)
        other_files.binder_notes(directory, self.folder)
        names = self.package.names | self.reader.names | self._pipfile_names()
        is_empty = not self.before and not self.after and not apt
        if is_empty and not any("left aside" in note for note in self.notes):
            self.notes.append("no dependencies are declared")
        return Dependencies(
            files=tuple(dict.fromkeys(self.reader.files)),
            folders=tuple(sorted(self.reader.folders)),
            before=tuple(self.before),
            after=tuple(self.after),
            secrets=tuple(sorted({*found.secrets, *self.reader.variables})),
            environment=found.environment,
            apt=tuple(dict.fromkeys(apt)),
            pythons=tuple(self.pythons.requests),
            extras=self._extras(),
            groups=self.selection.groups,
            names=tuple(sorted(names)),
            has_index=bool(found.urls or self.reader.indexes),
            notes=tuple(dict.fromkeys(self.notes)),
        )

    # ---- what to install

    def _check_workspace(self) -> None:
        """Report a member of a uv workspace: its sources and its lock are at the root."""
        root = self.directory.root.resolve()
        for above in root.parents:
            members = _members(above)
            relative = root.relative_to(above).as_posix()
            if any(fnmatch.fnmatchcase(relative, pattern) for pattern in members):
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
        if known is not None and not self.lock.startswith("pylock"):
            self._check_names("extra", self.wanted.extras, known)
        if not self.wanted.members:
            self._check_names("dependency group", self.wanted.groups, groups)
        mode = {self.wanted.mode} & (known or set())
        return Selection(
            extras=tuple(dict.fromkeys([*self.wanted.extras, *mode])),
            groups=tuple(dict.fromkeys([*self.package.default_groups, *self.wanted.groups])),
            members=self.wanted.members,
        )

    def _check_names(self, kind: str, wanted: Sequence[str], known: Iterable[str]) -> None:
        names = set(known)
        for name in wanted:
            if name in names:
                continue
            near = did_you_mean(name, names)
            hint = near or (f"; available: {', '.join(sorted(names))}" if names else "")
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
        for kind, names, chosen in (
            ("extra", found.extras or (), self._extras()),
            ("group", found.groups, self.selection.groups),
        ):
            aside = sorted(set(names) - set(chosen))
            if aside:
                plural = "s" if len(aside) > 1 else ""
                listed = ", ".join(aside)
                message = f"{file}: left aside: the {kind}{plural} {listed}; --{kind} installs one"
                self.notes.append(message)

    # ---- files that are installed beside the project

    def _requirement_files(self) -> None:
        """Read the requirement file of the directory, unless something takes its place."""
        has_pipfile = self.directory.has_file("Pipfile")
        is_managed = self.lock or has_pipfile or self.package.manager != "uv"
        if is_managed and not self.folder:
            return
        for name in ("requirements.lock", "requirements.txt", "requirements.in"):
            if self.directory.has_file(self.folder + name):
                self._requirement_file(self.folder + name)
                return

    def _requirement_file(self, name: str) -> None:
        self.reader.read(name)
        if name in self.reader.hashed:
            self.reader.check_hashes()
            words = ["--require-hashes", "-r", name]
            self.before.append(Step(commands=(commands.pip_install(words),)))
        else:
            self.words += ["-r", name]
        self.notes.append(f"{name}: dependencies")

    def _others(self) -> list[str]:
        """Read the files that are installed in any case. Return Debian packages."""
        directory, apt = self.directory, []
        for name in conda.ENVIRONMENTS:
            if directory.has_file(self.folder + name):
                self.words += conda.environment(
                    directory, self.folder + name, self.pythons, self.reader
                )
                self.notes.append(f"{self.folder}{name}: the pip section")
        if directory.has_file(f"{self.folder}apt.txt"):
            apt += other_files.apt(directory, f"{self.folder}apt.txt")
        if directory.has_file("cog.yaml"):
            words, packages = other_files.cog(directory, self.pythons, self.reader)
            self.words += words
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
            self.reader.files.append("uv.toml")

    def _forget_unused(self) -> None:
        """Forget that files were read that nothing is installed from."""
        if not self.uses_pipfile:
            self.directory.used -= {"Pipfile", "Pipfile.lock"}
        if not self.package.is_built:
            self.directory.used -= set(package.SETUP_FILES)

    def _pipfile_names(self) -> set[str]:
        return locks.pipfile_names(self.directory) if self.uses_pipfile else set()

    # ---- steps

    def _steps(self) -> None:
        """Decide what is installed before the code, and what after it."""
        self._manager()
        self._script()
        self._project()
        edits = [f"sed -i {_edits(e)} {commands.quote(f)}" for f, e in self.reader.edits.items()]
        edits = [line for line in edits if line]
        if edits and self.before:
            first = self.before[0]
            self.before[0] = msgspec.structs.replace(first, commands=(*edits, *first.commands))
        self._package()

    def _manager(self) -> None:
        """Install what a lock file, or a program other than uv, knows."""
        of_lock = {"poetry.lock": "poetry", "pdm.lock": "pdm", "Pipfile.lock": "pipenv"}
        manager = of_lock.get(self.lock, "")
        lock = self.lock if manager else ""
        if not self.lock and self.package.manager != "uv":
            manager = self.package.manager
        if not self.lock and not manager and self.directory.has_file("Pipfile"):
            manager = "pipenv"
        if self.lock == "uv.lock":
            steps = locks.uv_sync(self.directory, self.package, self.selection, self.reader)
            self.before += steps[0]
            self.after += steps[1]
        elif self.lock.startswith("pylock"):
            self.before += locks.pylock(self.directory, self.lock, self.selection, self.reader)
        elif manager:
            self.before += locks.MANAGERS[manager](
                self.directory, lock, self.selection, self.reader
            )
            if manager == "pipenv":
                self.uses_pipfile = True
                self.notes += [] if lock else ["Pipfile: dependencies"]

    def _script(self) -> None:
        """Install the inline dependencies of the script that is run."""
        name = self.wanted.script
        script = name and other_files.script(self.directory, name, self.pythons, self.reader)
        if not script:
            return
        folder = name.rpartition("/")[0]
        make = [f"mkdir -p {commands.quote(folder)}"] if folder else []
        # The rest of the script may change without a new installation.
        lines = " \\\n        ".join(commands.quoted(script.lines))
        make.append(f"printf '%s\\n' \\\n        {lines} > {commands.quote(name)}")
        install = commands.pip_install(["-r", name])
        if script.lock:
            self.reader.files.append(script.lock)
            export = f"uv export -q --locked --script {commands.quote(name)} -o {commands.TOOLS}"
            install = f"{export} && uv pip install -r {commands.TOOLS}"
        self.before.append(Step(commands=(*make, install)))

    def _project(self) -> None:
        """Install what uv reads: the project's own file, requirement files, pip's sections."""
        reader = self.reader
        refresh = ["--refresh"] if reader.folders else []
        self._sources()
        words = [*reader.options, *refresh, *self.words]
        own = self.package.file if self._reads_package() else ""
        if self.package.is_dynamic and own:
            self._warm_up(words)
        elif own and (self.package.names or self.selection.groups):
            reader.files += [own]
            options = ["-r", own, *self._own_options(), *words]
            self.before.append(Step(commands=(commands.pip_install(options),)))
        elif self.words:
            self.before.append(Step(commands=(commands.pip_install(words),)))

    def _reads_package(self) -> bool:
        """Whether uv reads the project's own file."""
        is_locked = self.lock and self.lock != "Pipfile.lock"
        return self.package.manager == "uv" and not is_locked

    def _extras(self) -> tuple[str, ...]:
        """Return the extras that are asked for, and those in `-e .[train]`."""
        named = [extra for own in self.reader.itself for extra in own.extras]
        return tuple(dict.fromkeys([*self.selection.extras, *named]))

    def _own_options(self) -> list[str]:
        return msgspec.structs.replace(self.selection, extras=self._extras()).options()

    def _sources(self) -> None:
        """Copy the local packages that pyproject.toml names."""
        if self.package.file != "pyproject.toml" or not self._reads_package():
            return
        toml = self.directory.toml_of("pyproject.toml")
        for source in table(toml, "tool", "uv", "sources").values():
            for entry in source if isinstance(source, list) else [source]:
                if path := text(table(entry).get("path")):
                    self.reader.copy("pyproject.toml", 1, path, path)
        project = table(toml, "project")
        lists = [project.get("dependencies"), *table(project, "optional-dependencies").values()]
        for requirement in (name for part in lists for name in strings(part)):
            if " @ " in requirement:
                self.reader.read_line("pyproject.toml", 1, requirement)

    def _warm_up(self, words: list[str]) -> None:
        """Install the dependencies that a build tells, where it can tell them without the code.

        They are installed with the code in any case; here they are in a layer that stays.
        """
        file = self.package.file
        self.reader.files += package.references(self.directory, self.package)
        make, remove = _stub(self.package, "")
        own = ["-r", "setup.py" if file == "setup.cfg" else file, *self._own_options(), *words]
        instead = f"{commands.pip_install(words)}; " if self.words else ""
        message = f"echo 'The dependencies of {file} are installed with the code.'"
        told = self._told("0")
        command = f"{{ {commands.pip_install(own)} \\\n    || {{ {instead}{message}; }}; }}"
        if instead:
            command = f"{{ {commands.pip_install(own)} \\\n    || {commands.pip_install(words)}; }}"
        # What setuptools leaves beside a setup.py.
        clean = "rm -rf ./*.egg-info ./*/*.egg-info build"
        self.before.append(Step(commands=(*told, *make, command, *remove, clean)))

    def _told(self, version: str) -> list[str]:
        found = git_version.of_package(self.directory, self.package)
        names = found.variables if found else ()
        return [f"export {name}={commands.quote(version)}" for name in names]

    def _package(self) -> None:
        """Install the package itself, with what is known only when it is built."""
        if self.lock == "uv.lock":
            self._tell_version()
            return
        is_static = bool(self._reads_package() is False or not self.package.is_dynamic)
        options = ["--no-deps"] if is_static else []
        extras = f"[{','.join(self.selection.extras)}]" if self.selection.extras else ""
        if self.reader.itself:
            if not self.package.file or not self._can_be_built():
                message = "a requirement is the directory itself, which is not a package"
                self.directory.problems.append(Problem(message=f"{self.directory.root}: {message}"))
            words = [*options, *self._itself()]
            self.after.append(Step(commands=(commands.pip_install(words),)))
        elif self.package.is_built:
            make, _ = _stub(self.package, f"{commands.SOURCE}/")
            words = [*options, f"{commands.SOURCE}{extras}", *([] if is_static else self.words)]
            install = commands.pip_install(words)
            self.after.append(Step(commands=(*make, install), source=commands.SOURCE))
        self._tell_version()

    def _can_be_built(self) -> bool:
        return self.package.is_built or self.package.manager == "uv"

    def _itself(self) -> list[str]:
        """Return the directory as a requirement, with the extras of all that name it."""
        extras = self._extras()
        target = f".[{','.join(extras)}]" if extras else "."
        return [*(["-e"] if any(own.editable for own in self.reader.itself) else []), target]

    def _tell_version(self) -> None:
        """Tell the build the version that it would take from git."""
        found = git_version.of_package(self.directory, self.package)
        if found is None or not self.after:
            return
        version = git_version.version(self.directory)
        self.notes.append(f"version: {version}, from git")
        told = [f"export {name}={commands.quote(version)}" for name in found.variables]
        step = self.after[-1]
        if found.prefix is not None and step.source:
            # versioneer reads the version from the name of the folder.
            source = f"/mnt/{found.prefix}{version}"
            moved = tuple(line.replace(commands.SOURCE, source) for line in step.commands)
            step = Step(commands=moved, source=source)
        self.after[-1] = msgspec.structs.replace(step, commands=(*told, *step.commands))


def _edits(edits: Sequence[str]) -> str:
    return " ".join(f"-e {commands.quote(edit)}" for edit in edits)


def _stub(found: Package, folder: str) -> tuple[list[str], list[str]]:
    """Return the commands that make and remove the setup.py that uv needs beside a setup.cfg."""
    if found.file != "setup.cfg":
        return [], []
    name = f"{folder}setup.py"
    return [f"echo 'from setuptools import setup; setup()' > {name}"], [f"rm {name}"]


def _members(folder: pathlib.Path) -> list[str]:
    """Return the globs of the members of a uv workspace; none where there is no workspace."""
    try:
        toml = load_toml(folder / "pyproject.toml")
    except ConfigError:
        return []
    return strings(table(toml, "tool", "uv", "workspace").get("members"))
