"""Run a command on a terminal as wide as a column of the site: `python tools/terminal.py COMMAND`.

A table that is printed to a pipe has all columns, whatever their width. On a terminal it is fitted,
and that is what somebody sees who runs the command.
"""

import contextlib
import fcntl
import os
import struct
import subprocess
import sys
import termios

WIDTH = 90
"""The characters of a line that a page of the site shows without scrolling."""
QUIET = {"NO_COLOR": "1", "COLUMNS": str(WIDTH)}


def run(command: str) -> int:
    """Run a command of bash, print what it prints without trailing spaces, return its exit code."""
    own, other = os.openpty()
    fcntl.ioctl(other, termios.TIOCSWINSZ, struct.pack("HHHH", 50, WIDTH, 0, 0))
    given = {"stdin": subprocess.DEVNULL, "stdout": other, "stderr": other}
    with subprocess.Popen(["bash", "-c", command], env=os.environ | QUIET, **given) as process:
        os.close(other)
        printed = bytearray()
        # When the last process has closed the terminal, reading from it is an error on Linux.
        with contextlib.suppress(OSError):
            while part := os.read(own, 65_536):
                printed += part
    os.close(own)
    lines = printed.decode().replace("\r\n", "\n").split("\n")
    sys.stdout.write("\n".join(line.rstrip() for line in lines))
    return process.returncode


if __name__ == "__main__":
    sys.exit(run(sys.argv[1]))
