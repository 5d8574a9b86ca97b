"""Decide what is installed before the code is copied into an image, and what after it."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from imagekit.errors import Problem
from imagekit.project import commands, git_version, locks, other_files, package
from imagekit.project.commands import Step
from imagekit.project.directory import Directory, strings, table, text
from imagekit.project.locks import Selection
from imagekit.project.package import Package
from imagekit.project.python import Pythons
from imagekit.project.requirement_files import RequirementFiles


class Installation:
    """The steps that install the dependencies of a directory, and its package."""

    def __init__(
        self, directory: Directory, found: Package, lock: str, selection: Selection
    ) -> None:
        self.directory, self.package = directory, found
        self.lock, self.selection = lock, selection
        self.reader = RequirementFiles(directory)
        self.words: list[str] = []
        """Requirement files and requirements that are installed in one command."""
        self.guessed: list[str] = []
        """Files that a build may read."""
        self.uses_pipfile = False
        self.before: list[Step] = []
        self.after: list[Step] = []

    def requirement_file(self, name: str) -> None:
        """Install a requirement file: on its own if it has hashes."""
        self.reader.read(name)
        if name in self.reader.hashed:
            self.reader.check_hashes()
            words = [*self.reader.options, "--require-hashes", "-r", name]
            self.before.append(Step(commands=(commands.pip_install(words),)))
        else:
            self.words += ["-r", name]
        self.directory.notes.append(f"{name}: dependencies")

    def decide(self, script: str, pythons: Pythons) -> None:
        """Decide on the steps, when all files are read."""
        self._manager()
        self._script(script, pythons)
        self._project()
        edits = [f"sed -i {_edits(e)} {commands.quote(f)}" for f, e in self.reader.edits.items()]
        if edits and self.before:
            first = self.before[0]
            self.before[0] = msgspec.structs.replace(first, commands=(*edits, *first.commands))
        self._package()
        self._tell_version()

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
                self.directory.notes += [] if lock else ["Pipfile: dependencies"]

    def _script(self, name: str, pythons: Pythons) -> None:
        """Install the inline dependencies of the script that is run."""
        script = name and other_files.script(self.directory, name, pythons, self.reader)
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
            file = ["-r", own] if self.package.is_project else []
            options = [*file, *self._own_options(), *words]
            self.before.append(Step(commands=(commands.pip_install(options),)))
        elif self.words:
            self.before.append(Step(commands=(commands.pip_install(words),)))

    def _reads_package(self) -> bool:
        """Whether uv reads the project's own file."""
        is_locked = self.lock and self.lock != "Pipfile.lock"
        return self.package.manager == "uv" and not is_locked

    def extras(self) -> tuple[str, ...]:
        """Return the extras that are asked for, and those in `-e .[train]`."""
        named = [extra for own in self.reader.itself for extra in own.extras]
        return tuple(dict.fromkeys([*self.selection.extras, *named]))

    def _own_options(self) -> list[str]:
        return msgspec.structs.replace(self.selection, extras=self.extras()).options()

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
        references = package.references(self.directory, self.package)
        self.guessed = [name for name in references if name not in package.DECLARING]
        self.reader.files += references
        make, remove = _stub(self.package, "")
        own = ["-r", "setup.py" if file == "setup.cfg" else file, *self._own_options(), *words]
        otherwise = f"echo 'The dependencies of {file} are installed with the code.'"
        if self.words:
            otherwise = commands.pip_install(words)
        told = self._told("0")
        command = f"{{ {commands.pip_install(own)} \\\n    || {otherwise}; }}"
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
            return
        is_static = not self._reads_package() or not self.package.is_dynamic
        options = ["--no-deps"] if is_static else []
        extras = f"[{','.join(self.selection.extras)}]" if self.selection.extras else ""
        if self.reader.itself:
            if not self.package.file or not (self.package.is_built or self.package.manager == "uv"):
                message = "a requirement is the directory itself, which is not a package"
                self.directory.problems.append(Problem(message=f"{self.directory.root}: {message}"))
            words = [*options, *self._itself()]
            self.after.append(Step(commands=(commands.pip_install(words),)))
        elif self.package.is_built:
            make, _ = _stub(self.package, f"{commands.SOURCE}/")
            words = [*options, f"{commands.SOURCE}{extras}", *([] if is_static else self.words)]
            install = commands.pip_install(words)
            self.after.append(Step(commands=(*make, install), source=commands.SOURCE))

    def _itself(self) -> list[str]:
        """Return the directory as a requirement, with the extras of all that name it."""
        extras = self.extras()
        target = f".[{','.join(extras)}]" if extras else "."
        return [*(["-e"] if any(own.editable for own in self.reader.itself) else []), target]

    def _tell_version(self) -> None:
        """Tell the build the version that it would take from git."""
        found = git_version.of_package(self.directory, self.package)
        if found is None or not self.after:
            return
        version = git_version.version(self.directory)
        self.directory.notes.append(f"version: {version}, from git")
        step = self.after[-1]
        if found.prefix is not None and step.source:
            # versioneer reads the version from the name of the folder.
            source = f"/mnt/{found.prefix}{version}"
            moved = tuple(line.replace(commands.SOURCE, source) for line in step.commands)
            step = Step(commands=moved, source=source)
        self.after[-1] = msgspec.structs.replace(
            step, commands=(*self._told(version), *step.commands)
        )


def _edits(edits: Sequence[str]) -> str:
    return " ".join(f"-e {commands.quote(edit)}" for edit in edits)


def _stub(found: Package, folder: str) -> tuple[list[str], list[str]]:
    """Return the commands that make and remove the setup.py that uv needs beside a setup.cfg."""
    if found.file != "setup.cfg":
        return [], []
    name = f"{folder}setup.py"
    return [f"echo 'from setuptools import setup; setup()' > {name}"], [f"rm {name}"]
