"""The words of Voice Live: server events in, client events out (Voice Live API reference 2026-07-15).

Voice Live and the Azure OpenAI Realtime preview use the beta names of the OpenAI Realtime API (`response.audio.delta`),
Azure OpenAI Realtime GA uses the GA names (`response.output_audio.delta`): the codec decodes both. Only events that the
relay acts on have a class; all others decode to `Other`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

import msgspec

ClientEvent: TypeAlias = dict[str, object]


# -- server events ------------------------------------------------------------------------------------------------
class _Told(msgspec.Struct, frozen=True, gc=False):
    """Made for each piece of the agent's speech, so of the kind that is made fastest."""


class SessionCreated(_Told, frozen=True):
    session_id: str
    conversation_id: str
    """Agent mode: the id of the Foundry conversation, "" when not told."""
    expires_at_s: int
    """Unix seconds, 0 when not told."""


class SessionUpdated(_Told, frozen=True):
    session_id: str
    conversation_id: str
    expires_at_s: int


class SpeechStarted(_Told, frozen=True):
    item_id: str


class SpeechStopped(_Told, frozen=True):
    item_id: str


class UserTranscript(_Told, frozen=True):
    item_id: str
    text: str


class UserTranscriptFailed(_Told, frozen=True):
    item_id: str
    message: str


class ResponseCreated(_Told, frozen=True):
    response_id: str


class AudioDelta(_Told, frozen=True):
    response_id: str
    item_id: str
    pcm: bytes
    """24 kHz PCM, any number of bytes: the last sample may continue in the next delta."""
    content_index: int = 0
    """The part of the item."""


class AgentTranscriptDelta(_Told, frozen=True):
    """A piece of the spoken text; it runs ahead of the audio."""

    response_id: str
    item_id: str
    text: str
    content_index: int = 0


class AgentTranscriptDone(_Told, frozen=True):
    response_id: str
    item_id: str
    text: str
    content_index: int = 0


class AgentTextDone(_Told, frozen=True):
    """The text of a text part: written by the model, never spoken."""

    response_id: str
    item_id: str
    text: str
    content_index: int = 0


class ItemDone(_Told, frozen=True):
    """Nothing more of this output item will come; it may still be playing."""

    response_id: str
    item_id: str


class FunctionCall(_Told, frozen=True):
    """May arrive twice, with the same `call_id`."""

    response_id: str
    item_id: str
    call_id: str
    name: str
    arguments: str
    """JSON text; it may hold odd whitespace."""


class ResponseDone(_Told, frozen=True):
    response_id: str
    status: str
    """`completed`, `cancelled`, `incomplete` or `failed`."""
    reason: str
    """`turn_detected`, `client_cancelled`, `max_output_tokens`, `content_filter`, an error's code (its type when it has
    no code), or ""."""
    message: str = ""
    """Of the error of a failed response."""
    kind: str = ""
    """The error's type, such as `server_error`."""


class Truncated(_Told, frozen=True):
    item_id: str
    audio_end_ms: int


class ErrorEvent(_Told, frozen=True):
    """A refused client event; most errors leave the session open."""

    code: str
    """The error's type when it has no code."""
    message: str
    param: str
    event_id: str
    """The `event_id` of the client event at fault, "" when not told."""
    kind: str = ""
    """The error's type, such as `invalid_request_error` or `server_error`."""


class WarningEvent(_Told, frozen=True):
    code: str
    message: str


class Other(_Told, frozen=True):
    type: str


ServerEvent: TypeAlias = (
    SessionCreated
    | SessionUpdated
    | SpeechStarted
    | SpeechStopped
    | UserTranscript
    | UserTranscriptFailed
    | ResponseCreated
    | AudioDelta
    | AgentTranscriptDelta
    | AgentTranscriptDone
    | AgentTextDone
    | ItemDone
    | FunctionCall
    | ResponseDone
    | Truncated
    | ErrorEvent
    | WarningEvent
    | Other
)


# -- client events ------------------------------------------------------------------------------------------------
def update_session(session: Mapping[str, object], event_id: str) -> ClientEvent:
    return {"type": "session.update", "event_id": event_id, "session": dict(session)}


def truncate_item(item_id: str, audio_end_ms: int, event_id: str, content_index: int = 0) -> ClientEvent:
    """`audio_end_ms` counts from the beginning of the part."""
    return {
        "type": "conversation.item.truncate",
        "event_id": event_id,
        "item_id": item_id,
        "content_index": content_index,
        "audio_end_ms": audio_end_ms,
    }


def delete_item(item_id: str, event_id: str) -> ClientEvent:
    return {"type": "conversation.item.delete", "event_id": event_id, "item_id": item_id}


def create_response() -> ClientEvent:
    return {"type": "response.create"}


def create_spoken(text: str) -> ClientEvent:
    """Speaks `text` as it stands, without asking the model (api-version 2026-01-01-preview and later)."""
    content = [{"type": "text", "text": text}]
    message = {"type": "message", "role": "assistant", "content": content}
    return {"type": "response.create", "response": {"pre_generated_assistant_message": message}}


def create_instructed(instructions: str) -> ClientEvent:
    """A response under these instructions instead of the session's. Agents refuse them."""
    return {"type": "response.create", "response": {"instructions": instructions}}


def cancel_response(response_id: str) -> ClientEvent:
    """Not for a barge-in: there the service has cancelled it already."""
    return {"type": "response.cancel", "event_id": f"cancel-{response_id}", "response_id": response_id}


def create_message(role: str, text: str, assistant_part: str = "text") -> ClientEvent:
    """A message of the caller (`user`), the agent (`assistant`) or ourselves (`system`) in the conversation.

    `assistant_part`: OpenAI Realtime GA accepts `output_text` only.
    """
    content = {"type": assistant_part if role == "assistant" else "input_text", "text": text}
    return {"type": "conversation.item.create", "item": {"type": "message", "role": role, "content": [content]}}


def create_function_call(call_id: str, name: str, arguments: str) -> ClientEvent:
    item = {"type": "function_call", "call_id": call_id, "name": name, "arguments": arguments}
    return {"type": "conversation.item.create", "item": item}


def create_function_output(call_id: str, output: str) -> ClientEvent:
    item = {"type": "function_call_output", "call_id": call_id, "output": output}
    return {"type": "conversation.item.create", "item": item}
