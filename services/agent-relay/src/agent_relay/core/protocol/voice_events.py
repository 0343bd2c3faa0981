"""Server events that the relay acts on, and client events that it sends (Voice Live API reference 2026-07-15).

All other server events become `Other`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

import msgspec

ClientEvent: TypeAlias = dict[str, object]


# -- server events ------------------------------------------------------------------------------------------------
class _Event(msgspec.Struct, frozen=True, gc=False):
    """Base class of the server events. A struct, because one is created for each piece of the agent's speech. Optional
    fields that the service did not send are "" or 0. `field(name=…)`: the name in the message.
    """


class _SessionEvent(_Event, frozen=True):
    session_id: str
    conversation_id: str
    """Id of the Foundry conversation, in agent modes only."""
    expires_at_s: int
    """Unix time in seconds."""
    functions: tuple[str, ...] | None = None
    """Names of the function tools; None if the service did not report the tools."""
    audio_formats: tuple[str, ...] = ()
    """Reported formats of a GA session, such as `audio/pcm`, with a rate other than 24 kHz as `audio/pcm 16000`."""


class SessionCreated(_SessionEvent, frozen=True): ...


class SessionUpdated(_SessionEvent, frozen=True): ...


class SpeechStarted(_Event, frozen=True):
    item_id: str


class SpeechStopped(_Event, frozen=True):
    item_id: str


class UserTranscript(_Event, frozen=True):
    item_id: str
    text: str = msgspec.field(name="transcript")


class UserTranscriptFailed(_Event, frozen=True):
    item_id: str
    message: str


class ResponseCreated(_Event, frozen=True):
    response_id: str


class AudioDelta(_Event, frozen=True):
    response_id: str
    item_id: str
    pcm: bytes
    """PCM at 24 kHz. A sample may be split between two deltas."""
    content_index: int = 0
    """Index of the content part within the item."""


class AgentTranscriptDelta(_Event, frozen=True):
    """A piece of the spoken text. It arrives earlier than its audio."""

    response_id: str
    item_id: str
    text: str = msgspec.field(name="delta")
    content_index: int = 0


class AgentTranscriptDone(_Event, frozen=True):
    response_id: str
    item_id: str
    text: str = msgspec.field(name="transcript")
    content_index: int = 0


class AgentTextDone(_Event, frozen=True):
    """A text part of the model's output, which is not spoken."""

    response_id: str
    item_id: str
    text: str
    content_index: int = 0


class ItemDone(_Event, frozen=True):
    """The output item is complete; its audio may still be playing."""

    response_id: str
    item_id: str


class FunctionCall(_Event, frozen=True):
    """The model calls a function. The event may arrive twice, with the same `call_id`."""

    response_id: str
    item_id: str
    call_id: str
    name: str
    arguments: str
    """JSON text, not normalized."""


class McpTools(_Event, frozen=True):
    """The service lists the tools of an MCP server."""

    item_id: str
    server_label: str


class McpListFailed(_Event, frozen=True):
    item_id: str


class McpApproval(_Event, frozen=True):
    """The service asks whether it may call a tool of an MCP server. The event may arrive several times."""

    item_id: str
    server_label: str
    name: str
    arguments: str = ""
    response_id: str = ""


class McpCall(_Event, frozen=True):
    """The service calls a tool of an MCP server."""

    response_id: str
    item_id: str
    server_label: str
    name: str


class McpCallOver(_Event, frozen=True):
    item_id: str


class McpCallDone(_Event, frozen=True):
    """The complete item of the call. It may arrive before or after `McpCallOver`."""

    item_id: str
    name: str
    arguments: str
    output: str


class ResponseDone(_Event, frozen=True):
    response_id: str
    status: str
    """`completed`, `cancelled`, `incomplete` or `failed`."""
    reason: str
    """`turn_detected`, `client_cancelled`, `max_output_tokens`, `content_filter`, the error's code, or its type if it
    has no code."""
    message: str = ""
    """The error's message, if the response failed."""
    kind: str = ""
    """The error's type, e.g. `server_error`."""


class Truncated(_Event, frozen=True):
    item_id: str
    audio_end_ms: int


class ErrorEvent(_Event, frozen=True):
    """The service rejected a client event, or failed. After most errors the session stays open."""

    code: str
    """The error's code, or its type if it has no code."""
    message: str
    param: str
    event_id: str
    """`event_id` of the client event that was rejected."""
    kind: str = ""
    """The error's type, e.g. `invalid_request_error` or `server_error`."""


class WarningEvent(_Event, frozen=True):
    code: str
    message: str


class Other(_Event, frozen=True):
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
    | McpTools
    | McpListFailed
    | McpApproval
    | McpCall
    | McpCallOver
    | McpCallDone
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
    """Truncate an item. `audio_end_ms` is relative to the beginning of the content part."""
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
    """Speak `text` verbatim, without the model (api-version 2026-01-01-preview and later)."""
    content = [{"type": "text", "text": text}]
    message = {"type": "message", "role": "assistant", "content": content}
    return {"type": "response.create", "response": {"pre_generated_assistant_message": message}}


def create_instructed(instructions: str) -> ClientEvent:
    """Request a response whose `instructions` replace those of the session. Rejected in agent mode."""
    return {"type": "response.create", "response": {"instructions": instructions}}


def cancel_response(response_id: str) -> ClientEvent:
    """Cancel a response. Not needed for a barge-in, because the service cancels the interrupted response itself."""
    return {"type": "response.cancel", "event_id": f"cancel-{response_id}", "response_id": response_id}


def create_message(role: str, text: str, assistant_part: str = "text") -> ClientEvent:
    """Create a conversation item of the caller (`user`), the agent (`assistant`) or the relay (`system`).

    `assistant_part`: content type of an assistant message; OpenAI Realtime GA accepts only `output_text`.
    """
    content = {"type": assistant_part if role == "assistant" else "input_text", "text": text}
    return {"type": "conversation.item.create", "item": {"type": "message", "role": role, "content": [content]}}


def create_function_call(call_id: str, name: str, arguments: str) -> ClientEvent:
    item = {"type": "function_call", "call_id": call_id, "name": name, "arguments": arguments}
    return {"type": "conversation.item.create", "item": item}


def create_approval(request_id: str, *, approve: bool) -> ClientEvent:
    item = {"type": "mcp_approval_response", "approval_request_id": request_id, "approve": approve}
    return {"type": "conversation.item.create", "item": item}


def create_function_output(call_id: str, output: str) -> ClientEvent:
    item = {"type": "function_call_output", "call_id": call_id, "output": output}
    return {"type": "conversation.item.create", "item": item}
