"""What axe-core finds wrong with a page for people who see, hear or move in another way."""

import pathlib

import axe_playwright_python

SCRIPT = next(pathlib.Path(axe_playwright_python.__file__).parent.glob("**/axe.min.js"))
STRICT = ("serious", "critical")
RUN = """([within, rules]) => axe.run(
    {include: within}, {resultTypes: ['violations'], preload: false, ...rules}
).then(found => found.violations.map(({id, impact, nodes}) => ({id, impact, nodes:
    nodes.map(node => `${node.target.flat().join(' ')}: ${node.failureSummary}`)})))"""


def axe(page, within="html", rules=()):
    """The serious and critical findings on a page, a text for each element.

    `within` is the CSS selector of what is looked at; with `rules`, only these rules are applied.
    """
    if not page.evaluate("'axe' in window"):
        page.evaluate(SCRIPT.read_text(encoding="utf-8"))
    only = {"runOnly": {"type": "rule", "values": [*rules]}} if rules else {}
    found = page.evaluate(RUN, [[[within]], only])
    return [
        f"{rule['id']} ({rule['impact']}): {node}"
        for rule in found
        if rule["impact"] in STRICT
        for node in rule["nodes"]
    ]
