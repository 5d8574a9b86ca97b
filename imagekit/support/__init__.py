"""What knows nothing of images: YAML with positions, files, git, the project's root."""
