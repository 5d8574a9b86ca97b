"""`python -m imagekit`."""

from imagekit.cli import main

main()
