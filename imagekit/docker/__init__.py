"""Docker's own language: names, Dockerfiles, path patterns, build contexts."""
