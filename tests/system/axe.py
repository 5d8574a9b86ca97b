"""What axe-core finds wrong with a page for people who see, hear or move in another way."""

import pathlib

import axe_playwright_python

SCRIPT = next(pathlib.Path(axe_playwright_python.__file__).parent.glob("**/axe.min.js"))
STRICT = ("serious", "critical")
RUN = """([within, options]) => axe.run(
    {include: within}, {resultTypes: ['violations'], preload: false, ...options}
).then(found => found.violations.map(({id, impact, nodes}) => ({id, impact, nodes:
    nodes.map(node => `${node.target.flat().join(' ')}: ${node.failureSummary}`)})))"""
COLORS = {"color-contrast": "data-new-text", "link-in-text-block": "data-new-link"}
"""The rules about colors, which take most of the time, and the attribute of what they look at."""
WEAK = ("focus-order-semantics", "hidden-content", "region")
"""Rules whose findings are moderate at most, and which take more time than others."""
LOOKS = """known => {
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
    const mark = (box, name, seen) => {
        box.toggleAttribute(name, !found.has(seen));
        found.add(seen);
    };
    const shown = box => box.checkVisibility({visibilityProperty: true});
    for (const box of document.querySelectorAll('body *')) {
        box.removeAttribute('data-new-text');
        if (![...box.childNodes].some(node => node.nodeType === 3 && node.data.trim())) continue;
        if (!shown(box)) continue;
        const {color, fontSize, fontWeight, textShadow} = getComputedStyle(box);
        mark(box, 'data-new-text', [color, fontSize, fontWeight, textShadow, look(box)].join(' '));
    }
    const letters = boxes => boxes.reduce((sum, box) => sum + box.textContent.trim().length, 0);
    const written = box => {
        const {color, font, textDecorationLine, borderBottom} = getComputedStyle(box);
        return [color, font, textDecorationLine, borderBottom, look(box)].join(' ');
    };
    for (const link of document.querySelectorAll('a[href]')) {
        link.removeAttribute('data-new-link');
        if (!shown(link)) continue;
        let block = link.parentElement;
        while (getComputedStyle(block).display.startsWith('inline')) block = block.parentElement;
        const isInText = letters([block]) > 2 * letters([...block.querySelectorAll('a')]);
        const inside = [...link.children].map(box => box.localName);
        mark(link, 'data-new-link', [isInText, inside, written(link), written(block)].join(' in '));
    }
    return [...found].slice(before);
}"""
"""JavaScript: marks a text of each look that is not `known`, and a link of each.

A text's look is its color, size and background; a link's is also that of the text around it.
"""


MARKED = """colors => axe.configure({rules: Object.entries(colors).map(
    ([id, mark]) => ({id, selector: `[${mark}]`}))})"""
"""JavaScript: the rules about colors look at nothing but what is marked."""


def load(page):
    if not page.evaluate("'axe' in window"):
        page.evaluate(SCRIPT.read_text(encoding="utf-8"))


def axe(page, within="html", **options):
    """The serious and critical findings on a page, a text for each element.

    `within` is the CSS selector of what is looked at, `options` are axe's own.
    """
    load(page)
    return [
        f"{rule['id']} ({rule['impact']}): {node}"
        for rule in page.evaluate(RUN, [[[within]], options])
        if rule["impact"] in STRICT
        for node in rule["nodes"]
    ]


def axe_once(page, known, every_rule=True):
    """What `axe` finds, where colors are looked at once for each look of a text or link.

    Looks that are in `known` have been looked at, on this page or another, and the page's others
    are added to it. Without `every_rule`, only the colors are looked at.
    """
    new = page.evaluate(LOOKS, [*known])
    known.update(new)
    if not new and not every_rule:
        return []
    load(page)
    page.evaluate(MARKED, COLORS)
    if every_rule:
        return axe(page, rules={name: {"enabled": False} for name in WEAK})
    return axe(page, runOnly=[*COLORS])
