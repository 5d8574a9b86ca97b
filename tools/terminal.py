"""Run a command on a terminal as wide as a column of the site: `python tools/terminal.py COMMAND`.

A table that is printed to a pipe has all columns, whatever their width. On a terminal it is fitted,
and that is what somebody sees who runs the command.
"""

import fcntl
import os
import pathlib
import select
import struct
import subprocess
import sys
import termios

WIDTH = 90
"""The characters of a line that a page of the site shows without scrolling."""
QUIET = {"NO_COLOR": "1", "COLUMNS": str(WIDTH)}


def run(
    command: list[str], folder: pathlib.Path, environment: dict[str, str], width: int = WIDTH
) -> tuple[int, str]:
    """Run a command: its exit code, and what it prints on a terminal of so many columns.

    Raises CalledProcessError if a signal ended it, as what it printed is not the whole then.
    """
    own, other = os.openpty()
    fcntl.ioctl(other, termios.TIOCSWINSZ, struct.pack("HHHH", 50, width, 0, 0))
    given = {"stdin": subprocess.DEVNULL, "stdout": other, "stderr": other}
    given |= {"cwd": folder, "env": environment}
    printed = bytearray()
    with subprocess.Popen(command, **given) as process:
        # The terminal is kept open until all is read. On one that every process has closed, reading
        # is an error on Linux, which may come before what was printed last.
        while True:
            is_over = process.poll() is not None
            if select.select([own], [], [], 0.02)[0]:
                printed += os.read(own, 65_536)
            elif is_over:
                break
    os.close(other)
    os.close(own)
    if process.returncode < 0:
        raise subprocess.CalledProcessError(process.returncode, command, bytes(printed))
    return process.returncode, printed.decode().replace("\r\n", "\n")


def run_quietly(command: str, folder: pathlib.Path, environment: dict[str, str]) -> tuple[int, str]:
    """Run a command of bash: its exit code, and what it prints without color or trailing spaces."""
    code, printed = run(["bash", "-c", command], folder, environment | QUIET)
    return code, "\n".join(line.rstrip() for line in printed.split("\n"))


if __name__ == "__main__":
    code, said = run_quietly(sys.argv[1], pathlib.Path.cwd(), dict(os.environ))
    sys.stdout.write(said)
    sys.exit(code)
