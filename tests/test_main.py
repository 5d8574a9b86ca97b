"""How the program starts and ends."""

import os
import pathlib
import shlex
import subprocess
import sys

import pytest

pytestmark = pytest.mark.edge

KEPT = """
import sys, threading, time
class Kept:
    def __del__(self):
        print("freed")
kept = Kept()
"""
RUN = """
from imagekit.__main__ import main
sys.argv = ["imagekit", "--version"]
main()
"""


def python(text, **options):
    # With it, nothing would be left to be written at the end.
    env = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    options = {"stdout": subprocess.PIPE, "env": env} | options
    return subprocess.run(
        [sys.executable, "-c", text], stderr=subprocess.PIPE, text=True, check=False, **options
    )


def test_python_is_set_up_before_the_program_imports_anything():
    text = """
import atexit, gc, sys
seen = []
class Finder:
    def find_spec(name, path, target=None):
        seen.append((name, gc.get_threshold()[0]))
sys.meta_path.insert(0, Finder)
atexit.register(lambda: print(*[name for name, after in seen if after < 2_000_000]))
"""
    done = python(text + RUN)
    first = [name for name in done.stdout.splitlines()[1].split() if name != "__future__"]
    assert first == ["imagekit", "imagekit.__main__"], done.stderr


def test_the_end_does_not_free_what_ends_with_the_process():
    done = python(KEPT + RUN)
    assert (done.returncode, done.stdout) == (0, done.stdout.splitlines()[0] + "\n"), done.stderr


@pytest.mark.parametrize(
    "observed",
    [
        "sys.settrace(eval('lambda *_: None', {}))",
        "sys.setprofile(eval('lambda *_: None', {}))",
        pytest.param(
            "sys.monitoring.use_tool_id(sys.monitoring.COVERAGE_ID, 'test')",
            marks=pytest.mark.skipif(sys.version_info < (3, 12), reason="is new in Python 3.12"),
        ),
        "import bdb",
        "threading.Thread(target=lambda: (time.sleep(0.5), print('worked'))).start()",
    ],
)
def test_who_observes_or_works_is_waited_for(observed):
    done = python(KEPT + observed + RUN)
    assert done.stdout.splitlines()[-1] == "freed", done.stderr
    assert ("worked" in done.stdout) == ("worked" in observed)


def test_the_prompt_of_python_comes_after_the_program():
    command = [sys.executable, "-i", "-m", "imagekit", "--version"]
    done = subprocess.run(command, input="print(6 * 7)", capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "42"


@pytest.mark.parametrize("module", ["cProfile", "coverage run"])
def test_profilers_and_coverage_tell_what_they_have_seen(module, tmp_path):
    command = [sys.executable, "-m", *module.split(), "-m", "imagekit", "--version"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "function calls" in done.stdout or pathlib.Path(tmp_path, ".coverage").exists()


def test_what_cannot_be_written_at_the_end_is_an_error():
    with pathlib.Path("/dev/full").open("w") as full:
        done = python("import atexit; atexit.register(print, 'x'); import sys" + RUN, stdout=full)
    assert done.returncode == 120  # Python's own.
    assert "No space left on device" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("closed", ["", ">&-", "2>&-", "<&- >&-", "<&- >&- 2>&-"])
def test_no_file_takes_the_place_of_a_closed_stream(closed, tmp_path):
    text = """
import subprocess, sys
from imagekit.cli.app import main
try: main(["--version"])
except SystemExit: pass
print("\\u2713", file=sys.stderr)
print("\\u2713", flush=True)
with open("found", "w") as file:
    writes = subprocess.run(["sh", "-c", "echo x && echo x >&2"]).returncode == 0
    print(file.fileno() > 2, writes, sys.stdin.read() == "", file=file)
"""
    # Python would take UTF-8 for ASCII.
    env = os.environ | {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    line = f"{shlex.quote(sys.executable)} -c {shlex.quote(text)} < /dev/null {closed}"
    command = ["bash", "-c", line]
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, check=False)
    assert (tmp_path / "found").read_text() == "True True True\n", done.stderr
