"""`python -m imagekit`."""

from imagekit.cli.app import main

main()
