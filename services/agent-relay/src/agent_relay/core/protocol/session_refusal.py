"""Errors that refuse a voice session on its open socket: which sessions they concern, and what to check.

Only codes that are known to concern the resource do: its rate, its budget, the credentials. An agent that cannot be had
or a field that was refused concerns the sessions that ask for it.
"""

from __future__ import annotations

import re
from typing import Final

from agent_relay.core.protocol.rate_limits import is_rate_limit, wait_s
from agent_relay.core.protocol.voice_events import ErrorEvent
from bridge_common.base.errors import OutsideError

ATTEMPTS: Final = 2
"""Sessions in a row that a call opens although their content is refused."""
AGAIN_S: Final = 1.0
"""Between them: the service may have been in trouble and said so badly."""
SPENT_S: Final = 10.0
"""A resource whose budget is spent is left alone for so long."""
_SPENT: Final = re.compile(r"insufficient_?quota|quota_?exceeded|billing", re.IGNORECASE)
_UNAUTHORIZED: Final = re.compile(r"unauthori[sz]ed|authentication|invalid_?(api_?)?key|^401$", re.IGNORECASE)
_FORBIDDEN: Final = re.compile(r"^(forbidden|permission_?denied|access_?denied|403)$", re.IGNORECASE)
_WRONG_TOKEN: Final = re.compile(r"authentication error|unauthorized to", re.IGNORECASE)
_AGENT: Final = re.compile(r"agent|project", re.IGNORECASE)
_MODEL: Final = re.compile(r"model|deployment", re.IGNORECASE)
_FIELD: Final = re.compile(
    r"session\.|invalid_(?:value|type|request)|unknown_parameter|missing_required", re.IGNORECASE
)


class RefusedSessionError(OutsideError):
    """The session was refused for what it asks for; `remedy` states what to check."""

    def __init__(self, message: str, remedy: str) -> None:
        super().__init__(message, retry=True)
        self.remedy = remedy


def error_line(event: ErrorEvent) -> str:
    """Code and message; some errors have a type only, and a rate limit may be reported as either."""
    code = event.kind if is_rate_limit(event.kind) else event.code or event.kind
    return f"{code}: {event.message}"


def refused_session(line: str) -> OutsideError:
    """`line`: of `error_line`. An error with a `status` concerns the resource."""
    code, _, message = line.partition(": ")
    text = f"Voice Live refused the session: {line}"
    if (wait := wait_s(code, "", message)) is not None:
        return OutsideError(text, retry=True, status=429, retry_after_s=wait)
    if _SPENT.search(code):
        return OutsideError(text, retry=True, status=429, retry_after_s=SPENT_S)
    if _UNAUTHORIZED.search(code) or _WRONG_TOKEN.search(message):
        return OutsideError(text, retry=False, status=401)
    if _FORBIDDEN.search(code):
        return OutsideError(text, retry=False, status=403)
    if "server_error" in line:
        return OutsideError(text, retry=True)
    return RefusedSessionError(text, _remedy(code, message))


def _remedy(code: str, message: str) -> str:
    if _AGENT.search(code):
        return "check AGENT_ID, AGENT_NAME and AGENT_PROJECT_NAME, and that the agent exists in this project"
    if _FIELD.search(code) or _FIELD.search(message):
        return "check the agent profile: the service does not accept one of its settings"
    if _MODEL.search(code):
        return "check VOICE_LIVE_MODEL, and that the resource's region offers it"
    return "look the code up in the documentation of Voice Live; other calls still use this resource"
