"""Converts pydantic errors into messages for operators."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

_WORDS: Final = {
    "missing": "is not set",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "string_type": "must be text (in YAML: in quotes)",
    "string_too_short": "must not be empty",
    "string_too_long": "must have {max_length} characters or fewer",
    "literal_error": "must be {expected}",
    "enum": "must be {expected}",
    "greater_than": "must be above {gt}",
    "greater_than_equal": "must be {ge} or more",
    "less_than": "must be below {lt}",
    "less_than_equal": "must be {le} or less",
    "dict_type": "must be a mapping (key: value)",
    "model_type": "must be a mapping (key: value)",
    "extra_forbidden": "is unknown",
}


def in_words(problem: Mapping[str, Any]) -> str:
    """For one of `ValidationError.errors()`; without the value, which may be a secret."""
    words = _WORDS.get(problem["type"])
    if words is None:
        return str(problem["msg"]).removeprefix("Value error, ")
    context = problem.get("ctx") or {}
    return words.format_map({name: _plain(value) for name, value in context.items()})


def _plain(value: object) -> object:
    """1 for 1.0."""
    return int(value) if isinstance(value, float) and value.is_integer() else value
