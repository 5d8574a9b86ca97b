"""imagekit: one small config in, a correct `cloudbuild.json` and a recorded run out.

config = imagekit.load("config/images.yaml")
plan = imagekit.plan(config, only=["gpu-*"])
imagekit.write(imagekit.files(plan, config), "cloudbuild.json")
imagekit.to_pandas(plan).groupby("recipe").size()
"""

from __future__ import annotations

TYPE_CHECKING = False  # Type checkers take it for true. Importing it from typing takes 5 ms.
if TYPE_CHECKING:
    from typing import Any

    import pandas as pd

    from imagekit.api import files, load, matrix, plan, render, write
else:

    def __getattr__(name):
        """What `imagekit.api` has, or imports, on first use: programs set up Python before it."""
        import importlib

        if not name.startswith("_"):
            api = importlib.import_module("imagekit.api")
            if name in __all__:
                return getattr(api, name)
            if name in globals():
                return globals()[name]
        raise AttributeError(f"module 'imagekit' has no attribute {name!r}")


__version__ = "0.1.0"
__all__ = ["__version__", "files", "load", "matrix", "plan", "render", "to_pandas", "write"]


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def to_pandas(x: Any) -> pd.DataFrame:
    """A matrix, a plan, changes, a build report or a history as a tidy DataFrame.

    See `imagekit.notebook.frames.to_pandas`. Raises MissingExtraError if pandas is not installed.
    """
    from imagekit.support.extras import needed

    with needed("to_pandas", "run"):
        from imagekit.notebook import frames  # Not at the top: pandas takes long to load.
    return frames.to_pandas(x)
