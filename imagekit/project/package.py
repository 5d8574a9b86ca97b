"""What pyproject.toml, setup.py and setup.cfg say of a project beside its dependencies.

uv reads the dependencies from the files themselves. Read here is whether there are any, who has
to read them, which extras and groups there are, and what the files refer to.
"""

from __future__ import annotations

import ast
import itertools
import re
from typing import Any, Literal

import msgspec
from packaging.utils import canonicalize_name

from imagekit.errors import one_line
from imagekit.project import parsing, python
from imagekit.project.directory import Directory, strings, table, text
from imagekit.project.requirement_files import names_of, requirement_error
from imagekit.project.settings import place_of

Manager = Literal["uv", "poetry", "pdm"]


class Package(msgspec.Struct, frozen=True, kw_only=True):
    """A project: what uv installs its dependencies from, and what they are called."""

    file: str = ""
    """The file that declares the dependencies; empty if none does."""
    name: str = ""
    """The name of the project."""
    manager: Manager = "uv"
    """The program that has to read the dependencies."""
    is_project: bool = True
    """Whether the file declares more than dependency groups."""
    is_built: bool = False
    """Whether the project is a package that is built and installed."""
    is_dynamic: bool = False
    """Whether the dependencies are known only when the package is built."""
    extras: frozenset[str] | None = frozenset()
    """The names of the extras; None if only the build knows them."""
    groups: frozenset[str] = frozenset()
    """The names of the dependency groups."""
    default_groups: tuple[str, ...] = ()
    """The groups to install if none is asked for."""
    names: frozenset[str] = frozenset()
    """The packages that are required, as far as they are known."""


SETUP_FILES = ("setup.py", "setup.cfg")
DECLARING = ("pyproject.toml", *SETUP_FILES)
DYNAMIC = {"dependencies", "optional-dependencies"}


Tables = dict[str, dict[str, Any]]
TYPES: dict[tuple[str, ...], Any] = {
    ("tool",): Tables,
    ("dependency-groups",): dict[str, list[str | dict[str, Any]]],
    ("tool", "uv", "sources"): dict[str, dict[str, Any] | list[dict[str, Any]]],
    ("tool", "uv", "workspace"): dict[str, list[str]],
    ("tool", "uv", "default-groups"): list[str] | str,
    ("tool", "uv", "index"): list[dict[str, Any]],
    ("tool", "poetry", "dependencies"): dict[str, Any],
    ("tool", "poetry", "group"): Tables,
    ("tool", "poetry", "source"): list[dict[str, Any]],
    ("tool", "pdm", "dev-dependencies"): dict[str, list[str]],
    ("tool", "pdm", "source"): list[dict[str, Any]],
}
"""The types of the settings that are read of other tools (docs.astral.sh/uv/reference/settings,
python-poetry.org/docs/pyproject, pdm-project.org/en/latest/reference/pep621)."""


class Table(msgspec.Struct, frozen=True, kw_only=True, rename="kebab"):
    """The keys of pyproject.toml's `[project]` that are read.

    Source: packaging.python.org/en/latest/specifications/pyproject-toml.
    """

    name: str = ""
    """The name of the package."""
    requires_python: str = ""
    """The supported Python versions, as a specifier."""
    dependencies: list[str] = []
    """The requirements of the package."""
    optional_dependencies: dict[str, list[str]] = {}
    """The requirements of each extra."""
    dynamic: list[str] = []
    """Keys whose values only the build computes."""


def read(directory: Directory, pythons: python.Pythons) -> Package:
    """Read the project of a directory."""
    if directory.has_file("pyproject.toml"):
        package = _pyproject(directory, pythons)
        if package is not None:
            return package
        directory.declares_nothing.add("pyproject.toml")
    return _setup(directory, pythons)


def _pyproject(directory: Directory, pythons: python.Pythons) -> Package | None:
    """Read pyproject.toml; None if it only configures tools, or leaves all to setup.py."""
    toml = directory.toml_of("pyproject.toml")
    poetry = table(toml, "tool", "poetry")
    is_poetry = bool(poetry.keys() & {"dependencies", "group", "source", "dev-dependencies"})
    has_setup = _has_setup(directory)
    if "project" not in toml and not is_poetry and has_setup:
        return None
    about = _about(directory, toml)
    if about is None:
        return Package(file="pyproject.toml")
    pythons.add("pyproject.toml", about.requires_python, "requires-python", "project")
    within = "tool.poetry.dependencies"
    pythons.add("pyproject.toml", _poetry_python(poetry), "python", within, syntax="poetry")
    groups = _groups(toml)
    for name in _default_groups(toml, groups):
        directory.check_name("a group", name, "pyproject.toml")
    manager = _manager(toml, is_poetry)
    is_package = _is_package(toml, has_setup)
    dynamic = bool(DYNAMIC & set(about.dynamic)) or (is_package and "project" not in toml)
    if "project" not in toml and manager == "uv" and not is_package and not groups:
        return None
    extras = frozenset(about.optional_dependencies) | frozenset(table(poetry, "extras"))
    unknown = "optional-dependencies" in about.dynamic or "project" not in toml
    return Package(
        file="pyproject.toml",
        name=about.name or text(poetry.get("name")),
        manager=manager,
        is_project="project" in toml or is_package,
        is_built=is_package,
        is_dynamic=dynamic and manager == "uv",
        extras=None if unknown and manager == "uv" and is_package else extras,
        groups=groups,
        default_groups=_default_groups(toml, groups),
        names=_names(about, poetry),
    )


