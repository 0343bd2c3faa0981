"""Decodes client events: JSON objects with a `type` at any position and an optional `event_id`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from lab.voice_live.server_events import RefusedError


@dataclass(frozen=True)
class ClientEvent:
    type: str
    event_id: str | None
    body: Mapping[str, object]


def decode_client_event(text: str | bytes) -> ClientEvent:
    """Decode one client event. Raises `RefusedError`; the client then receives an `error` event, and the socket stays
    open.
    """
    try:
        body = json.loads(text)
    except (ValueError, RecursionError):
        raise RefusedError("The message is not valid JSON", "invalid_json") from None
    if not isinstance(body, dict):
        raise RefusedError("The message must be a JSON object", "invalid_json")
    kind, event_id = body.get("type"), body.get("event_id")
    if not isinstance(kind, str):
        raise RefusedError("'type' must be a string", "invalid_value", "type")
    return ClientEvent(kind, event_id if isinstance(event_id, str) else None, body)


_APPENDS = (b'{"type":"input_audio_buffer.append","audio":"', b'{"type": "input_audio_buffer.append", "audio": "')


def plain_append(text: bytes) -> bytes | None:
    """Return the base64 audio of an append event as common encoders write it; `None` if the text needs a JSON
    parser.
    """
    for head in _APPENDS:
        if text.startswith(head) and text.endswith(b'"}'):
            audio = text[len(head) : -2]
            return None if b'"' in audio or b"\\" in audio else audio
    return None


def response_options(body: Mapping[str, object]) -> Mapping[str, object]:
    """Return the `response` object of `response.create`; empty if it is absent or null. Raises `RefusedError`."""
    options = body.get("response")
    if options is None:
        return {}
    if not isinstance(options, Mapping):
        raise RefusedError("'response' must be an object", "invalid_value", "response")
    for key in options.keys() - _RESPONSE_KEYS:
        raise RefusedError(f"'response.{key}' unexpected (extra fields not permitted)", param=f"response.{key}")
    modalities = options.get("modalities")
    if modalities is not None and not (
        isinstance(modalities, list) and modalities and set(map(str, modalities)) <= _SAID
    ):
        raise RefusedError("'response.modalities' must contain text or audio", "invalid_value", "response.modalities")
    return options


_SAID = frozenset({"text", "audio"})
_RESPONSE_KEYS = frozenset(
    {
        "modalities",
        "instructions",
        "voice",
        "output_audio_format",
        "tools",
        "tool_choice",
        "parallel_tool_calls",
        "temperature",
        "max_output_tokens",
        "max_response_output_tokens",
        "metadata",
        "reasoning_effort",
        "interim_response",
        "input_items",
        "append_input_items",
        "commit",
        "cancel_previous",
        "conversation",
        "invoke_input",
        "pre_generated_assistant_message",
    }
)
