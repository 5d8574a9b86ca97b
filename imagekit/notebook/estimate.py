"""How long a plan takes to build, estimated from the last local build."""

from __future__ import annotations

import statistics

from imagekit.build import report as reports
from imagekit.build import timing
from imagekit.build.report import Report
from imagekit.docker.names import common_repository
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
    measured = _measured(report) if report else {}
    known: dict[str, dict[str, float]] = {}
    for one in (before, plan):
        for image in one.images if one else ():
            # A report may be of another repository, so only the short name counts.
            if one and (time := measured.get(one.reference(image.tag)) or measured.get(image.tag)):
                known.setdefault(image.recipe, {})[image.tag] = time
    if not known:
        return {}
    overall = statistics.median(time for times in known.values() for time in times.values())
    typical = {recipe: statistics.median(times.values()) for recipe, times in known.items()}
    return {
        image.tag: known.get(image.recipe, {}).get(image.tag) or typical.get(image.recipe, overall)
        for image in plan.images
    }


def _measured(report: Report) -> dict[str, float]:
    """The seconds of every image of a report, by its reference and by its short name."""
    found: dict[str, float] = {}
    for entry in report.steps:
        for reference in entry.images:
            found[reference] = found.get(reference, 0.0) + timing.seconds(entry)
    start = len(common_repository(found) or "")
    return found | {reference[start + 1 :]: time for reference, time in found.items() if start}


def duration(plan: Plan, report: Report | None, before: Plan) -> float | None:
    """The estimated time to build a plan like the last build, in seconds; None if unknown.

    `before` is the plan before the change.
    """
    seconds = seconds_of(plan, report, before)
    if report is None or not seconds:
        return None
    own = {image.tag for image in plan.images}
    images = [(i.tag, (i.parent,) if i.parent in own else (), seconds[i.tag]) for i in plan.images]
    return timing.forecast(images, report.jobs)
