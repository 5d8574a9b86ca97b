"""A document → built images: the local Docker engine in the role of Google Cloud Build."""
