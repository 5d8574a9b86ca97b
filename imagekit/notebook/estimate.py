"""How long a plan takes to build, estimated from the last local build."""

from __future__ import annotations

import statistics

from imagekit.build import report as reports
from imagekit.build import timing
from imagekit.build.report import Report
from imagekit.planning.plan import Plan


def last_build() -> Report | None:
    """The report of the last local build of this project; None if there is none."""
    try:
        return reports.read(reports.DEFAULT)
    except (OSError, ValueError):
        return None


def seconds_of(plan: Plan, report: Report | None, before: Plan | None = None) -> dict[str, float]:
    """The build time of each image by tag, in seconds: measured, or the median of its recipe.

    `before` is a plan whose images are known, too. Empty if the report knows none of the images.
    """
    measured: dict[str, float] = {}
    for entry in report.steps if report else ():
        for reference in entry.images:
            # A report may be of another repository, so only the short name counts.
            name = reference.rpartition(":")[2]
            measured[name] = measured.get(name, 0.0) + timing.seconds(entry)
    known: dict[str, dict[str, float]] = {}
    for image in (*(before.images if before else ()), *plan.images):
        if time := measured.get(image.tag.rpartition(":")[2]):
            known.setdefault(image.recipe, {})[image.tag] = time
    if not known:
        return {}
    overall = statistics.median(time for times in known.values() for time in times.values())
    typical = {recipe: statistics.median(times.values()) for recipe, times in known.items()}
    return {
        image.tag: measured.get(image.tag.rpartition(":")[2]) or typical.get(image.recipe, overall)
        for image in plan.images
    }


def duration(plan: Plan, report: Report | None, before: Plan) -> float | None:
    """The estimated time to build a plan like the last build, in seconds; None if unknown.

    `before` is the plan before the change.
    """
    seconds = seconds_of(plan, report, before)
    if report is None or not seconds:
        return None
    images = [(image.tag, image.parent, seconds[image.tag]) for image in plan.images]
    return timing.forecast(images, report.jobs)
