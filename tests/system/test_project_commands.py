"""A code directory in the container of its image, on the real engine."""

import os
import subprocess
import sys

from tests.system.conftest import run

CODE = """\
import os, sys
print(sys.argv[1:], os.environ["WORD"], os.getuid(), sys.stdin.read())
open("made", "w").write("x")
sys.exit(3)
"""


def test_a_program_runs_on_the_code_as_it_is(docker, bases, tmp_path):
    base, image = "imagekit.test/python:1", "imagekit.test/started:1"
    text = "FROM imagekit.test/ubuntu:bookworm\nRUN ln -s python3 /usr/bin/python"
    run("sh", "-c", f"echo '{text}' | DOCKER_BUILDKIT=1 {docker} build --network host -t {base} -")
    folder = tmp_path / "a, b"
    folder.mkdir()
    os.chown(folder, 1234, 1234)
    (folder / "train.py").write_text(CODE)
    command = [
        *(sys.executable, "-m", "imagekit", "project", "run", str(folder), "--base", base),
        *("--docker", docker, "--network", "host", "-t", image, "--uid", "1234", "--gid", "1234"),
        *("--script", "train.py", "--env", "WORD", "--quiet", "--", "--epochs", "3"),
    ]
    try:
        for change in ("", "print('changed')\n"):
            # The code is mounted: even without building again, the change would be there.
            (folder / "train.py").write_text(change + CODE)
            done = subprocess.run(
                command,
                env=os.environ | {"WORD": "one two"},
                input="given",
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 3, done.stderr
            said = "changed\n" if change else ""
            assert done.stdout == f"{said}['--epochs', '3'] one two 1234 given\n"
        made = (folder / "made").stat()
        assert (made.st_uid, made.st_gid) == (1234, 1234)
    finally:
        run(docker, "image", "rm", "--force", image, base)
