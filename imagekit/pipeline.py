"""The pipeline as a list of calls: a file in, a checked config, its matrix, its plan, its text."""

from __future__ import annotations

import pathlib
import warnings
from collections.abc import Iterable, Sequence

import msgspec

from imagekit import cells, cloud, config, images, recipes, repository
from imagekit.cells import Matrix
from imagekit.config import Config
from imagekit.errors import ConfigError, ConfigWarning, Problem, UsageError, without_consequences
from imagekit.images import Plan
from imagekit.source import Source, parse
from imagekit.targets import cloudbuild
from imagekit.targets import files as build_files
from imagekit.targets.files import Files

DEFAULT_CONFIG = "config/images.yaml"
DEFAULT_BUILD_FILE = "cloudbuild.json"
"""What commands read and write where nobody says otherwise."""


class Checked(msgspec.Struct, frozen=True):
    """A config without errors, with what was derived from it and what deserves a look."""

    config: Config
    matrix: Matrix
    plan: Plan
    warnings: tuple[Problem, ...] = ()


def load(
    path: str | pathlib.Path, *, base_url: str | None = None, timeout: int | None = None
) -> Config:
    """The config in a YAML or JSON file.

    `base_url` and `timeout` (seconds) stand in for the file's own; "" and 0 are "not given",
    for a notebook's parameters have no None.
    Raises ConfigError with every problem of the whole file, each with its place, and UsageError
    where one of those two is wrong. What only deserves a look is warned of (ConfigWarning).
    """
    checked = check(path, base_url=base_url, timeout=timeout)
    for warning in checked.warnings:
        warnings.warn(str(warning), ConfigWarning, stacklevel=2)
    return checked.config


def check(
    path: str | pathlib.Path, *, base_url: str | None = None, timeout: int | None = None
) -> Checked:
    """Like `load`, with the matrix, the plan and the warnings too."""
    return check_text(_read(path), str(path), base_url=base_url, timeout=timeout)


def check_text(
    data: bytes, name: str, *, base_url: str | None = None, timeout: int | None = None
) -> Checked:
    """Like `check`, of a config that was read already; `name` is what problems call it."""
    source = parse(data, name)
    loaded, problems = config.config_from(source)
    return _derive(_override(loaded, base_url, timeout), problems, source)


def matrix(config: Config) -> Matrix:
    """Every combination of a config's axes: built, or not built for a reason."""
    return _derive(config).matrix


def plan(config: Config, *, only: str | Sequence[str] = (), skip: str | Sequence[str] = ()) -> Plan:
    """A config's images in build order, parents before children.

    `only` and `skip` are globs on tags and aliases; an image's parents come along.
    Raises ConfigError for a glob that matches nothing.
    """
    return select(_derive(config), only, skip)


def select(checked: Checked, only: str | Sequence[str], skip: str | Sequence[str]) -> Plan:
    """Like `plan`, of a config that is checked already."""
    missing = images.not_built(checked.matrix)
    return images.select(checked.plan, as_list(only), as_list(skip), missing)


def render(plan: Plan) -> str:
    """A plan as the text of one `cloudbuild.json`. Raises LimitError where it is too large."""
    return cloudbuild.render(plan)


def files(plan: Plan, path: str = DEFAULT_BUILD_FILE) -> Files:
    """A plan as build files, text by path: one, or as many as Cloud Build's limits make needed.

    Several are numbered, beside `path`, with a manifest of their order. Raises LimitError where
    Cloud Build would refuse what cannot be split.
    """
    return build_files.files(plan, str(path))


def as_list(globs: str | Sequence[str]) -> Sequence[str]:
    """One glob or several; papermill's command line hands over a single one as text."""
    found = [globs] if isinstance(globs, str) and globs else globs
    if not isinstance(found, Sequence) or not all(isinstance(glob, str) for glob in found):
        raise UsageError(f"{globs!r} is neither a glob nor a list of globs; write it in quotes")
    return list(found)


def _derive(
    loaded: Config, problems: Iterable[Problem] = (), source: Source | None = None
) -> Checked:
    recipes_, recipe_problems = recipes.recipes_of(loaded)
    causes = [*problems, *config.check(loaded), *recipe_problems]
    matrix_, matrix_problems = cells.expand(loaded, recipes_)
    plan_, plan_problems = images.arrange(matrix_)
    every = [*causes, *matrix_problems, *plan_problems]
    found = without_consequences(causes, every)
    located = [source.locate(problem) if source else problem for problem in found]
    errors = _in_order(problem for problem in located if problem.severity == "error")
    if errors:
        raise ConfigError(errors)
    return Checked(loaded, matrix_, plan_, tuple(_in_order(located)))


def _in_order(problems: Iterable[Problem]) -> list[Problem]:
    """Each problem once, in the file's order."""
    unique = {str(problem): problem for problem in problems}.values()
    return sorted(unique, key=lambda p: (p.place.line, p.place.column) if p.place else (0, 0))


def _override(loaded: Config, base_url: str | None, timeout: int | None) -> Config:
    changes: dict[str, object] = {}
    if base_url:
        if not repository.is_repository(base_url):
            raise UsageError(f"base_url: {base_url!r} {repository.no_repository(base_url)}")
        changes["base_url"] = base_url
    if timeout:
        amount = cloud.seconds(str(timeout))
        if amount is None:
            message = f"{timeout} is not between 1 and {cloud.MAX_TIMEOUT} seconds"
            raise UsageError(f"timeout: {message}")
        changes["cloudbuild"] = msgspec.structs.replace(loaded.cloudbuild, timeout=amount)
    return msgspec.structs.replace(loaded, **changes)


def _read(path: str | pathlib.Path) -> bytes:
    if not isinstance(path, str | pathlib.Path):
        raise UsageError(f"{path!r} is no path of a config; write it in quotes")
    try:
        return pathlib.Path(path).read_bytes()
    except OSError as error:
        message = f"{path}: cannot be read: {error.strerror}; name an existing config"
        raise ConfigError([Problem(message=message)]) from None
