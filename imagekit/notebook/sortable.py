"""Tables that a person can sort and search.

A table is saved as the plain HTML that everybody can read. What makes it sortable is itables'
JavaScript: it comes with the package, goes to the front end once for each kernel, finds the
tables in the page, and is saved in no notebook. Where it cannot go, tables stay plain.
"""

from __future__ import annotations

import functools
import pathlib
from typing import Any

STYLE = """
.dt-container { font-size: var(--jp-ui-font-size1, 13px); }
.dt-container .dt-layout-row { margin: 0.4em 0; justify-content: flex-start; gap: 1em; }
.dt-container .dt-layout-cell { margin: 0; flex-wrap: wrap; gap: 0.5em; }
.dt-container .dt-layout-table { display: block; }
.jp-RenderedHTMLCommon .dt-container table.dataTable {
  table-layout: auto; width: max-content !important; margin-left: 0;
}
.dt-container .dt-layout-table .dt-layout-cell { overflow-x: auto; }
.dt-container select, .dt-container input {
  color: inherit; background: transparent; border: 1px solid currentColor;
}
.dt-container option { color: #000; background: #fff; }
"""
"""Controls stand to the left, where the table begins; their colours are those of the page.
JupyterLab lays tables out in columns of one width, which would cut off what is longer."""


@functools.cache
def send_library() -> Any:
    """Give the front end what makes tables sortable, once; None where that is not installed.

    The answer must be kept as long as tables are to be sortable, which the cache does.
    """
    try:
        import anywidget
        import traitlets
        from itables.utils import read_package_file
    except ImportError:
        return None

    class Library(anywidget.AnyWidget):  # type: ignore[misc]
        """Never shown: its model alone brings the code into the page."""

        _esm = pathlib.Path(__file__).with_name("tables.js").read_text(encoding="utf-8")
        _css = read_package_file("html/dt_bundle.css") + STYLE
        bundle = traitlets.Unicode(read_package_file("html/dt_bundle.js")).tag(sync=True)

    return Library()
