"""Measurements of the parts, side by side with their alternatives: `python -m bench [name ...] [--json FILE]`."""
