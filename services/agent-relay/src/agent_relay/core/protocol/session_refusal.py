"""Classifies errors that reject a voice session on an open socket.

Rate limits, exhausted quotas and rejected credentials concern the resource: no call can use it for a while. All other
errors concern the session itself, for example an agent that does not exist or a field that is invalid.
"""

from __future__ import annotations

import re
from typing import Final

from agent_relay.core.protocol.rate_limits import is_rate_limit, wait_s
from agent_relay.core.protocol.voice_events import ErrorEvent
from bridge_common.base.errors import OutsideError

ATTEMPTS: Final = 2
"""Maximum number of consecutive sessions that a call opens although their content is rejected."""
AGAIN_S: Final = 1.0
"""Delay between these sessions. The error may have been a temporary fault of the service."""
EXHAUSTED_S: Final = 10.0
"""Duration of the pause of a resource whose quota is exhausted."""
_EXHAUSTED: Final = re.compile(r"insufficient_?quota|quota_?exceeded|billing", re.IGNORECASE)
_UNAUTHORIZED: Final = re.compile(r"unauthori[sz]ed|authentication|invalid_?(api_?)?key|^401$", re.IGNORECASE)
_FORBIDDEN: Final = re.compile(r"^(forbidden|permission_?denied|access_?denied|403)$", re.IGNORECASE)
_WRONG_TOKEN: Final = re.compile(r"authentication error|unauthorized to", re.IGNORECASE)
_AGENT: Final = re.compile(r"agent|project", re.IGNORECASE)
_MODEL: Final = re.compile(r"model|deployment", re.IGNORECASE)
_FIELD: Final = re.compile(
    r"session\.|invalid_(?:value|type|request)|unknown_parameter|missing_required", re.IGNORECASE
)


class RefusedSessionError(OutsideError):
    """The service rejected the content of the session. `remedy`: what to check."""

    def __init__(self, message: str, remedy: str) -> None:
        super().__init__(message, retry=True)
        self.remedy = remedy


def error_line(event: ErrorEvent) -> str:
    """Return `code: message`, for `refused_session`. The error's type replaces a missing code, and any code if the type
    is a rate limit.
    """
    code = event.kind if is_rate_limit(event.kind) else event.code or event.kind
    return f"{code}: {event.message}"


def refused_session(line: str) -> OutsideError:
    """Return the error for a rejected session. `line`: from `error_line`. The error has a `status` if it concerns the
    resource.
    """
    code, _, message = line.partition(": ")
    text = f"Voice Live refused the session: {line}"
    if (wait := wait_s(code, "", message)) is not None:
        return OutsideError(text, retry=True, status=429, retry_after_s=wait)
    if _EXHAUSTED.search(code):
        return OutsideError(text, retry=True, status=429, retry_after_s=EXHAUSTED_S)
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
    return "look up the code in the Voice Live documentation; other calls still use this resource"
