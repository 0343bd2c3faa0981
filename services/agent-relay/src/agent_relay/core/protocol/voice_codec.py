"""JSON messages of Voice Live: server events are decoded, client events are encoded.

Voice Live and the Azure OpenAI Realtime preview use the beta names of the OpenAI Realtime API (`response.audio.delta`),
Azure OpenAI Realtime GA uses the GA names (`response.output_audio.delta`). Both are decoded in every mode. Unknown
events and unknown fields are not errors. Optional fields with a value of the wrong type count as missing.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Annotated, Any, Final, Literal, TypeAlias, TypeVar

import msgspec
import pybase64
from msgspec import convert

from agent_relay.core.protocol.voice_events import (
    AgentTextDone,
    AgentTranscriptDelta,
    AgentTranscriptDone,
    AudioDelta,
    ClientEvent,
    ErrorEvent,
    FunctionCall,
    ItemDone,
    McpApproval,
    McpCall,
    McpCallDone,
    McpCallOver,
    McpListFailed,
    McpTools,
    Other,
    ResponseCreated,
    ResponseDone,
    ServerEvent,
    SessionCreated,
    SessionUpdated,
    SpeechStarted,
    SpeechStopped,
    Truncated,
    UserTranscript,
    UserTranscriptFailed,
    WarningEvent,
)
from bridge_common.base.errors import FrameError
from bridge_common.base.redaction import redacted
from bridge_common.wire.audio import VOICE_RATE_HZ

Message: TypeAlias = str | bytes | memoryview
Fields: TypeAlias = dict[str, Any]
_T = TypeVar("_T")


class _AudioDelta(msgspec.Struct):
    """An audio delta. `delta` is a `str`, because JSON may escape the `+` of base64 and pybase64 is faster than
    msgspec.

    A `Literal` for both names is as fast as a tag for one; a union of two tagged structs is 5 % slower.
    """

    type: Literal["response.audio.delta", "response.output_audio.delta"]
    response_id: str
    item_id: str
    delta: str
    content_index: int = 0


_AUDIO_DELTA: Final = msgspec.json.Decoder(_AudioDelta)


def decode(data: Message) -> ServerEvent:
    """Decode one text or binary message. Raises `FrameError`, whose message contains the invalid field.

    Nearly all messages are audio, for which there is a fast path.
    """
    try:
        audio = _AUDIO_DELTA.decode(data)
        pcm = pybase64.b64decode(audio.delta, validate=True)
    except (ValueError, RecursionError):
        return _decode_any(data)
    return AudioDelta(audio.response_id, audio.item_id, pcm, audio.content_index)


def _decode_any(data: Message) -> ServerEvent:
    try:
        # Unlike msgspec, `json` accepts a delta of text that ends within a surrogate pair.
        event = json.loads(bytes(data) if isinstance(data, memoryview) else data)
    except (ValueError, RecursionError) as error:
        raise FrameError(f"message is not valid JSON: {error}") from error
    if not isinstance(event, dict):
        raise FrameError("message is not a JSON object")
    type_ = event.get("type")
    if not isinstance(type_, str):
        raise FrameError("`type` is missing or is not a string")
    reader = _READERS.get(type_)
    if reader is None:
        return Other(type_)
    try:
        return reader(event)
    except ValueError as error:
        raise FrameError(f"{type_}: {error}".replace("`$.", "`")) from error


# -- events whose message has another structure ----------------------------------------------------------------------
class _Identified(msgspec.Struct):
    id: str


class _Session(_Identified):
    agent: object = None
    tools: object = None
    audio: object = None
    expires_at: Annotated[float, msgspec.Meta(ge=0, lt=2**53)] | None = None


class _Response(_Identified):
    status: str
    status_details: object = None


class _Item(_Identified):
    type: object = None
    status: object = "completed"


def _member(event: Fields, name: str, kind: type[_T]) -> _T:
    try:
        return convert(event.get(name), kind)
    except ValueError as error:
        raise FrameError(f"`{name}` of {event['type']}: {error}".replace("`$.", "`")) from error


def _optional_object(value: object) -> Fields:
    return value if isinstance(value, dict) else {}


def _optional_text(fields: Fields, name: str) -> str:
    value = fields.get(name)
    return value if isinstance(value, str) else ""


def _session(event: Fields) -> tuple[str, str, int, tuple[str, ...] | None, tuple[str, ...]]:
    session = _member(event, "session", _Session)
    thread = _optional_text(_optional_object(session.agent), "thread_id")
    conversation_id = thread or _optional_text(event, "conversation_id")
    expires_at_s = int(session.expires_at or 0)
    return session.id, conversation_id, expires_at_s, _functions(session.tools), _audio_formats(session.audio)


def _functions(tools: object) -> tuple[str, ...] | None:
    if not isinstance(tools, list):
        return None
    objects = [_optional_object(tool) for tool in tools]
    return tuple(_optional_text(tool, "name") for tool in objects if tool.get("type") == "function")


def _audio_formats(audio: object) -> tuple[str, ...]:
    sides = (_optional_object(_optional_object(audio).get(side)) for side in ("input", "output"))
    formats = (_optional_object(side.get("format")) for side in sides)
    rates = ((_optional_text(one, "type"), one.get("rate", VOICE_RATE_HZ)) for one in formats)
    return tuple(kind if rate == VOICE_RATE_HZ else f"{kind} {rate}" for kind, rate in rates if kind)


def _response_done(event: Fields) -> ResponseDone:
    response = _member(event, "response", _Response)
    details = _optional_object(response.status_details)
    error = _optional_object(details.get("error"))
    kind = _optional_text(error, "type")
    return ResponseDone(
        response.id,
        response.status,
        _optional_text(details, "reason") or _optional_text(error, "code") or kind,
        redacted(_optional_text(error, "message")),
        kind,
    )


def _error(event: Fields) -> ErrorEvent:
    error = _member(event, "error", Fields)
    kind = _optional_text(error, "type")
    return ErrorEvent(
        _optional_text(error, "code") or kind,
        redacted(_optional_text(error, "message")),
        _optional_text(error, "param"),
        _optional_text(error, "event_id"),
        kind,
    )


def _warning(event: Fields) -> WarningEvent:
    warning = _member(event, "warning", Fields)
    return WarningEvent(_optional_text(warning, "code"), redacted(_optional_text(warning, "message")))


def _failed_transcript(event: Fields) -> UserTranscriptFailed:
    message = redacted(_optional_text(_optional_object(event.get("error")), "message"))
    return convert({**event, "message": message}, UserTranscriptFailed)


def _function_call(event: Fields) -> ServerEvent:
    if "name" not in event:
        # OpenAI Realtime sends the name only in `response.output_item.done`.
        return Other(event["type"])
    return convert(event, FunctionCall)


def _item_done(event: Fields) -> ServerEvent:
    """Decode the end of an output item. A completed `function_call` item contains the whole call, which Voice Live has
    already sent in its own event.
    """
    item = _member(event, "item", _Item)
    if item.type in _MCP_ITEMS:
        return _mcp_item(event, item, complete=True)
    event = {**event["item"], "item_id": item.id, "response_id": event.get("response_id")}
    if item.type == "function_call" and item.status == "completed":
        return convert(event, FunctionCall)
    return convert(event, ItemDone)


def _item_added(event: Fields) -> ServerEvent:
    item = _member(event, "item", _Item)
    return _mcp_item(event, item, complete=False) if item.type in _MCP_ITEMS else Other(event["type"])


def _mcp_item(event: Fields, item: _Item, *, complete: bool) -> ServerEvent:
    """Decode an item of an MCP server. `complete`: the event reports its end."""
    found = event["item"]
    label, name, arguments = (_optional_text(found, key) for key in ("server_label", "name", "arguments"))
    response_id = _optional_text(event, "response_id")
    if item.type == "mcp_list_tools":
        return McpTools(item.id, label)
    if item.type == "mcp_approval_request":
        return McpApproval(item.id, label, name, arguments, response_id)
    if not complete:
        return McpCall(response_id, item.id, label, name)
    error = found.get("error")
    failure = json.dumps({"error": error}) if error else ""
    return McpCallDone(item.id, name, arguments, failure or _optional_text(found, "output"))


def _audio_delta(event: Fields) -> AudioDelta:
    audio = _of_part(_AudioDelta)(event)
    try:
        pcm = pybase64.b64decode(audio.delta, validate=True)
    except ValueError as error:
        raise FrameError("`delta` is not valid base64") from error
    return AudioDelta(audio.response_id, audio.item_id, pcm, audio.content_index)


def _of_part(kind: type[_T]) -> Callable[[Fields], _T]:
    """Return a reader for events about one content part. It is the first part if `content_index` is not an integer."""

    def read(event: Fields) -> _T:
        index = event.get("content_index")
        return convert(event if type(index) is int else {**event, "content_index": 0}, kind)

    return read


def _plain(kind: type[_T]) -> Callable[[Fields], _T]:
    return lambda event: convert(event, kind)


_MCP_ITEMS: Final = ("mcp_list_tools", "mcp_approval_request", "mcp_call")
_TRANSCRIPTION: Final = "conversation.item.input_audio_transcription"
_READERS: Final[dict[str, Callable[[Fields], ServerEvent]]] = {
    "session.created": lambda event: SessionCreated(*_session(event)),
    "session.updated": lambda event: SessionUpdated(*_session(event)),
    "input_audio_buffer.speech_started": _plain(SpeechStarted),
    "input_audio_buffer.speech_stopped": _plain(SpeechStopped),
    f"{_TRANSCRIPTION}.completed": _plain(UserTranscript),
    f"{_TRANSCRIPTION}.failed": _failed_transcript,
    "response.created": lambda event: ResponseCreated(_member(event, "response", _Identified).id),
    "response.audio.delta": _audio_delta,
    "response.output_audio.delta": _audio_delta,
    "response.audio_transcript.delta": _of_part(AgentTranscriptDelta),
    "response.output_audio_transcript.delta": _of_part(AgentTranscriptDelta),
    "response.audio_transcript.done": _of_part(AgentTranscriptDone),
    "response.output_audio_transcript.done": _of_part(AgentTranscriptDone),
    "response.text.done": _of_part(AgentTextDone),
    "response.output_text.done": _of_part(AgentTextDone),
    "response.output_item.added": _item_added,
    "response.output_item.done": _item_done,
    "conversation.item.created": _item_added,
    "conversation.item.added": _item_added,
    "mcp_list_tools.failed": _plain(McpListFailed),
    "response.mcp_call.completed": _plain(McpCallOver),
    "response.mcp_call.failed": _plain(McpCallOver),
    "response.function_call_arguments.done": _function_call,
    "response.done": _response_done,
    "conversation.item.truncated": _plain(Truncated),
    "error": _error,
    "warning": _warning,
}


_APPEND_HEAD: Final = b'{"type":"input_audio_buffer.append","audio":"'
_APPEND_TAIL: Final = b'"}'


def encode(event: ClientEvent) -> bytes:
    """Encode a client event as JSON. A lone surrogate, which JSON allows in a string, is sent as `?`."""
    return json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode(errors="replace")


def encode_append(pcm24k: bytes) -> bytes:
    """Encode `input_audio_buffer.append`, 50 times a second for each call. No JSON encoder is used, because base64
    needs no escapes.
    """
    return _APPEND_HEAD + pybase64.b64encode(pcm24k) + _APPEND_TAIL
