"""Build files that are executed, on this machine or at Cloud Build."""
