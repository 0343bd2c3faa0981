"""The wire of Voice Live: server events in, client events out (Voice Live API reference 2026-07-15).

Voice Live speaks the beta names of the OpenAI Realtime API (`response.audio.delta`, not `response.output_audio.delta`),
and so does the older Azure OpenAI Realtime: one codec serves both. Only events that the relay acts on have a class;
all others decode to `Other`.
"""

from __future__ import annotations

import binascii
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from bridge_common.errors import FrameError

ClientEvent: TypeAlias = dict[str, object]


# -- server events ------------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class SessionCreated:
    session_id: str
    conversation_id: str
    """Agent mode: the id of the Foundry conversation, "" when not told."""
    expires_at_s: int
    """Unix seconds, 0 when not told."""


@dataclass(frozen=True, slots=True)
class SessionUpdated:
    session_id: str
    conversation_id: str
    expires_at_s: int


@dataclass(frozen=True, slots=True)
class SpeechStarted:
    item_id: str


@dataclass(frozen=True, slots=True)
class SpeechStopped:
    item_id: str


@dataclass(frozen=True, slots=True)
class UserTranscript:
    item_id: str
    text: str


@dataclass(frozen=True, slots=True)
class UserTranscriptFailed:
    item_id: str
    message: str


@dataclass(frozen=True, slots=True)
class ResponseCreated:
    response_id: str


@dataclass(frozen=True, slots=True)
class AudioDelta:
    response_id: str
    item_id: str
    pcm: bytes
    """24 kHz PCM, any number of whole samples."""


@dataclass(frozen=True, slots=True)
class AudioDone:
    """The end of the generated audio of an item, not of its playout."""

    response_id: str
    item_id: str


@dataclass(frozen=True, slots=True)
class AgentTranscriptDelta:
    """A piece of the spoken text; it runs ahead of the audio."""

    response_id: str
    item_id: str
    text: str


@dataclass(frozen=True, slots=True)
class AgentTranscriptDone:
    response_id: str
    item_id: str
    text: str


@dataclass(frozen=True, slots=True)
class FunctionCall:
    response_id: str
    item_id: str
    call_id: str
    name: str
    arguments: str
    """JSON text; it may hold odd whitespace."""


@dataclass(frozen=True, slots=True)
class ResponseDone:
    response_id: str
    status: str
    """`completed`, `cancelled`, `incomplete` or `failed`."""
    reason: str
    """`turn_detected`, `client_cancelled`, `max_output_tokens`, `content_filter`, an error's code, or ""."""


@dataclass(frozen=True, slots=True)
class Truncated:
    item_id: str
    audio_end_ms: int


@dataclass(frozen=True, slots=True)
class ErrorEvent:
    """A refused client event; most errors leave the session open."""

    code: str
    message: str
    param: str
    event_id: str
    """The `event_id` of the client event at fault, "" when not told."""


@dataclass(frozen=True, slots=True)
class WarningEvent:
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Other:
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
    | AudioDone
    | AgentTranscriptDelta
    | AgentTranscriptDone
    | FunctionCall
    | ResponseDone
    | Truncated
    | ErrorEvent
    | WarningEvent
    | Other
)


def decode(data: str | bytes) -> ServerEvent:
    """The server event in one text (or binary) message. Raises `FrameError` when it is malformed."""
    try:
        event = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise FrameError("a server event is a JSON object") from error
    if not isinstance(event, dict):
        raise FrameError("a server event is a JSON object")
    type_ = _text(event, "type")
    read = _READERS.get(type_)
    return Other(type_) if read is None else read(event)


Fields: TypeAlias = Mapping[str, object]


def _text(fields: Fields, name: str) -> str:
    value = fields.get(name)
    if not isinstance(value, str):
        raise FrameError(f"`{name}` of a server event is text, not {type(value).__name__}")
    return value


def _optional_text(fields: Fields, name: str) -> str:
    value = fields.get(name)
    return value if isinstance(value, str) else ""


def _number(fields: Fields, name: str) -> int:
    value = fields.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 2**53:
        raise FrameError(f"`{name}` of a server event is a number, not {value!r:.40}")
    return int(value)


def _object(fields: Fields, name: str) -> Fields:
    value = fields.get(name)
    if not isinstance(value, dict):
        raise FrameError(f"`{name}` of a server event is an object, not {type(value).__name__}")
    return value


def _optional_object(fields: Fields, name: str) -> Fields:
    value = fields.get(name)
    return value if isinstance(value, dict) else {}


def _pcm(fields: Fields, name: str) -> bytes:
    try:
        pcm = binascii.a2b_base64(_text(fields, name), strict_mode=True)
    except ValueError as error:
        raise FrameError(f"`{name}` of a server event is base64") from error
    if len(pcm) % 2:
        raise FrameError(f"`{name}` holds {len(pcm)} bytes, not whole 16 bit samples")
    return pcm


def _session(event: Fields) -> tuple[str, str, int]:
    session = _object(event, "session")
    thread = _optional_text(_optional_object(session, "agent"), "thread_id")
    expires = _number(session, "expires_at") if session.get("expires_at") is not None else 0
    return _text(session, "id"), thread, expires


