"""Sphinx's settings for the site; `docs/build.py` runs it on a copy of the project."""

import pathlib

import msgspec
from docutils import nodes

project = "imagekit"
author = "the imagekit authors"
copyright = "the imagekit authors"  # noqa: A001 - Sphinx calls it so

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx_click"]
exclude_patterns = ["README.md", "html", "runs"]

html_theme = "furo"
html_title = "imagekit"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sphinx = False
# What the theme would show of a generated page's origin leads nowhere.
html_show_sourcelink = False

myst_heading_anchors = 3
myst_enable_extensions = ["colon_fence"]

# The notebooks are executed for the site. One that fails is warned of, with the cell and its
# error, and every warning fails the site; to raise would hide both behind Sphinx's own traceback.
nb_execution_mode = "force"
nb_execution_timeout = 300
nb_execution_show_tb = True
# Only a widget would need a script from elsewhere, and what is executed here shows none.
nb_ipywidgets_js = {}
# Machines read our media type from the notebook; people read the words beside it.
suppress_warnings = ["mystnb.unknown_mime_type"]

# It would make a dash of the two that an option begins with.
smartquotes = False

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_preserve_defaults = True


def setup(app):
    """Put pictures into the pages themselves, and the API's defaults into words."""
    app.connect("doctree-read", _inline_pictures)
    app.connect("autodoc-process-signature", _signature)


def _signature(_app, what, _name, obj, *more):
    """Show the default that a field's factory makes, for which Python has only `<factory>`."""
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
