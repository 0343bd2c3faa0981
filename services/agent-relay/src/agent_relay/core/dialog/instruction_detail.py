"""The detail of an instruction (`entries.Instruct`), a JSON object as text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

import msgspec

Detail: TypeAlias = Mapping[str, Any]


def detail_of(text: str) -> Detail:
    """Decode the detail; return {} if it is not a JSON object."""
    try:
        found = msgspec.json.decode(text or "{}")
    except (msgspec.MsgspecError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def text_in(detail: Detail, name: str) -> str:
    """Return a text of the detail, "" if it is missing or not a text."""
    value = detail.get(name)
    return value if isinstance(value, str) else ""
