"""Builds on Google Cloud Build, through gcloud or Google's library."""
