"""imagekit: one small config in, a correct `cloudbuild.json` and a recorded run out.

config = imagekit.load("config/images.yaml")
plan = imagekit.plan(config, only=["gpu-*"])
imagekit.write(imagekit.files(plan, config), "cloudbuild.json")
"""

from imagekit.api import files, load, matrix, plan, render, write

__version__ = "0.1.0"
__all__ = ["__version__", "files", "load", "matrix", "plan", "render", "write"]
