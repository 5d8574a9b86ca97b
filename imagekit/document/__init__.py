"""Build files: from a plan, split, as triggers, and back into steps."""
