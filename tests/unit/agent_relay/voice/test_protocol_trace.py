"""Events of Voice Live in the log: at DEBUG, without audio, and without words unless they are enabled."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from agent_relay.core.protocol.voice_events import (
    AgentTranscriptDone,
    AudioDelta,
    FunctionCall,
    Other,
    ServerEvent,
    SpeechStarted,
    create_message,
    truncate_item,
    update_session,
)
from agent_relay.voice import protocol_trace
from bridge_common.base import log


def shown(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    return [vars(record)["bridge_fields"] for record in caplog.records]


def test_without_debug_there_is_no_overhead(caplog: pytest.LogCaptureFixture) -> None:
    heard: list[ServerEvent] = []
    take = heard.append
    with caplog.at_level(logging.INFO):
        assert protocol_trace.traced("call_1", take) is take
        protocol_trace.trace_sent("call_1", {"type": "response.create"})
    assert caplog.records == []


def test_words_of_a_call_without_a_transcript_stay_out(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log.privacy, "shows_words", True)
    with caplog.at_level(logging.DEBUG):
        for shows_words in (True, False):
            take = protocol_trace.traced("call_1", lambda _: None, shows_words=shows_words)
            take(AgentTranscriptDone("resp_1", "item_2", "a secret"))
    assert [line["text"] for line in shown(caplog)] == ["a secret", "(8 characters)"]


def test_an_event_is_logged_and_forwarded(caplog: pytest.LogCaptureFixture) -> None:
    heard: list[ServerEvent] = []
    events: list[ServerEvent] = [
        SpeechStarted("item_1"),
        AudioDelta("resp_1", "item_2", b"\1\2" * 6000),
        AgentTranscriptDone("resp_1", "item_2", "a secret"),
        FunctionCall("resp_1", "item_3", "fc_1", "look_up", '{"card": 4711}'),
        Other("rate_limits.updated"),
    ]
    with caplog.at_level(logging.DEBUG):
        take = protocol_trace.traced("call_1", heard.append)
        for event in events:
            take(event)
    assert heard == events
    assert shown(caplog) == [
        {"call_id": "call_1", "event": "SpeechStarted", "item_id": "item_1"},
        {
            "call_id": "call_1",
            "event": "AudioDelta",
            "response_id": "resp_1",
            "item_id": "item_2",
            "pcm_bytes": 12000,
            "content_index": 0,
        },
        {
            "call_id": "call_1",
            "event": "AgentTranscriptDone",
            "response_id": "resp_1",
            "item_id": "item_2",
            "text": "(8 characters)",
            "content_index": 0,
        },
        {
            "call_id": "call_1",
            "event": "FunctionCall",
            "response_id": "resp_1",
            "item_id": "item_3",
            "function_call_id": "fc_1",
            "name": "look_up",
            "arguments": "(14 characters)",
        },
        {"call_id": "call_1", "event": "rate_limits.updated"},
    ]


def test_client_events_are_logged_without_instructions_and_words(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        protocol_trace.trace_sent("call_1", update_session({"instructions": "a secret"}, "setup-1"))
        protocol_trace.trace_sent("call_1", truncate_item("item_2", 1240, "truncate-1"))
        protocol_trace.trace_sent("call_1", create_message("user", "a secret"))
    assert shown(caplog) == [
        {"call_id": "call_1", "event": "session.update", "event_id": "setup-1"},
        {
            "call_id": "call_1",
            "event": "conversation.item.truncate",
            "event_id": "truncate-1",
            "item_id": "item_2",
            "audio_end_ms": 1240,
        },
        {"call_id": "call_1", "event": "conversation.item.create", "item_type": "message", "item_role": "user"},
    ]


def test_the_secrets_of_mcp_servers_are_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    tool = {"type": "mcp", "authorization": "s3cret", "headers": {"X-Key": "s3cret"}}
    protocol_trace.trace_sent("call_1", update_session({"tools": [tool]}, "update-1"))
    [record] = caplog.records
    assert "s3cret" not in str(vars(record))