def _about(directory: Directory, toml: dict[str, Any]) -> Table | None:
    """Return `[project]`; report a value of the wrong type, with its place."""
    try:
        about = msgspec.convert(toml.get("project", {}), Table)
    except msgspec.ValidationError as error:
        # As in "Expected `array`, got `str` - at `$.dependencies`".
        reason, _, where = str(error).partition(" - at ")
        key = where.strip("`$.").partition("[")[0].partition(".")[0]
        place = place_of(directory.root / "pyproject.toml", key, "project")
        message = f"{key}: {reason}".lower()
        directory.add_problem("pyproject.toml", message, place.line, place.column)
        return None
    _check_requirements(directory, about)
    _check_types(directory, toml)
    for name in [about.name] if "name" in toml.get("project", {}) else []:
        place = place_of(directory.root / "pyproject.toml", "name", "project")
        directory.check_name("a package", name, "pyproject.toml", place.line, place.column)
    for name in about.optional_dependencies:
        within = "project.optional-dependencies"
        place = place_of(directory.root / "pyproject.toml", name, within)
        directory.check_name("an extra", name, "pyproject.toml", place.line, place.column)
    return about


def _check_types(directory: Directory, toml: dict[str, Any]) -> None:
    """Report a value of a tool's settings that has not the type which the tool demands."""
    for keys, type_ in TYPES.items():
        within, key = ".".join(keys[:-1]), keys[-1]
        settings = table(toml, *keys[:-1])
        try:
            msgspec.convert(settings.get(key), type_ if key in settings else Any)
        except msgspec.ValidationError as error:
            place = place_of(directory.root / "pyproject.toml", key, within)
            reason = str(error).partition(" - at ")[0].lower()
            message = f"{'.'.join(keys)}: {reason}"
            directory.add_problem("pyproject.toml", message, place.line, place.column)


def _check_requirements(directory: Directory, about: Table) -> None:
    lists = {"dependencies": about.dependencies, **about.optional_dependencies}
    for key, requirements in lists.items():
        within = "project" if key == "dependencies" else "project.optional-dependencies"
        place = place_of(directory.root / "pyproject.toml", key, within)
        for requirement in requirements:
            directory.check_secret("pyproject.toml", place.line, requirement)
            if reason := requirement_error(requirement):
                message = one_line(
                    f"{parsing.short(requirement)!r} is not a valid requirement: {reason}"
                )
                directory.add_problem("pyproject.toml", message, place.line, place.column)


def _manager(toml: dict[str, Any], is_poetry: bool) -> Manager:
    if is_poetry:
        return "poetry"
    pdm = table(toml, "tool", "pdm")
    return "pdm" if pdm.keys() & {"source", "dev-dependencies", "overrides"} else "uv"


def _is_package(toml: dict[str, Any], has_setup: bool) -> bool:
    """Return whether the project is built, as its tools see it."""
    tool = table(toml, "tool")
    if table(tool, "uv").get("package") is False:
        return False
    if table(tool, "poetry").get("package-mode") is False:
        return False
    if table(tool, "pdm").get("distribution") is False:
        return False
    return "build-system" in toml or has_setup or table(tool, "uv").get("package") is True


def _poetry_python(poetry: dict[str, Any]) -> str:
    asked = table(poetry, "dependencies").get("python")
    return text(asked.get("version")) if isinstance(asked, dict) else text(asked)


def _groups(toml: dict[str, Any]) -> frozenset[str]:
    """Return the names of the dependency groups, also of those in Poetry's and PDM's tables."""
    poetry = table(toml, "tool", "poetry")
    groups = {*table(toml, "dependency-groups"), *table(poetry, "group")} - {"main"}
    groups |= {"dev"} if "dev-dependencies" in poetry else set()
    return frozenset(groups | set(table(toml, "tool", "pdm", "dev-dependencies")))


def _default_groups(toml: dict[str, Any], groups: frozenset[str]) -> tuple[str, ...]:
    """Return uv's default groups, without the one for development."""
    asked = table(toml, "tool", "uv").get("default-groups", [])
    names = sorted(groups) if asked == "all" else strings(asked)
    return tuple(name for name in names if name != "dev")


def _names(about: Table, poetry: dict[str, Any]) -> frozenset[str]:
    named = set(table(poetry, "dependencies")) - {"python"}
    optional = itertools.chain(*about.optional_dependencies.values())
    for requirement in (*about.dependencies, *optional):
        named |= names_of(requirement)
    return frozenset(named)


