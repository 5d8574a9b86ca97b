"""Sortable and searchable tables.

A table is saved as static HTML. The JavaScript of itables makes it sortable: it ships with the
package, is sent to the front end once per kernel, finds the tables in the page, and is not saved
in the notebook. If it cannot be sent, tables stay static.
"""

from __future__ import annotations

import functools
import pathlib
from typing import Any

STYLE = """
.dt-container { font-size: var(--jp-ui-font-size1, 13px); }
.dt-container .dt-layout-row {
  margin: 0.4em 0; justify-content: flex-start !important; gap: 1em;
}
.dt-container .dt-layout-cell {
  margin: 0 !important; flex-wrap: wrap; gap: 0.5em; flex-grow: 0 !important;
}
.dt-container .dt-layout-table { display: block; }
.dt-container table.dataTable { width: max-content !important; margin: 0 !important; }
.dt-container, .dt-container .dt-layout-row, .dt-container table {
  background: transparent !important;
}
.dt-container select, .dt-container input {
  color: inherit; background: transparent; border: 1px solid currentColor;
}
.dt-container option { color: #000; background: #fff; }
"""
"""Controls are left-aligned with the table and use the colours of the page. JupyterLab lays
tables out in columns of equal width, which would truncate long cells."""


@functools.cache
def send_library() -> Any:
    """Send the JavaScript that makes tables sortable to the front end; None if not installed.

    Tables are sortable as long as the returned object exists; the cache keeps it.
    """
    try:
        import anywidget
        import traitlets
        from itables.utils import read_package_file
    except ImportError:
        return None

    class Library(anywidget.AnyWidget):  # type: ignore[misc]
        """A widget that is never displayed; its model loads the code into the page."""

        _esm = pathlib.Path(__file__).with_name("tables.js").read_text(encoding="utf-8")
        _css = read_package_file("html/dt_bundle.css") + STYLE
        bundle = traitlets.Unicode(read_package_file("html/dt_bundle.js")).tag(sync=True)

    return Library()
