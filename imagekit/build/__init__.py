"""Run build files, locally or on Cloud Build."""
