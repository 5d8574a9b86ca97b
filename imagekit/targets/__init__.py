"""Output formats: each turns a plan into a document."""
