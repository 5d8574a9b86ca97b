"""General helpers: YAML with positions, files, git, the project root."""
