from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_relay.core.protocol import voice_events as vl
from agent_relay.core.protocol.voice_codec import decode, encode, encode_append
from bridge_common.base.errors import FrameError

_DELTA = '{"type":"response.audio.delta","response_id":"r","item_id":"i"'


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "not valid JSON"),
        ("nonsense", "not valid JSON"),
        ("[" * 100_000, "not valid JSON"),
        ("[]", "not a JSON object"),
        ("3", "not a JSON object"),
        ('"text"', "not a JSON object"),
        ("{}", "`type` is missing"),
        ('{"type":3}', "`type` is missing or is not a string"),
        ('{"type":"session.created"}', "`session` of session.created"),
        ('{"type":"session.created","session":[]}', "`session` of session.created"),
        ('{"type":"session.created","session":{"id":7}}', "`id`"),
        ('{"type":"session.created","session":{"id":"s","expires_at":"soon"}}', "`expires_at`"),
        ('{"type":"session.created","session":{"id":"s","expires_at":"\\ud800"}}', "`session` of session.created"),
        ('{"type":"session.created","session":{"id":"s","expires_at":true}}', "`expires_at`"),
        ('{"type":"session.created","session":{"id":"s","expires_at":1e999}}', "`expires_at`"),
        (_DELTA + ',"delta":"####"}', "`delta` is not valid base64"),
        (_DELTA + ',"delta":"é"}', "`delta` is not valid base64"),
        (_DELTA + "}", "missing required field `delta`"),
        ('{"type":"response.audio.delta","item_id":"i","delta":"AAAA"}', "`response_id`"),
        ('{"type":"response.output_item.done","item":{"id":"i"}}', "`response_id`"),
        ('{"type":"response.done","response":{"id":"r"}}', "`status`"),
        ('{"type":"error","error":"boom"}', "`error` of error"),
    ],
)
def test_malformed_events_are_refused_with_the_field_at_fault(text: str, fault: str) -> None:
    with pytest.raises(FrameError, match=fault):
        decode(text)


def test_a_delta_may_end_with_half_a_sample() -> None:
    assert decode(_delta(delta=base64.b64encode(b"abc").decode())) == vl.AudioDelta("r", "i", b"abc")


_CALL = {"response_id": "r", "item_id": "i", "output_index": 0, "call_id": "c", "arguments": "{}"}


def test_a_function_call_without_a_name_is_taken_from_its_item() -> None:
    """OpenAI Realtime sends the name only with the item."""
    done = "response.function_call_arguments.done"
    assert decode(json.dumps({"type": done, **_CALL})) == vl.Other(done)
    item = {"id": "i", "type": "function_call", "status": "completed", "name": "f", "call_id": "c", "arguments": "{}"}
    event = {"type": "response.output_item.done", "response_id": "r", "output_index": 0, "item": item}
    call = vl.FunctionCall("r", "i", "c", "f", "{}")
    assert decode(json.dumps(event)) == call == decode(json.dumps({"type": done, **_CALL, "name": "f"}))
    cut_off = {**event, "item": {**item, "status": "incomplete"}}
    assert decode(json.dumps(cut_off)) == vl.ItemDone("r", "i")


def test_a_delta_of_text_may_end_within_a_surrogate_pair() -> None:
    event = '{"type":"response.audio_transcript.delta","response_id":"r","item_id":"i","delta":"so \\ud83d"}'
    assert decode(event) == vl.AgentTranscriptDelta("r", "i", "so \ud83d")


def test_unknown_events_are_not_errors() -> None:
    assert decode('{"type":"rate_limits.updated","rate_limits":[]}') == vl.Other("rate_limits.updated")


def test_the_type_may_be_anywhere_and_the_message_may_be_binary() -> None:
    assert decode(b'{"item_id":"i","type":"input_audio_buffer.speech_started"}') == vl.SpeechStarted("i")


def test_an_error_without_a_code_has_its_type() -> None:
    event = decode('{"type":"error","error":{"type":"invalid_request_error","message":"no","param":null}}')
    assert event == vl.ErrorEvent("invalid_request_error", "no", "", "", "invalid_request_error")


