"""Sphinx configuration. `docs/build.py` runs Sphinx in a copy of the project."""

import pathlib

import msgspec
from docutils import nodes

import imagekit

project = "imagekit"
author = "the imagekit authors"
copyright = "the imagekit authors"  # noqa: A001 - the name that Sphinx reads

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx_click"]
exclude_patterns = ["README.md", "html", "runs"]

html_theme = "furo"
html_title = "imagekit"
html_static_path = ["_static"]
html_css_files = ["site.css"]
# Editors load the schema of the config from the site.
html_extra_path = [str(pathlib.Path(imagekit.__file__).with_name("imagekit.schema.json"))]
html_copy_source = False
html_show_sphinx = False
# The links to the sources of generated pages would be broken.
html_show_sourcelink = False

myst_heading_anchors = 3
myst_enable_extensions = ["colon_fence"]

# Execute the notebooks. A failing notebook gives a warning with its cell and error, and warnings
# fail the build. `nb_execution_raise_on_error` shows Sphinx's own traceback instead.
nb_execution_mode = "force"
nb_execution_timeout = 300
nb_execution_show_tb = True
# Only widgets need scripts from other hosts, and the executed notebooks show none.
nb_ipywidgets_js = {}
# Outputs with imagekit's own media type also have a plain text form, which is shown.
suppress_warnings = ["mystnb.unknown_mime_type"]

# Keep the two hyphens of an option; smart quotes turn them into a dash.
smartquotes = False

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_preserve_defaults = True


def setup(app):
    """Inline SVG images, and show the defaults of Struct fields in signatures."""
    app.connect("doctree-read", _inline_pictures)
    app.connect("autodoc-process-signature", _signature)


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
