"""The program `imagekit`, which is `python -m imagekit`, too."""

import gc
import sys

COLLECT_AFTER = 2_000_000
"""New objects before Python looks for unreachable ones; by default it is 700, or 2,000."""


def main() -> None:
    """Run a command and exit with its exit code."""
    # A large plan is millions of objects without a cycle, and looking through them again and again
    # would take a third of the time. For a small one it would take a twentieth, as modules are
    # imported; so nothing is imported before.
    gc.set_threshold(COLLECT_AFTER)
    from imagekit.cli.app import main as run

    try:
        run()
    except SystemExit as end:
        if isinstance(end.code, int):
            _exit_at_once(end.code)
        raise


def _exit_at_once(code: int) -> None:
    """Exit without freeing each object and module, which takes Python a quarter of a short command.

    Returns if that would lose something: output that cannot be written, the work of a thread, the
    prompt of `python -i`, or what a debugger, a profiler or coverage has seen.
    """
    import atexit
    import os
    import threading

    monitoring = getattr(sys, "monitoring", None)  # Since Python 3.12.
    tools = monitoring and any(map(monitoring.get_tool, range(6)))
    if tools or sys.gettrace() or sys.getprofile() or "bdb" in sys.modules or sys.flags.inspect:
        return
    if threading.active_count() > 1:
        return
    atexit._run_exitfuncs()
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except (OSError, ValueError):
        return  # Python fails once more, and says so.
    os._exit(code)


if __name__ == "__main__":
    main()
