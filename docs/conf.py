"""Sphinx configuration. `docs/build.py` runs Sphinx in a copy of the project."""

import html
import importlib.metadata
import pathlib

import msgspec
from docutils import nodes
from sphinx.util.docutils import SphinxDirective

import imagekit

project = "imagekit"
author = "the imagekit authors"
copyright = "the imagekit authors"  # noqa: A001 - the name that Sphinx reads

version = release = imagekit.__version__
URLS = dict(
    line.split(", ", 1) for line in importlib.metadata.metadata("imagekit").get_all("Project-URL")
)
"""The addresses of pyproject.toml, by name."""

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx_click", "sphinx_copybutton"]
exclude_patterns = ["README.md", "html", "runs", "pictures"]
templates_path = ["_templates"]

html_theme = "furo"
html_title = "imagekit"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_js_files = [("site.js", {"defer": "defer"})]
html_favicon = "_static/favicon.svg"
html_context = {"repository": URLS["Source"]}
html_theme_options = {
    "light_css_variables": {
        "color-brand-primary": "#1d5fbf",
        "color-brand-content": "#1d5fbf",
        "drawing-yes": "#d3f0dc",
        "drawing-on-yes": "#0a5527",
        "drawing-no": "#ebedf0",
        "drawing-on-no": "#535962",
    },
    "dark_css_variables": {
        "color-brand-primary": "#7fb2ff",
        "color-brand-content": "#7fb2ff",
        "drawing-yes": "#174a2b",
        "drawing-on-yes": "#a5efbd",
        "drawing-no": "#2a2d33",
        "drawing-on-no": "#b6bcc6",
    },
}
html_sidebars = {
    "**": [
        "sidebar/brand.html",
        "sidebar/version.html",
        "sidebar/search.html",
        "sidebar/scroll-start.html",
        "sidebar/navigation.html",
        "sidebar/scroll-end.html",
    ]
}
# Editors load the schema of the config from the site.
html_extra_path = [str(pathlib.Path(imagekit.__file__).with_name("imagekit.schema.json"))]
# The pages of the API list its names.
html_use_index = False
html_domain_indices = False
html_copy_source = False
html_show_sphinx = False
# The links to the sources of generated pages would be broken.
html_show_sourcelink = False

myst_heading_anchors = 3
myst_enable_extensions = ["attrs_block", "colon_fence"]

# Execute the notebooks. A failing notebook gives a warning with its cell and error, and warnings
# fail the build. `nb_execution_raise_on_error` shows Sphinx's own traceback instead.
nb_execution_mode = "force"
nb_execution_timeout = 300
nb_execution_show_tb = True
# Only widgets need scripts from other hosts, and the executed notebooks show none.
nb_ipywidgets_js = {}
# Outputs with imagekit's own media type also have a plain text form, which is shown.
suppress_warnings = ["mystnb.unknown_mime_type"]

# Copy what somebody types: commands without the prompt, and without what they print.
copybutton_prompt_text = "$ "
copybutton_copy_empty_lines = False
copybutton_line_continuation_character = "\\"
copybutton_exclude = ".linenos, .go"
copybutton_selector = "div.highlight:not(.cell_output *) > pre"

# Keep the two hyphens of an option; smart quotes turn them into a dash.
smartquotes = False

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_preserve_defaults = True


DESCRIBED = {"search": "Search the documentation of imagekit."}
"""The descriptions of pages without a text of their own."""
LONGEST = 160
"""The most characters of a description, which is what a search engine shows."""


def setup(app):
    """Inline pictures, describe pages, and show the defaults of Struct fields in signatures."""
    app.add_directive("picture", Picture)
    app.connect("doctree-read", _inline_pictures)
    app.connect("html-page-context", _describe)
    app.connect("autodoc-process-signature", _signature)


class Picture(SphinxDirective):
    """A picture that docs/build.py has drawn, by name."""

    required_arguments = 1

    def run(self):
        """Return the picture as HTML."""
        path = pathlib.Path(self.env.srcdir, "pictures", f"{self.arguments[0]}.html")
        return [nodes.raw("", path.read_text(encoding="utf-8"), format="html")]


def _describe(_app, page, _template, context, doctree):
    """Give a page the description that search engines and messengers show: its first paragraph."""
    text = DESCRIBED.get(page, "")
    if doctree is not None:
        first = next(filter(_is_prose, doctree.findall(nodes.paragraph)), None)
        text = " ".join((first or doctree).astext().split())
    if len(text) > LONGEST:
        text = f"{text[:LONGEST].rsplit(' ', 1)[0].rstrip(',;:')} …"
    facts = {"og:title": context.get("title", ""), "og:site_name": project, "og:type": "article"}
    facts = {("property", name): value for name, value in facts.items()}
    facts |= {("name", "description"): text, ("property", "og:description"): text}
    context["metatags"] = context.get("metatags", "") + "".join(
        f'\n<meta {kind}="{name}" content="{html.escape(html.unescape(value), quote=True)}">'
        for (kind, name), value in facts.items()
    )


def _is_prose(paragraph):
    return isinstance(paragraph.parent, nodes.section | nodes.document)


def _signature(_app, what, _name, obj, *more):
    """Show the value that a default factory returns instead of `<factory>`."""
    _options, signature, returns = more
    if what == "class" and signature and issubclass(obj, msgspec.Struct):
        for field in msgspec.structs.fields(obj):
            if field.default_factory is not msgspec.NODEFAULT:
                signature = signature.replace("<factory>", repr(field.default_factory()), 1)
    return signature, returns


def _inline_pictures(app, doctree):
    for image in list(doctree.findall(nodes.image)):
        if image["uri"].endswith(".svg"):
            path = pathlib.Path(app.srcdir, image["uri"].lstrip("/"))
            drawn = nodes.raw("", path.read_text(encoding="utf-8"), format="html")
            image.replace_self(nodes.container("", drawn, classes=["picture"]))
