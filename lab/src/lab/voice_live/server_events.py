"""Builders of the server events of Voice Live.

Fields are in the order of recorded traffic (`event_id`, then `type`), so that both are easy to compare.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping

Event = dict[str, object]

_BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def new_id(kind: str) -> str:
    return f"{kind}_{''.join(secrets.choice(_BASE62) for _ in range(21))}"


def event(kind: str, /, **parts: object) -> Event:
    return {"event_id": new_id("event"), "type": kind, **parts}


def encode_event(sent: Mapping[str, object]) -> str:
    return json.dumps(sent, separators=(",", ":"), ensure_ascii=False)


class RefusedError(Exception):
    """An invalid client event, which is answered with an `error` event. The session continues unless the error is
    `fatal`.
    """

    def __init__(
        self,
        message: str,
        code: str | None = "invalid_request_error",
        param: str | None = None,
        *,
        kind: str = "invalid_request_error",
        named: bool = True,
        fatal: bool = False,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.param = param
        self.kind = kind
        """`type` in the `error` event."""
        self.named = named
        """Whether the `error` event contains the id of the client event."""
        self.fatal = fatal


def error(refused: RefusedError, client_event_id: str | None = None) -> Event:
    """Return an `error` event. `client_event_id`: the id of the invalid client event, if it had one."""
    body: Event = {
        "message": refused.message,
        "type": refused.kind,
        "code": refused.code,
        "param": refused.param,
        "event_id": client_event_id if refused.named else None,
    }
    return event("error", error=body)


def warning(message: str, code: str) -> Event:
    return event("warning", warning={"message": message, "code": code, "param": None})


def speech_started(audio_start_ms: int, item_id: str) -> Event:
    return event("input_audio_buffer.speech_started", audio_start_ms=audio_start_ms, item_id=item_id)


def speech_stopped(audio_end_ms: int, item_id: str) -> Event:
    return event("input_audio_buffer.speech_stopped", audio_end_ms=audio_end_ms, item_id=item_id)


def committed(previous_item_id: str | None, item_id: str) -> Event:
    return event("input_audio_buffer.committed", previous_item_id=previous_item_id, item_id=item_id)


def item_event(kind: str, previous_item_id: str | None, item: Mapping[str, object]) -> Event:
    """Return a `conversation.item.created` or `.done` event."""
    return event(f"conversation.item.{kind}", previous_item_id=previous_item_id, item=dict(item))


def transcription(item_id: str, transcript: str, language: str | None = None) -> list[Event]:
    """Return the events of the transcription of a caller's turn. The recognizer of Azure sends the whole text with its
    language; a native model sends a delta first.
    """
    kind = "conversation.item.input_audio_transcription"
    if language is not None:
        whole: Event = {"item_id": item_id, "content_index": 0, "transcript": transcript, "language": language}
        return [event(f"{kind}.completed", **whole)]
    return [
        event(f"{kind}.delta", item_id=item_id, content_index=0, delta=transcript),
        event(f"{kind}.completed", item_id=item_id, content_index=0, transcript=transcript),
    ]


def transcription_failed(item_id: str) -> Event:
    error: Event = {"type": "server_error", "code": "audio_unintelligible", "message": "Transcription failed."}
    kind = "conversation.item.input_audio_transcription.failed"
    return event(kind, item_id=item_id, content_index=0, error={**error, "param": None})


def truncated(item_id: str, audio_end_ms: int) -> Event:
    return event("conversation.item.truncated", item_id=item_id, content_index=0, audio_end_ms=audio_end_ms)
