"""The console blocks of the documentation, rewritten with what the commands print now.

A page's YAML blocks whose first line is `# NAME.yaml` are written to that file, and its console
blocks are run in order in one folder, on a terminal that is as wide as a page's column. The tests
compare; `make goldens` rewrites.
"""

import contextlib
import os
import pathlib
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator

from tools import terminal
from tools.family import FAMILY, ROOT
from tools.goldens import printed

PAGES = sorted((ROOT / "docs").rglob("*.md"))
README = ROOT / "README.md"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", re.MULTILINE)
BROKEN = (
    "base_url: h/i\npython_versions: {py312: {PYTHON_VERSION: 3.12}}\n\nimagse: []\n"
    "\n\n\nimages:\n  - python: py31\n"
)
"""The configuration whose errors the README shows."""


def played(text: str, folder: pathlib.Path) -> Iterator[tuple[str, str, str]]:
    """Run a page's commands in a folder; each with what the page shows and what it printed.

    The folder has the configs, Dockerfiles and example runs of the tests' family.
    """
    for part in ("config", "dockerfiles", "notebooks/example-runs"):
        shutil.copytree(FAMILY / part, folder / part)
    environment = os.environ | {
        "PATH": f"{pathlib.Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "XDG_CACHE_HOME": str(folder / "cache"),
    }
    status = 0
    for kind, block in BLOCK.findall(text):
        if kind == "yaml" and block.startswith("# ") and block.split("\n")[0].endswith(".yaml"):
            (folder / block.split("\n")[0][2:]).write_text(block, encoding="utf-8")
        for command, shown in COMMAND.findall(block) if kind == "console" else ():
            if command == "echo $?":
                yield command, shown, f"{status}\n"
                continue
            if command.startswith("cd "):
                folder /= command.removeprefix("cd ")
                yield command, shown, ""
                continue
            status, now = terminal.run_quietly(command, folder, environment)
            yield command, shown, now


def rewrite_page(page: pathlib.Path) -> None:
    """Put what a page's commands print into the page."""
    text = page.read_text(encoding="utf-8")
    done = 0
    with tempfile.TemporaryDirectory() as folder:
        for command, shown, now in list(played(text, pathlib.Path(folder))):
            # The same command may be on the page again.
            done = text.index(f"$ {command}\n{shown}", done)
            end = done + len(f"$ {command}\n{shown}")
            text = f"{text[:done]}$ {command}\n{now}{text[end:]}"
            done += len(f"$ {command}\n{now}")
    page.write_text(text, encoding="utf-8")


def rewrite_readme() -> None:
    """Put the table of the README's example, and the errors of a broken one, into the README."""
    text = README.read_text(encoding="utf-8")
    blocks = BLOCK.findall(text)
    (example,) = [block for kind, block in blocks if kind == "yaml"]
    for word, config, arguments in (
        ("matrix", example, ["matrix", "--config", "mine.yaml"]),
        ("broken", BROKEN, ["generate", "--config", "broken.yaml"]),
    ):
        shown = next(block for kind, block in blocks if kind == "console" and word in block)
        with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
            pathlib.Path(arguments[-1]).write_text(config, encoding="utf-8")
            _, out, err = printed(arguments)
        text = text.replace(shown, f"{shown.splitlines()[0]}\n{out or err}", 1)
    README.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    rewrite_readme()
    for each in PAGES:
        rewrite_page(each)
