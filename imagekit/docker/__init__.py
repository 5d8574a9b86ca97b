"""Docker concepts: image names, Dockerfiles, path patterns, build contexts."""
