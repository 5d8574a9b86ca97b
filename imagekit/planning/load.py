"""Load and check a config, and derive its matrix and plan."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from imagekit.config import check, cloudbuild, schema
from imagekit.config.schema import Config
from imagekit.docker import names
from imagekit.errors import ConfigError, Problem, UsageError, root_causes
from imagekit.planning import check_names, check_recipes
from imagekit.planning.matrix import Matrix, expand
from imagekit.planning.plan import Plan, build_plan
from imagekit.planning.recipes import recipes_of
from imagekit.planning.select import not_built, select_images
from imagekit.support.yaml_reader import Source, parse


class Checked(msgspec.Struct, frozen=True):
    """A valid config with its matrix, plan and warnings."""

    config: Config
    """The config."""
    matrix: Matrix
    """The matrix of the config."""
    plan: Plan
    """The plan of all images."""
    warnings: tuple[Problem, ...] = ()
    """The warnings, in the order of the file."""
    source: Source | None = None
    """The parsed file; None for a config made in Python."""

    def locate(self, problem: Problem) -> Problem:
        """Return a problem with its position in the config file, if it has a path."""
        return self.source.locate(problem) if self.source and problem.path else problem


def check_text(
    data: bytes, name: str, *, base_url: str | None = None, timeout: int | None = None
) -> Checked:
    """Check the config in a file's bytes; `name` is the file's name in messages.

    `base_url` and `timeout` (seconds) override those of the file. Raises ConfigError with every
    problem, and UsageError if an override is invalid.
    """
    source = parse(data, name)
    loaded, problems = schema.config_from(source)
    given = _override(loaded, base_url, timeout)
    try:
        return derive(given, problems, source)
    except ConfigError as error:
        wrong = [problem for problem in error.problems if problem.path == ("base_url",)]
        if base_url and wrong and not any(one.path == ("base_url",) for one in problems):
            # The file has another one, so its line would be of no help.
            raise UsageError(f"base_url: {wrong[0].message}") from None
        raise


def select(checked: Checked, only: str | Sequence[str], skip: str | Sequence[str]) -> Plan:
    """Select images from the plan of a checked config, like `imagekit.plan`."""
    only_globs, skip_globs = as_list(only), as_list(skip)
    if not only_globs and not skip_globs:
        return checked.plan
    return select_images(checked.plan, only_globs, skip_globs, not_built(checked.matrix))


def as_list(globs: str | Sequence[str]) -> Sequence[str]:
    """Return globs as a list. Papermill's command line passes a single glob as text.

    Raises UsageError if they are something else.
    """
    values = [globs] if isinstance(globs, str) and globs else globs
    if not isinstance(values, Sequence) or not all(isinstance(glob, str) for glob in values):
        raise UsageError(f"{globs!r} is not a glob or a list of globs; put it in quotes")
    return list(values)


def derive(
    loaded: Config, problems: Iterable[Problem] = (), source: Source | None = None
) -> Checked:
    """Derive the matrix and plan of a config.

    Raises ConfigError with every error, including those in `problems`.
    """
    recipes_, recipe_problems = recipes_of(loaded)
    causes = [
        *problems,
        *check.check(loaded),
        *recipe_problems,
        *check_recipes.check(loaded, recipes_),
    ]
    matrix_, matrix_problems = expand(loaded, recipes_)
    plan_, plan_problems = build_plan(matrix_)
    name_problems = check_names.check(matrix_, plan_)
    roots = root_causes(causes, [*causes, *matrix_problems, *plan_problems, *name_problems])
    if matrix_problems:
        unclear = {cell.path for cell in matrix_.cells if cell.variant is None}
        roots = _without_images(roots, [p for p in matrix_problems if p.path[:2] in unclear])
    located = [source.locate(problem) if source else problem for problem in roots]
    errors = _in_order(problem for problem in located if problem.severity == "error")
    if errors:
        raise ConfigError(errors)
    return Checked(loaded, matrix_, plan_, tuple(_in_order(located)), source)


def _without_images(roots: list[Problem], entries: list[Problem]) -> list[Problem]:
    """Leave out what follows from entries that no recipe can be built for: they have no images."""
    causes = {*entries}
    left = root_causes([p for p in roots if p in causes], [p for p in roots if p not in causes])
    kept = {*left}
    return [problem for problem in roots if problem in causes or problem in kept]


def _in_order(problems: Iterable[Problem]) -> list[Problem]:
    """Return each problem once, in the order of the file."""
    unique = {str(problem): problem for problem in problems}.values()
    return sorted(unique, key=lambda p: (p.place.line, p.place.column) if p.place else (0, 0))


def _override(loaded: Config, base_url: str | None, timeout: int | None) -> Config:
    changes: dict[str, object] = {}
    if base_url:
        if not names.is_base(base_url):
            raise UsageError(f"base_url: {base_url!r} {names.invalid_reason(base_url)}")
        changes["base_url"] = base_url
    if timeout:
        amount = cloudbuild.seconds(str(timeout))
        if amount is None:
            message = f"{timeout} is not between 1 and {cloudbuild.MAX_TIMEOUT} seconds"
            raise UsageError(f"timeout: {message}")
        changes["cloudbuild"] = msgspec.structs.replace(loaded.cloudbuild, timeout=amount)
    return msgspec.structs.replace(loaded, **changes)
