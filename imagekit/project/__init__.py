"""Generate the Dockerfile of a code directory."""
