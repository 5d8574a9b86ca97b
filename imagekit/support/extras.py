"""Optional dependencies: what to install where one is missing."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from imagekit.errors import MissingExtraError


@contextlib.contextmanager
def needed(what: str, extra: str) -> Iterator[None]:
    """Import optional packages within; `what` needs them and `extra` has them.

    Raises MissingExtraError, with the command that installs the extra, where one is missing. An
    import that fails within imagekit itself is a bug and passes through.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] == "imagekit":
            raise
        message = f"{what} needs {error.name}, which is not installed"
        raise MissingExtraError(f"{message}; run pip install 'imagekit[{extra}]'") from None