def _response_done(event: Fields) -> ResponseDone:
    response = _object(event, "response")
    details = _optional_object(response, "status_details")
    reason = _optional_text(details, "reason") or _optional_text(_optional_object(details, "error"), "code")
    return ResponseDone(_text(response, "id"), _text(response, "status"), reason)


def _error(event: Fields) -> ErrorEvent:
    error = _object(event, "error")
    return ErrorEvent(
        _optional_text(error, "code") or _optional_text(error, "type"),
        _optional_text(error, "message"),
        _optional_text(error, "param"),
        _optional_text(error, "event_id"),
    )


def _warning(event: Fields) -> WarningEvent:
    warning = _object(event, "warning")
    return WarningEvent(_optional_text(warning, "code"), _optional_text(warning, "message"))


def _function_call(event: Fields) -> FunctionCall:
    return FunctionCall(
        _text(event, "response_id"),
        _text(event, "item_id"),
        _text(event, "call_id"),
        _text(event, "name"),
        _text(event, "arguments"),
    )


def _of_item(event: Fields) -> tuple[str, str]:
    return _text(event, "response_id"), _text(event, "item_id")


_TRANSCRIPTION: Final = "conversation.item.input_audio_transcription"
_READERS: Final[dict[str, Callable[[Fields], ServerEvent]]] = {
    "session.created": lambda e: SessionCreated(*_session(e)),
    "session.updated": lambda e: SessionUpdated(*_session(e)),
    "input_audio_buffer.speech_started": lambda e: SpeechStarted(_text(e, "item_id")),
    "input_audio_buffer.speech_stopped": lambda e: SpeechStopped(_text(e, "item_id")),
    f"{_TRANSCRIPTION}.completed": lambda e: UserTranscript(_text(e, "item_id"), _text(e, "transcript")),
    f"{_TRANSCRIPTION}.failed": lambda e: UserTranscriptFailed(
        _text(e, "item_id"), _optional_text(_optional_object(e, "error"), "message")
    ),
    "response.created": lambda e: ResponseCreated(_text(_object(e, "response"), "id")),
    "response.audio.delta": lambda e: AudioDelta(*_of_item(e), _pcm(e, "delta")),
    "response.audio.done": lambda e: AudioDone(*_of_item(e)),
    "response.audio_transcript.delta": lambda e: AgentTranscriptDelta(*_of_item(e), _text(e, "delta")),
    "response.audio_transcript.done": lambda e: AgentTranscriptDone(*_of_item(e), _text(e, "transcript")),
    "response.function_call_arguments.done": _function_call,
    "response.done": _response_done,
    "conversation.item.truncated": lambda e: Truncated(_text(e, "item_id"), _number(e, "audio_end_ms")),
    "error": _error,
    "warning": _warning,
}


# -- client events ------------------------------------------------------------------------------------------------
_APPEND_HEAD: Final = b'{"type":"input_audio_buffer.append","audio":"'
_APPEND_TAIL: Final = b'"}'


def encode(event: ClientEvent) -> bytes:
    """The bytes of a text message."""
    return json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode()


def encode_append(pcm24k: bytes) -> bytes:
    """`input_audio_buffer.append`. Fifty a second for each call: no JSON encoder, as base64 needs no escapes."""
    return _APPEND_HEAD + binascii.b2a_base64(pcm24k, newline=False) + _APPEND_TAIL


def update_session(session: Mapping[str, object], event_id: str) -> ClientEvent:
    return {"type": "session.update", "event_id": event_id, "session": dict(session)}


def truncate_item(item_id: str, audio_end_ms: int, event_id: str) -> ClientEvent:
    return {
        "type": "conversation.item.truncate",
        "event_id": event_id,
        "item_id": item_id,
        "content_index": 0,
        "audio_end_ms": audio_end_ms,
    }


def create_response() -> ClientEvent:
    return {"type": "response.create"}


def create_spoken(text: str) -> ClientEvent:
    """Speaks `text` as it stands, without asking the model (api-version 2026-01-01-preview and later)."""
    content = [{"type": "text", "text": text}]
    message = {"type": "message", "role": "assistant", "content": content}
    return {"type": "response.create", "response": {"pre_generated_assistant_message": message}}


def create_message(role: str, text: str) -> ClientEvent:
    """A message of the caller (`user`), the agent (`assistant`) or ourselves (`system`) in the conversation."""
    content = {"type": "text" if role == "assistant" else "input_text", "text": text}
    return {"type": "conversation.item.create", "item": {"type": "message", "role": role, "content": [content]}}


def create_function_call(call_id: str, name: str, arguments: str) -> ClientEvent:
    item = {"type": "function_call", "call_id": call_id, "name": name, "arguments": arguments}
    return {"type": "conversation.item.create", "item": item}


def create_function_output(call_id: str, output: str) -> ClientEvent:
    item = {"type": "function_call_output", "call_id": call_id, "output": output}
    return {"type": "conversation.item.create", "item": item}
