"""Which rejections of a voice session concern the resource, and which only the session."""

from __future__ import annotations

import pytest

from agent_relay.core.protocol.session_refusal import RefusedSessionError, error_line, refused_session
from agent_relay.core.protocol.voice_events import ErrorEvent
from agent_relay.voice.voice_resources import pause_s


@pytest.mark.parametrize(
    ("line", "status", "pause"),
    [
        ("rate_limit_exceeded: Please try again in 7s.", 429, 7.0),
        ("too_many_requests: slow down", 429, 0.5),
        ("insufficient_quota: you exceeded your budget", 429, 10.0),
        ("unauthorized: token", 401, 10.0),
        ("agent_error: Authentication error to AI Agent service: Unauthorized", 401, 10.0),
        ("forbidden: no", 403, 10.0),
    ],
)
def test_refusals_that_concern_the_resource_pause_it(line: str, status: int, pause: float) -> None:
    error = refused_session(line)
    assert not isinstance(error, RefusedSessionError)
    assert (error.details["status"], pause_s(error)) == (status, pause)


@pytest.mark.parametrize(
    "line",
    [
        "agent_not_found: no such agent",
        "agent_initialization_failed: Failed to initialize the agent",
        "invalid_value: session.voice is forbidden",
        "x: y",
        ": ",
        "",
    ],
)
def test_refusals_of_the_content_pause_nothing(line: str) -> None:
    error = refused_session(line)
    assert isinstance(error, RefusedSessionError)
    assert pause_s(error) == 0
    assert error.remedy
    assert "role" not in error.remedy


def test_a_fault_of_the_service_is_retried() -> None:
    error = refused_session("server_error: The server had an error")
    assert not isinstance(error, RefusedSessionError)
    assert (error.retry, pause_s(error)) == (True, 0)


@pytest.mark.parametrize(
    ("code", "kind", "line"),
    [
        ("agent_not_found", "invalid_request_error", "agent_not_found: m"),
        ("", "server_error", "server_error: m"),
        ("slow_down", "rate_limit_error", "rate_limit_error: m"),
    ],
)
def test_the_type_replaces_a_less_specific_code(code: str, kind: str, line: str) -> None:
    assert error_line(ErrorEvent(code, "m", "", "", kind)) == line
