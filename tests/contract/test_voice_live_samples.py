"""Recorded messages of Voice Live (ids shortened): each is decoded to the event that the relay processes.

Sources: the public recordings of pydantic-ai (api-version 2026-04-10) and the Voice Live API reference 2026-07-15.
"""

from __future__ import annotations

import json

import pytest

from agent_relay.core.protocol import voice_events as vl
from agent_relay.core.protocol.voice_codec import decode, encode, encode_append
from bridge_common.base.errors import FrameError
from tests.support import fuzzing

_SESSION = (
    '"session":{"id":"sess_1","model":"gpt-realtime-global-standard","modalities":["audio"],"instructions":"…",'
    '"voice":{"name":"alloy","type":"openai"},"input_audio_format":"pcm16","output_audio_format":null,'
    '"input_audio_transcription":null,"input_audio_noise_reduction":null,"turn_detection":{"type":"server_vad",'
    '"threshold":0.5,"prefix_padding_ms":300,"silence_duration_ms":200,"create_response":true,'
    '"interrupt_response":true,"idle_timeout_ms":null,"auto_truncate":false},"tools":[],"tool_choice":"auto",'
    '"max_response_output_tokens":"inf","expires_at":1795400000,"object":"realtime.session","avatar":null}'
)
_AGENT_SESSION = (
    '"session":{"id":"sess_42Zb","object":"realtime.session","model":"rfp-voice-agent","modalities":["text","audio"],'
    '"voice":{"name":"en-US-AvaMultilingualNeural","type":"azure-standard"},"input_audio_sampling_rate":24000,'
    '"agent":{"type":"agent","name":"rfp-voice-agent","description":null,"agent_id":"rfp-voice-agent:3",'
    '"thread_id":"conv_abc"},"expires_at":1795400000}'
)
_PART = '"response_id":"resp_1","item_id":"item_a1","output_index":0,"content_index":0'
_RESPONSE = (
    '"usage":null,"conversation_id":"conv_1","modalities":["audio","text"],"voice":{"name":"alloy","type":"openai"},'
    '"output_audio_format":"pcm16","temperature":null,"max_output_tokens":"inf","metadata":null'
)


def _done(status: str, details: str) -> str:
    return (
        f'{{"event_id":"event_19","type":"response.done","response":{{"object":"realtime.response","id":"resp_1",'
        f'"status":"{status}","status_details":{details},"output":[],{_RESPONSE}}}}}'
    )


SAMPLES: list[tuple[str, vl.ServerEvent]] = [
    (
        f'{{"event_id":"event_1","type":"session.created",{_SESSION}}}',
        vl.SessionCreated("sess_1", "", 1795400000, ()),
    ),
    (
        f'{{"event_id":"event_1","type":"session.created",{_AGENT_SESSION}}}',
        vl.SessionCreated("sess_42Zb", "conv_abc", 1795400000),
    ),
    (
        f'{{"event_id":"event_1","type":"session.updated",{_AGENT_SESSION}}}',
        vl.SessionUpdated("sess_42Zb", "conv_abc", 1795400000),
    ),
    (
        '{"event_id":"event_2","type":"input_audio_buffer.speech_started","audio_start_ms":1456,"item_id":"item_u1"}',
        vl.SpeechStarted("item_u1"),
    ),
    (
        '{"event_id":"event_3","type":"input_audio_buffer.speech_stopped","audio_end_ms":4512,"item_id":"item_u1"}',
        vl.SpeechStopped("item_u1"),
    ),
    (
        '{"event_id":"event_4","type":"input_audio_buffer.committed","previous_item_id":null,"item_id":"item_u1"}',
        vl.Other("input_audio_buffer.committed"),
    ),
    (
        (
            '{"event_id":"event_6","type":"conversation.item.done","previous_item_id":null,"item":{"id":"item_u1",'
            '"object":"realtime.item","type":"message","status":"completed","role":"user","content":[]}}'
        ),
        vl.Other("conversation.item.done"),
    ),
    (
        (
            '{"event_id":"event_7","type":"response.created","response":{"object":"realtime.response","id":"resp_1",'
            f'"status":"in_progress","status_details":null,"output":[],{_RESPONSE}}}}}'
        ),
        vl.ResponseCreated("resp_1"),
    ),
    (
        f'{{"event_id":"event_11","type":"response.audio_transcript.delta",{_PART},"delta":"Hi"}}',
        vl.AgentTranscriptDelta("resp_1", "item_a1", "Hi"),
    ),
    (
        f'{{"event_id":"event_13","type":"response.audio.delta",{_PART},"delta":"AAABAAIA"}}',
        vl.AudioDelta("resp_1", "item_a1", b"\x00\x00\x01\x00\x02\x00"),
    ),
    (
        (
            '{"event_id":"event_14","type":"conversation.item.input_audio_transcription.completed","item_id":"item_u1",'
            '"content_index":0,"transcript":"Hello there."}'
        ),
        vl.UserTranscript("item_u1", "Hello there."),
    ),
    (
        (
            '{"event_id":"e","type":"conversation.item.input_audio_transcription.failed","item_id":"item_u1",'
            '"content_index":0,"error":{"type":"server_error","code":null,"message":"no speech","param":null}}'
        ),
        vl.UserTranscriptFailed("item_u1", "no speech"),
    ),
    (
        f'{{"event_id":"event_15","type":"response.audio.done",{_PART}}}',
        vl.Other("response.audio.done"),
    ),
    (
        f'{{"event_id":"event_16","type":"response.audio_transcript.done",{_PART},"transcript":"Hi, how can I help?"}}',
        vl.AgentTranscriptDone("resp_1", "item_a1", "Hi, how can I help?"),
    ),
    (
        f'{{"event_id":"e","type":"response.text.done",{_PART},"text":"Hi."}}',
        vl.AgentTextDone("resp_1", "item_a1", "Hi."),
    ),
    (
        (
            '{"event_id":"event_18","type":"response.output_item.done","response_id":"resp_1","output_index":0,"item":'
            '{"id":"item_a1","object":"realtime.item","type":"message","status":"completed","role":"assistant",'
            '"content":[{"type":"audio","transcript":"Hi, how can I help?"}]}}'
        ),
        vl.ItemDone("resp_1", "item_a1"),
    ),
    (
        (
            '{"event_id":"e","type":"response.function_call_arguments.done","response_id":"resp_1","item_id":"item_f1",'
            '"output_index":0,"call_id":"call_1","name":"lookup_order","arguments":"{\\"id\\":\\n \\"7\\"}"}'
        ),
        vl.FunctionCall("resp_1", "item_f1", "call_1", "lookup_order", '{"id":\n "7"}'),
    ),
    (
        '{"event_id":"e","type":"conversation.item.truncated","item_id":"item_a1","content_index":0,"audio_end_ms":1234}',
        vl.Truncated("item_a1", 1234),
    ),
    (
        (
            '{"event_id":"event_x","type":"error","error":{"message":"Missing required agent project name",'
            '"type":"invalid_request_error","code":"invalid_request_error","param":null,"event_id":null}}'
        ),
        vl.ErrorEvent("invalid_request_error", "Missing required agent project name", "", "", "invalid_request_error"),
    ),
    (
        '{"event_id":"e","type":"warning","warning":{"message":"slow","code":"latency","param":null}}',
        vl.WarningEvent("latency", "slow"),
    ),
    (_done("completed", "null"), vl.ResponseDone("resp_1", "completed", "")),
    (
        _done("cancelled", '{"type":"cancelled","reason":"turn_detected"}'),
        vl.ResponseDone("resp_1", "cancelled", "turn_detected"),
    ),
    (
        _done("incomplete", '{"type":"incomplete","reason":"content_filter"}'),
        vl.ResponseDone("resp_1", "incomplete", "content_filter"),
    ),
    (
        _done(
            "failed",
            '{"type":"failed","error":{"type":"server_error","code":"message_creation_failed",'
            '"message":"Failed to create message"}}',
        ),
        vl.ResponseDone("resp_1", "failed", "message_creation_failed", "Failed to create message", "server_error"),
    ),
    ('{"event_id":"e","type":"rate_limits.updated","rate_limits":[]}', vl.Other("rate_limits.updated")),
]


