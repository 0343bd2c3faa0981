"""Input of operators: validation errors of pydantic as messages, and files whose paths are in settings."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from bridge_common.base.errors import InputError

_WORDS: Final = {
    "missing": "is not set",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "string_type": "must be a string (in YAML: in quotes)",
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
    """Return a message for one of `ValidationError.errors()`, without the value, which may be a secret."""
    words = _WORDS.get(problem["type"])
    if words is None:
        return str(problem["msg"]).removeprefix("Value error, ")
    context = problem.get("ctx") or {}
    return words.format_map({name: _plain(value) for name, value in context.items()})


def _plain(value: object) -> object:
    """Format a whole number without decimals: 1 for 1.0."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def read_setting_file(path: Path, most_bytes: int) -> bytes:
    """Read a regular file. Other files are rejected, because reading a device or a pipe might never end.

    Raises `InputError`, whose message does not repeat the path.
    """
    try:
        # Without O_NONBLOCK, opening a pipe waits for a writer.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise InputError("cannot be read: it is not a regular file")
            content = file.read(most_bytes + 1)
    except (OSError, ValueError) as error:
        # `ValueError`: a null character in the path.
        raise InputError(f"cannot be read: {getattr(error, 'strerror', None) or error}") from error
    if len(content) > most_bytes:
        raise InputError(f"cannot be read: it has more than {most_bytes} bytes")
    return content
