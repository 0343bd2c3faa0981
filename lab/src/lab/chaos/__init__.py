"""Faults injected into a running fleet under marked calls, and what the callers noticed of them."""
