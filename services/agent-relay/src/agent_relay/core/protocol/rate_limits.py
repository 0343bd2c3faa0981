"""Rate-limit errors of a model, and how long to wait before the next request.

Only the error's message states the wait: OpenAI writes "Please try again in 1.5s" (also `250ms`, `20 s`, `1m12s`),
Azure writes "Please retry after 20 seconds". Some gateways add a `retry_after` or `Retry-After` field.
"""

from __future__ import annotations

import re
from typing import Final

_PHRASE: Final = re.compile(
    r"\b(?:try\s+again|retry)\s+(?:in|after)\s+(?:about\s+)?"
    r"|\b(?P<field>retry[-_]after)(?P<ms>[-_]ms)?[\"']?\s*[:=]?\s*[\"']?",
    re.IGNORECASE,
)
_STEP: Final = re.compile(
    r"[\s,]*(?:and\s+)?(\d{1,9}(?:\.\d+)?)\s*"
    r"(milliseconds?|millis|msecs?|ms|seconds?|secs?|s|minutes?|mins?|m|hours?|hrs?|h)(?![a-z])",
    re.IGNORECASE,
)
_BARE: Final = re.compile(r"(\d{1,9}(?:\.\d+)?)(?![\w]|\.\d)")
_END: Final = re.compile(r"\s*(?:[^\w\s]|$)")
_NOT_ALPHANUMERIC: Final = re.compile(r"[^a-z0-9]")


def is_rate_limit(code_or_type: str) -> bool:
    """Return whether an error code or type means a rate limit, so that waiting helps. `insufficient_quota` does not:
    the account's budget is exhausted, not its rate.
    """
    name = _NOT_ALPHANUMERIC.sub("", code_or_type.lower())
    return "ratelimit" in name or "toomanyrequests" in name or name == "429"


def wait_s(code: str, kind: str, message: str) -> float | None:
    """Return the seconds to wait after an error, 0 if it states no time; None if it is not a rate limit.

    `kind`: the error's type.
    """
    if not is_rate_limit(code) and not is_rate_limit(kind):
        return None
    return retry_hint_s(message) or 0.0


def retry_hint_s(message: str) -> float | None:
    """Return the seconds to wait that the message states, None if it states none."""
    for phrase in _PHRASE.finditer(message):
        found = _duration_s(message, phrase.end())
        if found is None and (bare := _BARE.match(message, phrase.end())):
            # A number alone is in the unit of its field; in a sentence it must not be followed by a word.
            if phrase["field"]:
                found = float(bare[1]) * (0.001 if phrase["ms"] else 1.0)
            elif _END.match(message, bare.end()):
                found = float(bare[1])
        if found is not None:
            return found
    return None


def _duration_s(message: str, at: int) -> float | None:
    total: float | None = None
    while step := _STEP.match(message, at):
        total = (total or 0.0) + float(step[1]) * _unit_s(step[2].lower())
        at = step.end()
    return total


def _unit_s(unit: str) -> float:
    if unit.startswith(("ms", "mil")):
        return 0.001
    return {"s": 1.0, "m": 60.0, "h": 3600.0}[unit[0]]
