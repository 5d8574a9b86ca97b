"""A Docker engine of our own: one that all test processes share, and one that a test may kill.

As a program, with the folder that `shared` made, it is the shared engine's guard.
"""

import contextlib
import fcntl
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from imagekit.build import local
from imagekit.errors import EngineError

CLIENTS = [client for client in ("docker", "/usr/bin/docker") if shutil.which(client)]


def wait_until(condition, seconds=300):
    """What a condition gives, as soon as that is true; what it waits for may take long."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "it never came about"
        time.sleep(0.1)
    return found


def answers(client):
    with contextlib.suppress(EngineError):
        local.check_engine(client)
        return True
    return False


def any_answers():
    """Whether there is an engine at DOCKER_HOST, or where Docker looks by itself."""
    return any(answers(client) for client in CLIENTS)


def address(folder):
    return f"unix://{folder}/docker.sock"


@contextlib.contextmanager
def at(folder):
    """The engine of a folder is the one that clients ask."""
    before = os.environ.get("DOCKER_HOST")
    os.environ["DOCKER_HOST"] = address(folder)
    try:
        yield
    finally:
        os.environ.pop("DOCKER_HOST")
        if before is not None:
            os.environ["DOCKER_HOST"] = before


def make_folder():
    # Not among pytest's folders: what is still mounted there would spoil their removal.
    return pathlib.Path(tempfile.mkdtemp(prefix="imagekit-engine-"))


class Engine:
    """A Docker engine that may be killed and started again."""

    def __init__(self, folder):
        self.folder = folder
        self.process = None
        self.starts = 0

    def start(self):
        self.starts += 1
        # What an engine that was killed leaves of its run-time state would keep the next from
        # starting; after a reboot it would be gone, too.
        state = self.folder / f"state{self.starts}"
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [
                    *("dockerd", "--iptables=false", "--bridge=none"),
                    *("--host", address(self.folder)),
                    *("--data-root", str(self.folder / "data"), "--exec-root", str(state)),
                    *("--pidfile", str(self.folder / f"pid{self.starts}")),
                ],
                stdout=log,
                stderr=log,
            )

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self):
        self.process.terminate()
        self.process.wait(300)
        # An engine that was killed leaves its containerd and its mounts behind.
        for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
            with contextlib.suppress(OSError):
                started = str(self.folder).encode() in path.read_bytes()
                if started and int(path.parent.name) != os.getpid():
                    os.kill(int(path.parent.name), signal.SIGKILL)
        mounts = [line.split()[1] for line in pathlib.Path("/proc/mounts").read_text().splitlines()]
        for mount in reversed(mounts):
            if mount.startswith(f"{self.folder}/"):
                subprocess.run(["umount", "--lazy", mount], check=False)
        shutil.rmtree(self.folder, ignore_errors=True)


@contextlib.contextmanager
def shared(home):
    """The folder of the engine of all processes that name the same `home`; the first starts it.

    Each of them has a lock on a file, which it loses however it ends; when none has it any more,
    the guard stops the engine.
    """
    with (home / "engine.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        folder, users = _joined(home / "engine") or _started(home / "engine")
    with users, at(folder):
        yield folder


def _joined(link):
    """The engine that another process has started, unless it is being stopped."""
    with contextlib.suppress(OSError):
        folder = link.resolve(strict=True)
        users = (folder / "users").open()
        fcntl.flock(users, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return folder, users
    return None


def _started(link):
    folder = make_folder()
    users = (folder / "users").open("w")
    fcntl.flock(users, fcntl.LOCK_SH)
    # In a session of its own, so that Ctrl-C ends the tests first, which still use the engine.
    guard = ("setsid", "--fork", sys.executable, "-m", "tests.system.engine", str(folder))
    with (folder / "log").open("w") as log:
        root = pathlib.Path(__file__).parents[2]
        subprocess.run(guard, cwd=root, stdout=log, stderr=log, check=True)
    with at(folder):
        wait_until(any_answers)
    link.unlink(missing_ok=True)
    link.symlink_to(folder)
    return folder, users


def main(folder):
    """Start an engine, and stop it when nobody holds the lock on its `users` any more."""
    engine = Engine(folder)
    engine.start()
    with (folder / "users").open() as users:
        fcntl.flock(users, fcntl.LOCK_EX)
        engine.stop()


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
