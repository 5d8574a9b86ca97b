"""Recorded runs: what stays of each, where that lies, and what all of them say together."""
