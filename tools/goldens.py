"""Golden cases: what `imagekit generate` says and writes for a config.

A case is a folder `tests/golden/<subject>/<case>/` with a config (`config.yaml` or
`config.json`), perhaps `args` (more arguments, one a line), and what came of it: `output` (the
exit code, then standard output and standard error), and `cloudbuild.json` if one was written.
`make goldens` rewrites those; the tests only compare.
"""

import contextlib
import io
import pathlib
import shutil
import sys
import tempfile

from imagekit.cli.app import main
from tools.family import FAMILY, ROOT

FOLDER = ROOT / "tests" / "golden"
DOCKERFILES = FAMILY / "dockerfiles"
CASES = sorted(path for path in FOLDER.glob("*/*") if path.is_dir())
LIST = FOLDER / "cases.txt"
"""Every case by name: one that vanishes, or that a glob no longer finds, is noticed."""
WRITTEN = "cloudbuild*.json"
INPUTS = ("config.yaml", "config.json", "args", "before.json")


def run(case: pathlib.Path) -> dict[str, bytes]:
    """The files that a case's command leaves, with what it printed, in a folder of its own."""
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        here = pathlib.Path(folder)
        for name in INPUTS:
            if (case / name).exists():
                # before.json is the file that an earlier run left.
                shutil.copy(case / name, "cloudbuild.json" if name == "before.json" else name)
        pathlib.Path("dockerfiles").symlink_to(DOCKERFILES)
        config = next(here.glob("config.*")).name
        extra = (
            pathlib.Path("args").read_text().splitlines() if pathlib.Path("args").exists() else []
        )
        code, out, err = printed(["generate", "--config", config, *extra])
        written = {path.name: path.read_bytes() for path in here.glob(WRITTEN)}
        others = {path.name for path in here.iterdir()} - written.keys()
        assert others <= {*INPUTS, "dockerfiles"}, "a temporary file was left behind"
        output = f"exit {code}\n--- stdout\n{out}--- stderr\n{err}"
        return {"output": output.encode(), **written}


def printed(args: list[str]) -> tuple[int, str, str]:
    """What a command gives: its exit code, standard output and standard error."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main(args)
        except SystemExit as stop:
            code = stop.code
    return code, out.getvalue(), err.getvalue()


def names() -> list[str]:
    """The cases that are there, as the list has them."""
    return [str(case.relative_to(FOLDER)) for case in CASES]


def rewrite() -> None:
    """Make every golden what the code gives now. Look at the difference before committing it."""
    listed = LIST.read_text(encoding="utf-8").split() if LIST.exists() else []
    if gone := sorted(set(listed) - set(names())):
        sys.exit(f"{', '.join(gone)}: no such case; take it out of {LIST.name} if that is meant")
    LIST.write_text("\n".join(names()) + "\n", encoding="utf-8")
    for case in CASES:
        found = run(case)
        for path in (case / "output", *case.glob(WRITTEN)):
            path.unlink(missing_ok=True)
        for name, data in found.items():
            (case / name).write_bytes(data)


if __name__ == "__main__":
    rewrite()
