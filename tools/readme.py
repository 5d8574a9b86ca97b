"""The README's table of supported combinations, made from the config.

`make goldens` rewrites it; a test compares.
"""

import pathlib
import re

import imagekit
from imagekit.planning.rows import MARKS, label, rows

ROOT = pathlib.Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
BEGIN, END = "<!-- combinations: made by `make goldens` -->\n", "<!-- end of combinations -->\n"
NO_GPU = "no GPU"


def table():
    """Rows operating system and Python, columns CUDA: what is built, or the number of a reason."""
    config = imagekit.load(ROOT / "config" / "images.yaml")
    plan = imagekit.plan(config)
    found = [row for row in rows(imagekit.matrix(config), plan) if "python" in row.values]
    reasons = list(dict.fromkeys(row.reason for row in found if row.status != "built"))
    columns = [None, *config.gpu_versions]
    cells = {
        (row.values["base_image"], row.values["python"], row.values.get("gpu")): label("built")
        if row.status == "built"
        else f"{MARKS[row.status]} ({reasons.index(row.reason) + 1})"
        for row in found
    }
    heads = [NO_GPU, *(f"CUDA {args['CUDA']}" for args in config.gpu_versions.values())]
    lines = [
        "| operating system | Python | " + " | ".join(heads) + " |",
        "| --- " * (len(columns) + 2) + "|",
    ]
    for base, base_args in config.base_images.items():
        for python, args in config.python_versions.items():
            row = [cells.get((base, python, gpu), "") for gpu in columns]
            names = [base_args["BASE_IMAGE"].replace(":", " "), args["PYTHON_VERSION"]]
            lines.append("| " + " | ".join([*names, *row]) + " |")
    notes = [f"{number}. {reason}" for number, reason in enumerate(reasons, start=1)]
    return "\n".join([*lines, "", *notes]) + "\n"


def rewritten(text):
    """The README with the table as it is now."""
    pattern = re.escape(BEGIN) + ".*?" + re.escape(END)
    return re.sub(pattern, lambda _: f"{BEGIN}\n{table()}\n{END}", text, flags=re.DOTALL)


if __name__ == "__main__":
    README.write_text(rewritten(README.read_text(encoding="utf-8")), encoding="utf-8")
