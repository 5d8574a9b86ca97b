"""Build files: generate them from a plan, split them, read them back, and make triggers."""
