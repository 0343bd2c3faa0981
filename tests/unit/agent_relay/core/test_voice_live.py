from __future__ import annotations

import base64
import json

import pytest

from agent_relay.core import voice_live as vl
from bridge_common.errors import FrameError


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nonsense",
        "[]",
        "3",
        '"text"',
        "{}",
        '{"type":3}',
        '{"type":"session.created"}',
        '{"type":"session.created","session":[]}',
        '{"type":"session.created","session":{"id":7}}',
        '{"type":"session.created","session":{"id":"s","expires_at":"soon"}}',
        '{"type":"session.created","session":{"id":"s","expires_at":true}}',
        '{"type":"session.created","session":{"id":"s","expires_at":1e999}}',
        '{"type":"response.audio.delta","response_id":"r","item_id":"i","delta":"####"}',
        '{"type":"response.audio.delta","response_id":"r","item_id":"i","delta":"é"}',
        '{"type":"response.audio.delta","response_id":"r","item_id":"i"}',
        '{"type":"response.audio.delta","item_id":"i","delta":"AAAA"}',
        '{"type":"response.done","response":{"id":"r"}}',
        '{"type":"error","error":"boom"}',
        "[" * 100_000,
    ],
)
def test_malformed_events_are_refused(text: str) -> None:
    with pytest.raises(FrameError):
        vl.decode(text)


def test_half_a_sample_is_refused() -> None:
    delta = base64.b64encode(b"abc").decode()
    with pytest.raises(FrameError, match="3 bytes"):
        vl.decode(json.dumps({"type": "response.audio.delta", "response_id": "r", "item_id": "i", "delta": delta}))


def test_unknown_events_are_passed_over() -> None:
    assert vl.decode('{"type":"rate_limits.updated","rate_limits":[]}') == vl.Other("rate_limits.updated")


def test_the_type_may_stand_anywhere_and_the_message_may_be_binary() -> None:
    assert vl.decode(b'{"item_id":"i","type":"input_audio_buffer.speech_started"}') == vl.SpeechStarted("i")


def test_an_error_without_a_code_has_its_type() -> None:
    event = vl.decode('{"type":"error","error":{"type":"invalid_request_error","message":"no","param":null}}')
    assert event == vl.ErrorEvent("invalid_request_error", "no", "", "")


def test_a_failed_response_tells_the_code_of_its_error() -> None:
    details = {"type": "failed", "error": {"type": "server_error", "code": "message_creation_failed"}}
    response = {"id": "r", "status": "failed", "status_details": details}
    event = vl.decode(json.dumps({"type": "response.done", "response": response}))
    assert event == vl.ResponseDone("r", "failed", "message_creation_failed")


def test_append_is_what_a_json_encoder_would_write() -> None:
    pcm = bytes(range(256)) * 4
    assert json.loads(vl.encode_append(pcm)) == {
        "type": "input_audio_buffer.append",
        "audio": base64.b64encode(pcm).decode(),
    }


def test_a_delta_decodes_to_the_audio_that_went_in() -> None:
    pcm = bytes(range(200))
    event = vl.decode(
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


def test_messages_have_the_content_type_of_their_role() -> None:
    kinds = {role: _content_type(vl.create_message(role, "x")) for role in ("user", "assistant", "system")}
    assert kinds == {"user": "input_text", "assistant": "text", "system": "input_text"}


def test_client_events_are_text_as_it_is_spoken() -> None:
    assert "Grüße" in vl.encode(vl.create_message("user", "Grüße")).decode()


def _content_type(event: vl.ClientEvent) -> str:
    item = event["item"]
    assert isinstance(item, dict)
    return str(item["content"][0]["type"])