@pytest.mark.parametrize(("message", "event"), SAMPLES, ids=lambda value: type(value).__name__)
def test_a_recorded_message_decodes(message: str, event: vl.ServerEvent) -> None:
    assert decode(message) == event
    assert decode(message.encode()) == event


@pytest.mark.parametrize(
    ("event", "documented"),
    [
        (
            vl.truncate_item("item_a1", 1234, "t1"),
            (
                '{"type":"conversation.item.truncate","event_id":"t1","item_id":"item_a1","content_index":0,'
                '"audio_end_ms":1234}'
            ),
        ),
        (
            vl.create_spoken("Welcome!"),
            (
                '{"type":"response.create","response":{"pre_generated_assistant_message":{"type":"message",'
                '"role":"assistant","content":[{"type":"text","text":"Welcome!"}]}}}'
            ),
        ),
        (vl.create_response(), '{"type":"response.create"}'),
        (
            vl.create_message("user", "Hi"),
            (
                '{"type":"conversation.item.create","item":{"type":"message","role":"user",'
                '"content":[{"type":"input_text","text":"Hi"}]}}'
            ),
        ),
        (
            vl.create_message("assistant", "Hello"),
            (
                '{"type":"conversation.item.create","item":{"type":"message","role":"assistant",'
                '"content":[{"type":"text","text":"Hello"}]}}'
            ),
        ),
        (
            vl.create_message("system", "Caller is VIP."),
            (
                '{"type":"conversation.item.create","item":{"type":"message","role":"system",'
                '"content":[{"type":"input_text","text":"Caller is VIP."}]}}'
            ),
        ),
        (
            vl.create_function_call("call_1", "f", "{}"),
            (
                '{"type":"conversation.item.create","item":{"type":"function_call","call_id":"call_1","name":"f",'
                '"arguments":"{}"}}'
            ),
        ),
        (
            vl.create_function_output("call_1", '{"ok":true}'),
            (
                '{"type":"conversation.item.create","item":{"type":"function_call_output","call_id":"call_1",'
                '"output":"{\\"ok\\":true}"}}'
            ),
        ),
        (
            vl.update_session({"turn_detection": None}, "u1"),
            '{"type":"session.update","event_id":"u1","session":{"turn_detection":null}}',
        ),
    ],
)
def test_client_events_are_as_documented(event: vl.ClientEvent, documented: str) -> None:
    assert encode(event) == documented.encode()


def test_appended_audio_is_as_documented() -> None:
    assert json.loads(encode_append(b"\x00\x00\x01\x00")) == {
        "type": "input_audio_buffer.append",
        "audio": "AAABAA==",
    }


@pytest.mark.timeout(180)
def test_the_decoder_survives_mutated_messages() -> None:
    decoded, refused = fuzzing.survives(decode, [message for message, _ in SAMPLES], FrameError)
    assert decoded > 1000
    assert refused > 1000
