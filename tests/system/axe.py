"""What axe-core finds wrong with a page for people who see, hear or move in another way."""

import pathlib

import axe_playwright_python

SCRIPT = next(pathlib.Path(axe_playwright_python.__file__).parent.glob("**/axe.min.js"))
STRICT = ("serious", "critical")
RUN = """([within, options]) => axe.run(
    {include: within}, {resultTypes: ['violations'], preload: false, ...options}
).then(found => found.violations.map(({id, impact, nodes}) => ({id, impact, nodes:
    nodes.map(node => `${node.target.flat().join(' ')}: ${node.failureSummary}`)})))"""
CONTRAST = "color-contrast"
COLORS = """known => {
    const looks = new Map();
    const look = box => {
        if (!box) return '';
        if (!looks.has(box)) {
            const {backgroundColor, backgroundImage, opacity, position} = getComputedStyle(box);
            const own = [backgroundColor, backgroundImage, opacity, position].join();
            const plain = own === 'rgba(0, 0, 0, 0),none,1,static';
            looks.set(box, look(box.parentElement) + (plain ? '' : `/${own}`));
        }
        return looks.get(box);
    };
    const found = new Set(known), before = found.size;
    for (const box of document.querySelectorAll('body *')) {
        box.removeAttribute('data-new-colors');
        if (![...box.childNodes].some(node => node.nodeType === 3 && node.data.trim())) continue;
        if (!box.checkVisibility({visibilityProperty: true})) continue;
        const {color, fontSize, fontWeight, textShadow} = getComputedStyle(box);
        const text = [color, fontSize, fontWeight, textShadow, look(box)].join(' ');
        if (!found.has(text)) box.setAttribute('data-new-colors', '');
        found.add(text);
    }
    return [...found].slice(before);
}"""
"""JavaScript: marks one text of each color, size and background that is not `known`."""


def axe(page, within="html", **options):
    """The serious and critical findings on a page, a text for each element.

    `within` is the CSS selector of what is looked at, `options` are axe's own.
    """
    if not page.evaluate("'axe' in window"):
        page.evaluate(SCRIPT.read_text(encoding="utf-8"))
    return [
        f"{rule['id']} ({rule['impact']}): {node}"
        for rule in page.evaluate(RUN, [[[within]], options])
        if rule["impact"] in STRICT
        for node in rule["nodes"]
    ]


def all_but_contrast(page):
    """What `axe` finds by all rules but that of contrast, which takes most of the time."""
    return axe(page, rules={CONTRAST: {"enabled": False}})


def contrast(page, known):
    """The texts that cannot be told from their background, one of each look.

    Texts of one color, size and background are alike. Those that are in `known` have been looked
    at, on this page or another, and the page's others are added to it.
    """
    new = page.evaluate(COLORS, [*known])
    known.update(new)
    return axe(page, "[data-new-colors]", runOnly=[CONTRAST]) if new else []
