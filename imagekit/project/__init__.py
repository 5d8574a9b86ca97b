"""A code directory → its Dockerfile on a base image."""
