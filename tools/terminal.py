"""Run a command on a terminal as wide as a column of the site: `python tools/terminal.py COMMAND`.

A table that is printed to a pipe has all columns, whatever their width. On a terminal it is fitted,
and that is what somebody sees who runs the command.
"""

import contextlib
import fcntl
import os
import pathlib
import struct
import subprocess
import sys
import termios

WIDTH = 90
"""The characters of a line that a page of the site shows without scrolling."""
QUIET = {"NO_COLOR": "1", "COLUMNS": str(WIDTH)}


def run(command: str, folder: pathlib.Path, environment: dict[str, str]) -> tuple[int, str]:
    """Run a command of bash: its exit code, and what it prints without trailing spaces."""
    own, other = os.openpty()
    fcntl.ioctl(other, termios.TIOCSWINSZ, struct.pack("HHHH", 50, WIDTH, 0, 0))
    given = {"stdin": subprocess.DEVNULL, "stdout": other, "stderr": other}
    given |= {"cwd": folder, "env": environment | QUIET}
    with subprocess.Popen(["bash", "-c", command], **given) as process:
        os.close(other)
        printed = bytearray()
        # When the last process has closed the terminal, reading from it is an error on Linux.
        with contextlib.suppress(OSError):
            while part := os.read(own, 65_536):
                printed += part
    os.close(own)
    lines = printed.decode().replace("\r\n", "\n").split("\n")
    return process.returncode, "\n".join(line.rstrip() for line in lines)


if __name__ == "__main__":
    code, said = run(sys.argv[1], pathlib.Path.cwd(), dict(os.environ))
    sys.stdout.write(said)
    sys.exit(code)
