"""Build the site: `python docs/build.py [FOLDER [OPTION]...]` writes to `FOLDER/html`.

The default folder is `build/docs`, and options are Sphinx's. The site is built in a copy of the
project, because the notebooks write files when they are executed.
"""

import gc
import os
import pathlib
import re
import shutil
import sys
from collections.abc import Sequence

from sphinx.cmd.build import main as sphinx

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import generated
import pictures

ROOT = pathlib.Path(__file__).resolve().parent.parent
PARTS = ("config", "dockerfiles", "notebooks", "cloudbuild*.json", "pyproject.toml")
"""What the notebooks read. A large matrix has several build files."""
QUIET = 'c.IPKernelApp.log_level = "ERROR"\n'
"""ipykernel 7.3 and later warn about unencrypted connections each time a kernel starts."""


def build(folder: pathlib.Path, root: pathlib.Path = ROOT, more: Sequence[str] = ()) -> int:
    """Build the site of the checkout `root` into `folder/html` and return Sphinx's exit code.

    A failing notebook or any warning of Sphinx fails the build.
    """
    source = folder / "source"
    shutil.rmtree(source, ignore_errors=True)
    shutil.copytree(root / "docs", source, ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    shutil.copy(root / "docs" / "conf.py", source)
    for path in (found for part in PARTS for found in root.glob(part)):
        copy = shutil.copytree if path.is_dir() else shutil.copy
        copy(path, source / path.name)
    for name, text in generated.pages(root).items():
        (source / name).write_text(text, encoding="utf-8")
    draw(root, source)
    profile = folder / "ipython" / "profile_default"
    profile.mkdir(parents=True, exist_ok=True)
    (profile / "ipython_kernel_config.py").write_text(QUIET)
    os.environ["IPYTHONDIR"] = str(folder / "ipython")
    # Plain output, even if the caller's environment asks for interactive tables.
    os.environ["IMAGEKIT_INTERACTIVE"] = "0"
    options = ["-q", "-W", "--keep-going", "-E", "-d", str(folder / "doctrees"), *more]
    return sphinx([*options, "-b", "html", str(source), str(folder / "html")])


def draw(root: pathlib.Path, source: pathlib.Path) -> None:
    """Draw the pictures that the pages in `source` show."""
    (source / "pictures").mkdir()
    texts = "".join(page.read_text(encoding="utf-8") for page in source.rglob("*.md"))
    for name in sorted(set(re.findall(r"^```\{picture\} (\w+)$", texts, re.MULTILINE))):
        drawn = pictures.PICTURES[name](root)
        (source / "pictures" / f"{name}.html").write_text(drawn, encoding="utf-8")


if __name__ == "__main__":
    # Sphinx keeps most of what it makes: looking for garbage took a sixth of the time.
    gc.disable()
    target = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "build" / "docs"
    code = build(target.resolve(), more=sys.argv[2:])
    if code == 0:
        print(f"{os.path.relpath(target / 'html' / 'index.html')} is the start page of the site")
    sys.exit(code)
