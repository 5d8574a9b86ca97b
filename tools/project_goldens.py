"""Golden cases of `imagekit dockerfile`: a code directory, and the Dockerfile that comes of it.

A case is a folder `tests/projects/<case>/` with `project/`, the directory; `args`, the command's
words, one argument a line; and what came of it: `Dockerfile` if one was printed, and `said` (the
exit code and standard error). `make goldens` rewrites those; the tests only compare.
"""

import contextlib
import pathlib
import shutil
import tempfile

from tools.goldens import printed

FOLDER = pathlib.Path(__file__).resolve().parent.parent / "tests" / "projects"
CASES = sorted(path for path in FOLDER.iterdir() if path.is_dir())
OUTPUTS = ("Dockerfile", "said")


def run(case: pathlib.Path) -> dict[str, str]:
    """What a case's command prints, in a copy of the directory that is called like it."""
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        # git keeps no empty folder.
        if (case / "project").exists():
            shutil.copytree(case / "project", "project", symlinks=True)
        else:
            pathlib.Path("project").mkdir()
        shutil.copy(FOLDER / "matrix.yaml", "matrix.yaml")
        args = [arg for arg in (case / "args").read_text(encoding="utf-8").splitlines() if arg]
        who = [] if "--uid" in args else ["--uid", "1000", "--gid", "1000"]
        command = ["dockerfile", "project", "--config", "matrix.yaml", *who, *args]
        code, out, err = printed(command)
        found = {"said": f"exit {code}\n{err}"}
        return found | ({"Dockerfile": out} if out else {})


def rewrite() -> None:
    """Make every golden what the code gives now. Look at the difference before committing it."""
    for case in CASES:
        for name in OUTPUTS:
            (case / name).unlink(missing_ok=True)
        for name, text in run(case).items():
            (case / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    rewrite()