# ---- setup.py and setup.cfg


def _has_setup(directory: Directory) -> bool:
    return directory.has_file("setup.py") or bool(_cfg(directory))


def _cfg(directory: Directory) -> dict[str, dict[str, str]]:
    """Return the sections of a setup.cfg that declares a package; nothing for settings of tools."""
    if not directory.has_file("setup.cfg"):
        return {}
    used = "setup.cfg" in directory.used
    try:
        parser = parsing.ini(directory.text_of("setup.cfg"))
    except ValueError as error:
        directory.add_problem("setup.cfg", str(error))
        return {}
    sections = {name: dict(parser.items(name)) for name in parser.sections()}
    if sections.keys() & {"metadata", "options"}:
        return sections
    # What only configures tools declares nothing.
    directory.used -= set() if used else {"setup.cfg"}
    directory.declares_nothing.add("setup.cfg")
    return {}


def _setup(directory: Directory, pythons: python.Pythons) -> Package:
    cfg = _cfg(directory)
    has_py = directory.has_file("setup.py")
    if not has_py and not cfg:
        return Package()
    source = directory.text_of("setup.py") if has_py else ""
    options = cfg.get("options", {})
    place = ("setup.cfg", options.get("python_requires"))
    pythons.add(*place)
    pythons.add("setup.py", python.of_setup(source))
    extras = {_extra(name) for name in cfg.get("options.extras_require", {})}
    known = extras | (_literal_extras(source) or set())
    computed = _literal_extras(source) is None
    return Package(
        file="setup.py" if has_py else "setup.cfg",
        name=cfg.get("metadata", {}).get("name", ""),
        is_built=True,
        is_dynamic=True,
        extras=None if computed else frozenset(known - {""}),
        names=frozenset(
            re.findall(r"(?m)^[ \t]*([A-Za-z][\w.-]*)", options.get("install_requires", ""))
        ),
    )


def _literal_extras(source: str) -> set[str] | None:
    """Return the names in a literal `extras_require`; None if they are computed.

    Of `fast:python_version < '4'`, the extra is `fast`; before the colon may be nothing.
    """
    if "setup(" not in source or "**" in source:
        return None if source else set()
    value = python.keyword(source, "extras_require")
    if value is None:
        return set()
    if not isinstance(value, ast.Dict):
        return None
    keys = [key.value for key in value.keys if isinstance(key, ast.Constant)]
    names = {_extra(key) for key in keys if isinstance(key, str)}
    return names if len(keys) == len(value.keys) else None


def _extra(key: str) -> str:
    return key.partition(":")[0].strip()


# ---- what the files refer to


def references(directory: Directory, package: Package) -> list[str]:
    """Return the files that a build needs to tell the dependencies, as far as they are named.

    These are the files that are named in pyproject.toml and setup.cfg, and in the code of
    setup.py, and the modules that setup.py imports.
    """
    if not package.is_dynamic:
        return []
    named: set[str] = set()
    if directory.has_file("pyproject.toml"):
        named |= set(_texts(directory.toml_of("pyproject.toml")))
    if directory.has_file("setup.cfg"):
        named |= set(re.findall(r"[\w./-]+", directory.text_of("setup.cfg")))
    if directory.has_file("setup.py"):
        named |= _named_in(directory.text_of("setup.py"))
    found = {name for name in named if _is_plain(name) and directory.has_file(name)}
    own = (*DECLARING, "MANIFEST.in", "PKG-INFO")
    return sorted(found | {name for name in own if directory.has_file(name)})


def _is_plain(name: str) -> bool:
    return bool(re.fullmatch(r"[\w-][\w./ -]*|\.[\w-]+", name)) and ".." not in name


def _texts(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [item for child in value.values() for item in _texts(child)]
    if isinstance(value, list):
        return [item for child in value for item in _texts(child)]
    return [value] if isinstance(value, str) else []


def _named_in(source: str) -> set[str]:
    """Return the texts in Python code, also joined in pairs, and the modules that it imports."""
    nodes = list(ast.walk(parsing.python(source)))
    texts = [n.value for n in nodes if isinstance(n, ast.Constant) and isinstance(n.value, str)]
    plain = {word.strip("/") for word in texts if len(word) < 100}
    joined = {f"{a}/{b}" for a in plain for b in plain if "." in b} if len(plain) < 60 else set()
    modules = [alias.name for n in nodes if isinstance(n, ast.Import) for alias in n.names]
    modules += [n.module for n in nodes if isinstance(n, ast.ImportFrom) and n.module]
    paths = {name.replace(".", "/") for name in modules}
    return plain | joined | {f"{path}.py" for path in paths} | {f"{p}/__init__.py" for p in paths}


def canonical(name: str) -> str:
    """Return a name as packages' names are compared."""
    return str(canonicalize_name(name))
