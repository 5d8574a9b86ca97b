"""The session of a notebook: whether it is interactive, progress bars, the working directory."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from imagekit.support import workspace

VARIABLE = "IMAGEKIT_INTERACTIVE"
"""Environment variable: 1 forces an interactive session, 0 a non-interactive one."""

Item = TypeVar("Item")


def is_interactive() -> bool:
    """Whether this notebook runs in an interactive front end.

    Every execute request says whether its front end can ask the user for input (`allow_stdin`
    of the kernel's messaging protocol). It is true for JupyterLab, VS Code and the console, and
    false for papermill, nbclient, nbval, nbconvert and myst-nb, even if a cell starts them.
    JPY_SESSION_NAME cannot be used: a Jupyter server sets it, and child processes inherit it.
    Outside a kernel the answer is False. IMAGEKIT_INTERACTIVE=1 or 0 overrides it.
    """
    forced = os.environ.get(VARIABLE, "")
    if forced in ("0", "1"):
        return forced == "1"
    request = _request()
    # Only an interactive front end shows widgets, whose events arrive as comm messages.
    return request.get("msg_type", "").startswith("comm_") or bool(
        request.get("content", {}).get("allow_stdin")
    )


def _request() -> Mapping[str, Any]:
    """The request that the kernel is processing; empty outside a kernel."""
    # In a kernel, IPython is always loaded.
    if "IPython" not in sys.modules:
        return {}
    from IPython import get_ipython

    kernel = getattr(get_ipython(), "kernel", None)
    request: Mapping[str, Any] = kernel.get_parent("shell") if kernel is not None else {}
    return request


def progress(
    iterable: Iterable[Item] | None = None, total: int | None = None, what: str = ""
) -> Any:
    """The iterable with a progress bar, which is removed at the end.

    The bar is a widget in an interactive notebook, a line if standard error is a terminal, and
    otherwise disabled. `total` is the number of steps of an iterable without a length; `what`
    is the label. Without an iterable, it is a context manager whose `update(n)` advances the
    bar.
    """
    in_notebook = is_interactive()
    shown = in_notebook or sys.stderr.isatty()
    return _bar(in_notebook)(iterable, total=total, desc=what, leave=False, disable=not shown)


def _bar(in_notebook: bool) -> Any:
    if in_notebook:
        try:
            import ipywidgets  # noqa: F401 - tqdm's notebook bar needs it
            from tqdm.notebook import tqdm as notebook_bar
        except ImportError:
            pass
        else:
            return notebook_bar
    from tqdm.std import tqdm

    return tqdm


def enter() -> None:
    """Change to the project's root, and let pandas show whole texts.

    papermill starts a notebook in the directory of its caller, JupyterLab in that of the
    notebook. From the root, relative paths are the same in both.
    """
    import pandas as pd

    os.chdir(workspace.root())
    pd.set_option("display.max_colwidth", None)
