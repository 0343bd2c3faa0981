"""The routing policy of a YAML file."""

from __future__ import annotations

from pathlib import Path

from bridge_common.base.errors import InputError
from bridge_common.service.setting_input import read_setting_file
from call_control.core.policy.policy_text import MAX_BYTES, policy_of_text
from call_control.core.policy.routing_policy import Policy, PolicyError


def load_policy(path: Path) -> Policy:
    """Raises `PolicyError` that names every mistake."""
    try:
        text = read_setting_file(path, MAX_BYTES)
    except InputError as error:
        raise PolicyError([error.message]) from error
    return policy_of_text(text)
