"""The program `imagekit`, which is `python -m imagekit`, too."""

import gc

COLLECT_AFTER = 2_000_000
"""New objects before Python looks for unreachable ones; by default it is 700, or 2,000."""


def main() -> None:
    """Run a command and exit with its exit code."""
    # A large plan is millions of objects without a cycle, and looking through them again and again
    # would take a third of the time. For a small one it would take a twentieth, as modules are
    # imported; so nothing is imported before.
    gc.set_threshold(COLLECT_AFTER)
    from imagekit.cli.app import main as run

    run()


if __name__ == "__main__":
    main()
