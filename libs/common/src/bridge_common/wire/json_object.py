"""Decodes a JSON object from an untrusted sender."""

from __future__ import annotations

import json

from bridge_common.base.errors import InputError


def decode_object(text: str | bytes, what: str) -> dict[str, object]:
    """Return the JSON object. Its strings can be encoded as UTF-8. `what`: name of the text in error messages.

    Raises `InputError`.
    """
    try:
        found = json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{what} is not valid JSON") from error
    if not isinstance(found, dict):
        raise InputError(f"{what} is not a JSON object")
    try:
        json.dumps(found, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise InputError(f"{what} contains a lone surrogate; send the complete character") from error
    return found


def _refuse(constant: str) -> None:
    """Refuse `NaN` and `Infinity`, which the json module accepts."""
    raise ValueError(f"{constant} is not JSON")