def test_an_error_keeps_its_type_beside_its_code() -> None:
    event = decode('{"type":"error","error":{"type":"server_error","code":"rate_limit_exceeded","message":"slow"}}')
    assert event == vl.ErrorEvent("rate_limit_exceeded", "slow", "", "", "server_error")


@pytest.mark.parametrize(
    ("error", "reason", "message", "kind"),
    [
        ({"type": "server_error", "code": "message_creation_failed"}, "message_creation_failed", "", "server_error"),
        ({"type": "server_error", "code": None, "message": "no"}, "server_error", "no", "server_error"),
        ({"code": "rate_limit_exceeded", "message": "in 2s"}, "rate_limit_exceeded", "in 2s", ""),
        (None, "", "", ""),
    ],
)
def test_a_failed_response_has_the_code_type_and_message_of_its_error(
    error: object, reason: str, message: str, kind: str
) -> None:
    response = {"id": "r", "status": "failed", "status_details": {"type": "failed", "error": error}}
    event = decode(json.dumps({"type": "response.done", "response": response}))
    assert event == vl.ResponseDone("r", "failed", reason, message, kind)


def test_append_is_what_a_json_encoder_would_write() -> None:
    pcm = bytes(range(256)) * 4
    assert json.loads(encode_append(pcm)) == {
        "type": "input_audio_buffer.append",
        "audio": base64.b64encode(pcm).decode(),
    }


def test_a_delta_decodes_to_its_audio() -> None:
    pcm = bytes(range(200))
    event = decode(
        json.dumps(
            {
                "type": "response.audio.delta",
                "response_id": "r",
                "item_id": "i",
                "delta": base64.b64encode(pcm).decode(),
            }
        )
    )
    assert event == vl.AudioDelta("r", "i", pcm)


def test_client_events_are_not_escaped_to_ascii() -> None:
    assert "Grüße" in encode(vl.create_message("user", "Grüße")).decode()


def test_a_lone_surrogate_is_sent_as_a_question_mark() -> None:
    assert json.loads(encode(vl.create_message("user", "so \ud83d")))["item"]["content"][0]["text"] == "so ?"


_PART = {"event_id": "e", "response_id": "r", "item_id": "i", "output_index": 0, "content_index": 1}


@pytest.mark.parametrize(
    ("beta", "ga", "fields", "event"),
    [
        ("audio.delta", "output_audio.delta", {"delta": "AAABAA=="}, vl.AudioDelta("r", "i", b"\0\0\x01\0", 1)),
        (
            "audio_transcript.delta",
            "output_audio_transcript.delta",
            {"delta": "Hi"},
            vl.AgentTranscriptDelta("r", "i", "Hi", 1),
        ),
        (
            "audio_transcript.done",
            "output_audio_transcript.done",
            {"transcript": "Hi"},
            vl.AgentTranscriptDone("r", "i", "Hi", 1),
        ),
        ("text.done", "output_text.done", {"text": "Hi"}, vl.AgentTextDone("r", "i", "Hi", 1)),
        ("output_item.done", "output_item.done", {"item": {"id": "i"}}, vl.ItemDone("r", "i")),
    ],
)
def test_beta_and_ga_names_are_the_same_event(
    beta: str, ga: str, fields: dict[str, object], event: vl.ServerEvent
) -> None:
    for name in (beta, ga):
        assert decode(json.dumps({"type": f"response.{name}", **_PART, **fields})) == event


@pytest.mark.parametrize("index", [None, "1", True, 1.5, []])
def test_a_part_without_a_usable_content_index_is_the_first(index: object) -> None:
    assert decode(_delta(delta="AAA=", content_index=index)) == vl.AudioDelta("r", "i", b"\0\0")
    text = {"type": "response.text.done", **_PART, "content_index": index, "text": "Hi"}
    assert decode(json.dumps(text)) == vl.AgentTextDone("r", "i", "Hi")


def _delta(**fields: object) -> str:
    return json.dumps({"type": "response.audio.delta", "response_id": "r", "item_id": "i", **fields})


