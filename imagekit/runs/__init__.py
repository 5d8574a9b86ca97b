"""Runs of notebooks: execution, records, run stores and their history."""
