"""A config's text in, everything that is derived from it out, with every problem."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from imagekit.config import check, cloudbuild, schema
from imagekit.config.schema import Config
from imagekit.docker import names
from imagekit.errors import ConfigError, Problem, UsageError, root_causes
from imagekit.planning.matrix import Matrix, expand
from imagekit.planning.plan import Plan, build_plan, not_built, select_images
from imagekit.planning.recipes import recipes_of
from imagekit.support.yaml_reader import Source, parse


class Checked(msgspec.Struct, frozen=True):
    """A config without errors, with what was derived from it and what deserves a look."""

    config: Config
    matrix: Matrix
    plan: Plan
    warnings: tuple[Problem, ...] = ()
    source: Source | None = None

    def locate(self, problem: Problem) -> Problem:
        """A problem with its place in the config's file, where it has a path into that."""
        return self.source.locate(problem) if self.source and problem.path else problem


def check_text(
    data: bytes, name: str, *, base_url: str | None = None, timeout: int | None = None
) -> Checked:
    """The config in a file's bytes, checked; `name` is what problems call the file.

    `base_url` and `timeout` (seconds) replace the file's own.
    """
    source = parse(data, name)
    loaded, problems = schema.config_from(source)
    return derive(_override(loaded, base_url, timeout), problems, source)


def select(checked: Checked, only: str | Sequence[str], skip: str | Sequence[str]) -> Plan:
    """Like `plan`, of a config that is checked already."""
    missing = not_built(checked.matrix)
    return select_images(checked.plan, as_list(only), as_list(skip), missing)


def as_list(globs: str | Sequence[str]) -> Sequence[str]:
    """One glob or several; papermill's command line hands over a single one as text."""
    found = [globs] if isinstance(globs, str) and globs else globs
    if not isinstance(found, Sequence) or not all(isinstance(glob, str) for glob in found):
        raise UsageError(f"{globs!r} is not a glob or a list of globs; put it in quotes")
    return list(found)


def derive(
    loaded: Config, problems: Iterable[Problem] = (), source: Source | None = None
) -> Checked:
    """A config's matrix and plan. Raises ConfigError with every problem, those given among them."""
    recipes_, recipe_problems = recipes_of(loaded)
    causes = [*problems, *check.check(loaded), *recipe_problems]
    matrix_, matrix_problems = expand(loaded, recipes_)
    plan_, plan_problems = build_plan(matrix_)
    every = [*causes, *matrix_problems, *plan_problems]
    found = root_causes(causes, every)
    located = [source.locate(problem) if source else problem for problem in found]
    errors = _in_order(problem for problem in located if problem.severity == "error")
    if errors:
        raise ConfigError(errors)
    return Checked(loaded, matrix_, plan_, tuple(_in_order(located)), source)


def _in_order(problems: Iterable[Problem]) -> list[Problem]:
    """Each problem once, in the file's order."""
    unique = {str(problem): problem for problem in problems}.values()
    return sorted(unique, key=lambda p: (p.place.line, p.place.column) if p.place else (0, 0))


def _override(loaded: Config, base_url: str | None, timeout: int | None) -> Config:
    changes: dict[str, object] = {}
    if base_url:
        if not names.is_repository(base_url):
            raise UsageError(f"base_url: {base_url!r} {names.invalid_reason(base_url)}")
        changes["base_url"] = base_url
    if timeout:
        amount = cloudbuild.seconds(str(timeout))
        if amount is None:
            message = f"{timeout} is not between 1 and {cloudbuild.MAX_TIMEOUT} seconds"
            raise UsageError(f"timeout: {message}")
        changes["cloudbuild"] = msgspec.structs.replace(loaded.cloudbuild, timeout=amount)
    return msgspec.structs.replace(loaded, **changes)