@given(st.binary(max_size=600).map(lambda pcm: pcm[: len(pcm) // 2 * 2]))
def test_escaped_base64_is_the_same_audio(pcm: bytes) -> None:
    """.NET's JSON encoder writes the `+` of base64 as an escape by default."""
    message = _delta(delta=base64.b64encode(pcm).decode()).replace("+", "\\u002B").replace("/", "\\/")
    assert decode(message) == vl.AudioDelta("r", "i", pcm)


def test_a_message_may_be_a_view_of_a_buffer_that_is_reused() -> None:
    for message, event in (
        (_delta(delta="AAABAA==", unknown={"a": [1]}), vl.AudioDelta("r", "i", b"\0\0\x01\0")),
        ('{"type":"response.created","response":{"id":"r"}}', vl.ResponseCreated("r")),
    ):
        buffer = bytearray(message.encode())
        decoded = decode(memoryview(buffer))
        buffer[:] = b"#" * len(buffer)
        assert decoded == event


@pytest.mark.parametrize("delta", ["AAA", "AA==AA", "AAAA\n", "A===", "=AAA", "AA AA", "AAAA####", None, 7, ["AAAA"]])
def test_audio_that_is_not_valid_base64_is_refused(delta: object) -> None:
    with pytest.raises(FrameError, match="`delta`"):
        decode(_delta(delta=delta))


def test_the_tools_and_formats_of_a_session_are_decoded() -> None:
    session = {
        "id": "s",
        "tools": [{"type": "function", "name": "end_call"}, {"type": "system", "name": "end_conversation"}, 7],
        "audio": {
            "input": {"format": {"type": "audio/pcm", "rate": 16000}},
            "output": {"format": {"type": "audio/pcm", "rate": 24000}, "voice": "ava"},
        },
    }
    message = {"type": "session.created", "session": session, "conversation_id": "conv_1"}
    expected = vl.SessionCreated("s", "conv_1", 0, ("end_call",), ("audio/pcm 16000", "audio/pcm"))
    assert decode(json.dumps(message)) == expected
    odd = {"id": "s", "tools": None, "audio": {"input": 7, "output": {"format": {"type": 7}}}}
    assert decode(json.dumps({"type": "session.updated", "session": odd})) == vl.SessionUpdated("s", "", 0)


@pytest.mark.parametrize(
    "kind",
    [
        "session.subagent.started",
        "session.subagent.aborted",
        "output_audio_buffer.stopped",
        "input_audio_buffer.timeout_triggered",
        "input_audio_buffer.dtmf_event_received",
    ],
)
def test_further_events_of_voice_agents_have_no_effect(kind: str) -> None:
    assert decode(json.dumps({"type": kind, "item_id": 7})) == vl.Other(kind)


@pytest.mark.parametrize(
    ("type_", "item", "expected"),
    [
        ("conversation.item.created", {"type": "mcp_list_tools", "server_label": "s"}, vl.McpTools("i1", "s")),
        (
            "conversation.item.created",
            {"type": "mcp_approval_request", "server_label": "s", "name": "f", "arguments": "{}"},
            vl.McpApproval("i1", "s", "f", "{}", "r1"),
        ),
        (
            "response.output_item.added",
            {"type": "mcp_call", "server_label": "s", "name": "f"},
            vl.McpCall("r1", "i1", "s", "f"),
        ),
        (
            "response.output_item.done",
            {"type": "mcp_call", "name": "f", "arguments": "{}", "output": "found", "error": None},
            vl.McpCallDone("i1", "f", "{}", "found"),
        ),
        (
            "response.output_item.done",
            {"type": "mcp_call", "name": "f", "arguments": "{}", "output": None, "error": {"message": "gone"}},
            vl.McpCallDone("i1", "f", "{}", '{"error": {"message": "gone"}}'),
        ),
        ("response.output_item.added", {"type": "message"}, vl.Other("response.output_item.added")),
    ],
)
def test_items_of_mcp_servers(type_: str, item: dict[str, object], expected: vl.ServerEvent) -> None:
    message = {"type": type_, "response_id": "r1", "item": {"id": "i1", **item}}
    assert decode(json.dumps(message).encode()) == expected


@pytest.mark.parametrize("end", ["completed", "failed"])
def test_ends_of_mcp_calls(end: str) -> None:
    message = {"type": f"response.mcp_call.{end}", "item_id": "i1", "output_index": 0}
    assert decode(json.dumps(message).encode()) == vl.McpCallOver("i1")
    assert decode(b'{"type":"mcp_list_tools.failed","item_id":"i1"}') == vl.McpListFailed("i1")
