"""The routing policy of a YAML file."""

from __future__ import annotations

from pathlib import Path

from call_control.core.policy.policy_text import policy_of_text
from call_control.core.policy.routing_policy import Policy, PolicyError


def load_policy(path: Path) -> Policy:
    """Raises `PolicyError` that names every mistake."""
    try:
        text = path.read_bytes()
    except OSError as error:
        raise PolicyError([f"cannot be read: {error.strerror}"]) from error
    return policy_of_text(text)
