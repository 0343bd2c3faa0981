"""The questions of the probe and the meaning of the answers. No I/O.

The documentation of Voice Live leaves open what an agent session does with these client events. Each question sends one
of them and reads the events that follow.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from agent_relay.core.protocol.voice_events import (
    ClientEvent,
    create_function_output,
    create_instructed,
    create_message,
    create_response,
    create_spoken,
    truncate_item,
    update_session,
)

Event: TypeAlias = Mapping[str, object]
CODE_WORD: Final = "heron"
SPOKEN: Final = "This sentence was written by the client."
_ASK: Final = create_message("user", "What is the code word? Answer with the word only.")


@dataclass(frozen=True, slots=True)
class Question:
    text: str
    send: Sequence[ClientEvent]
    judge: Callable[[Sequence[Event]], str]
    """Returns the answer from the events that followed."""
    responds: bool = False
    """Whether a response is expected, not only an answer to the event."""


def questions(said_item_id: str) -> list[Question]:
    """`said_item_id`: an item that the agent has spoken."""
    fields: Mapping[str, object] = {
        "tool_choice": "auto",
        "parallel_tool_calls": False,
        "temperature": 0.7,
        "metadata": {"probe": "1"},
        "interim_response": {"type": "static_interim_response", "texts": ["One moment."], "latency_threshold_ms": 1000},
        "instructions": "Answer in one word.",
        "tools": [],
    }
    asked = [
        Question(f"session.update with `{name}`", [update_session({name: value}, "")], _applied(name, value))
        for name, value in fields.items()
    ]
    tell = create_message("system", f"The code word is {CODE_WORD}.")
    return [
        *asked,
        Question("a system item", [tell], _item),
        Question("a turn after the system item: does the agent know it?", [_ASK, create_response()], _knows, True),
        Question("the next turn: does it last?", [_ASK, create_response()], _knows, True),
        Question("`function_call_output` of an unknown call", [create_function_output("call_probe", "{}")], _item),
        Question("`mcp_approval_response` of an unknown request", [_approval()], _item),
        Question("response.create with `instructions`", [create_instructed("Say yes.")], _responded, True),
        Question("response.create with `metadata`", [_response({"metadata": {"probe": "1"}})], _metadata, True),
        Question("response.create with `conversation: none`", [_response({"conversation": "none"})], _responded, True),
        Question("response.create with `pre_generated_assistant_message`", [create_spoken(SPOKEN)], _verbatim, True),
        Question("conversation.item.truncate", [truncate_item(said_item_id, 100, "")], _truncated),
    ]


def refusal(events: Sequence[Event]) -> str:
    """Return code and message of the first error, "" if there is none."""
    for event in events:
        if event.get("type") == "error":
            error = event.get("error")
            found = error if isinstance(error, Mapping) else {}
            return f"refused: {found.get('code') or found.get('type') or 'error'}: {found.get('message', '')}"
    return ""


def text_of(events: Sequence[Event]) -> str:
    """Return the agent's words, spoken or written, from both generations of event names."""
    parts: dict[object, str] = {}
    for event in events:
        name = str(event.get("type", ""))
        if name.endswith((".audio_transcript.done", ".output_audio_transcript.done")):
            parts[event.get("item_id")] = str(event.get("transcript", ""))
        elif name.endswith((".text.done", ".output_text.done")):
            parts[event.get("item_id")] = str(event.get("text", ""))
    return " ".join(parts.values())


def _applied(name: str, value: object) -> Callable[[Sequence[Event]], str]:
    def judge(events: Sequence[Event]) -> str:
        if found := refusal(events):
            return found
        for event in events:
            session = event.get("session")
            if event.get("type") == "session.updated" and isinstance(session, Mapping):
                if name not in session:
                    return "accepted; session.updated does not report it"
                return "accepted" if session[name] == value else f"accepted, but reported as {session[name]!r}"
        return "no answer"

    return judge


def _item(events: Sequence[Event]) -> str:
    created = ("conversation.item.created", "conversation.item.added", "conversation.item.done")
    for event in events:
        if event.get("type") in created:
            item = event.get("item")
            found = item if isinstance(item, Mapping) else {}
            return f"accepted as {found.get('role') or found.get('type') or 'an item'}"
    return refusal(events) or "no answer"


def _responded(events: Sequence[Event]) -> str:
    status = next((_response_of(event).get("status") for event in events if event.get("type") == "response.done"), None)
    if status is None:
        return refusal(events) or "no response"
    return f"response {status}: {text_of(events) or 'without words'}"


def _knows(events: Sequence[Event]) -> str:
    words = text_of(events)
    if not words:
        return _responded(events)
    return f"yes: {words}" if CODE_WORD in words.lower() else f"no: {words}"


def _metadata(events: Sequence[Event]) -> str:
    kept = any(_response_of(event).get("metadata") for event in events)
    return f"{_responded(events)} (metadata {'returned' if kept else 'not returned'})"


def _verbatim(events: Sequence[Event]) -> str:
    return f"{_responded(events)} ({'verbatim' if SPOKEN in text_of(events) else 'not verbatim'})"


def _truncated(events: Sequence[Event]) -> str:
    accepted = any(event.get("type") == "conversation.item.truncated" for event in events)
    return "accepted" if accepted else refusal(events) or "no answer"


def _response_of(event: Event) -> Mapping[str, object]:
    response = event.get("response")
    return response if isinstance(response, Mapping) else {}


def _response(options: Mapping[str, object]) -> ClientEvent:
    return {"type": "response.create", "response": dict(options)}


def _approval() -> ClientEvent:
    item = {"type": "mcp_approval_response", "approval_request_id": "mcpr_probe", "approve": False}
    return {"type": "conversation.item.create", "item": item}
