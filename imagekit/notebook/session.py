"""Whether a person sits in front of a notebook, and progress for those who do."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from imagekit.support import workspace

VARIABLE = "IMAGEKIT_INTERACTIVE"
"""Environment variable: 1 shows what is for a person in any case, 0 in none."""

Item = TypeVar("Item")


def watched() -> bool:
    """Whether a person sits in front of this notebook.

    A front end says with every cell that it sends whether its user could answer a question
    (`allow_stdin` of the kernel's messaging protocol). JupyterLab, VS Code and the console say
    yes; papermill, nbclient, nbval, nbconvert and myst-nb say no, also when they are started by
    a cell that a person runs and inherit its environment. That is why this does not look at
    JPY_SESSION_NAME, which only a Jupyter server sets, but for everything below it. Outside a
    kernel nobody watches a notebook. IMAGEKIT_INTERACTIVE=1 or 0 settles it either way.
    """
    forced = os.environ.get(VARIABLE, "")
    if forced in ("0", "1"):
        return forced == "1"
    request = _request()
    # What comes through a comm was done to a widget, which only a person's front end shows.
    return request.get("msg_type", "").startswith("comm_") or bool(
        request.get("content", {}).get("allow_stdin")
    )


def _request() -> Mapping[str, Any]:
    """The message that the kernel is just working on; nothing outside a kernel."""
    # Who has not loaded IPython is in no kernel.
    if "IPython" not in sys.modules:
        return {}
    from IPython import get_ipython

    kernel = getattr(get_ipython(), "kernel", None)
    found: Mapping[str, Any] = kernel.get_parent("shell") if kernel is not None else {}
    return found


def progress(
    iterable: Iterable[Item] | None = None, total: int | None = None, what: str = ""
) -> Any:
    """The iterable with a progress bar, which is gone when all is done.

    The bar is a widget where a person watches a notebook, a line where standard error is a
    terminal, and nothing elsewhere. `total` is the number of steps where the iterable cannot
    say, `what` stands before the bar. Without an iterable, it is a context manager whose
    `update(n)` moves the bar on.
    """
    in_notebook = watched()
    shown = in_notebook or sys.stderr.isatty()
    return _bar(in_notebook)(iterable, total=total, desc=what, leave=False, disable=not shown)


def _bar(in_notebook: bool) -> Any:
    if in_notebook:
        try:
            import ipywidgets  # noqa: F401 - without it, tqdm's notebook bar cannot be shown
            from tqdm.notebook import tqdm as notebook_bar
        except ImportError:
            pass
        else:
            return notebook_bar
    from tqdm.std import tqdm

    return tqdm


def enter() -> None:
    """Work from the project's root.

    papermill starts a notebook in its caller's directory, JupyterLab in the notebook's; paths
    in a notebook mean the same in both when they start at the root.
    """
    os.chdir(workspace.root())
