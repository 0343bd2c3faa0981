"""Checks of JSON values of any type, including lists and objects, which are not hashable."""

from __future__ import annotations

from collections.abc import Collection

from lab.voice_live.server_events import RefusedError


def is_one_of(value: object, allowed: Collection[str] | Collection[int]) -> bool:
    return isinstance(value, str | int) and not isinstance(value, bool) and value in allowed


def is_number(value: object, low: float, high: float) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high


def is_whole(value: object, low: int, high: int) -> bool:
    return isinstance(value, int) and is_number(value, low, high)


def bad_session_value(param: str, wanted: str) -> RefusedError:
    return RefusedError(f"'{param}' must be {wanted}", "invalid_session_update_message", param)


def unexpected(param: str) -> RefusedError:
    text = f"'{param}' unexpected (extra fields not permitted)"
    return RefusedError(text, "invalid_session_update_message", param)
