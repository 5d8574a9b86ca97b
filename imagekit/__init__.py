"""imagekit: one small config in, a correct `cloudbuild.json` and a recorded run out.

config = imagekit.load("config/images.yaml")
plan = imagekit.plan(config, only=["gpu-*"])
imagekit.write(imagekit.files(plan, config), "cloudbuild.json")
imagekit.to_pandas(plan).groupby("recipe").size()
"""

from typing import TYPE_CHECKING, Any

from imagekit.api import files, load, matrix, plan, render, write
from imagekit.support.extras import needed

if TYPE_CHECKING:
    import pandas as pd

__version__ = "0.1.0"
__all__ = ["__version__", "files", "load", "matrix", "plan", "render", "to_pandas", "write"]


def to_pandas(x: Any) -> "pd.DataFrame":
    """A matrix, a plan, changes, a build report or a history as a tidy DataFrame.

    See `imagekit.notebook.frames.to_pandas`. Raises MissingExtraError if pandas is not installed.
    """
    with needed("to_pandas", "run"):
        from imagekit.notebook import frames  # Not at the top: pandas takes long to load.
    return frames.to_pandas(x)
