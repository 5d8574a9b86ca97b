"""Commands that rewrite files of the repository: goldens, notebooks, tables."""
