"""Echo and marks in one session, in a response that lasts until the session ends."""

from __future__ import annotations

import time
from typing import Protocol

from lab.voice_live.dialogue import Dialogue
from lab.voice_live.interruptions import Interruptions
from lab.voice_live.measuring import DeltaText, EchoLine, MarksLine, SendNow
from lab.voice_live.resource import Resource
from lab.voice_live.server_events import encode_event
from lab.voice_live.simulated_response import Response


class MeasuredLine(Protocol):
    def hear(self, audio: object, now: float) -> None:
        """Handle one append event. Raises `RefusedError`."""

    def hear_at_once(self, audio: bytes, now: float) -> bool:
        """Handle the base64 audio of an append event; false if `hear` must handle the event."""

    def stop(self) -> None: ...


def measured_line(dialogue: Dialogue, resource: Resource, send: SendNow) -> MeasuredLine | None:
    """Return the line that handles appended audio instead of turn detection; `None` if the agent follows a script."""
    mode = dialogue.answering.agent.mode
    if mode == "echo":
        return _Echo(dialogue, send)
    return _Marks(dialogue, resource, send) if mode == "marks" else None


def _open(dialogue: Dialogue, send: SendNow, now: float) -> Response:
    if (active := dialogue.answering.active) is not None:
        return active
    response, opening = dialogue.answering.open_endless(now)
    for one in opening:
        send(encode_event(one).encode())
    return response


class _Echo:
    def __init__(self, dialogue: Dialogue, send: SendNow) -> None:
        self._dialogue, self._send, self._line = dialogue, send, EchoLine()

    def hear(self, audio: object, now: float) -> None:
        self._dialogue.record.counters["appends"] += 1
        if self._line.text is None or self._line.text.response.over:
            self._line.text = DeltaText(_open(self._dialogue, self._send, now), self._dialogue.record.ga_names)
        delta = self._line.hear(audio)
        if delta is not None and self._send(delta):
            self._dialogue.record.counters["deltas"] += 1

    def hear_at_once(self, audio: bytes, now: float) -> bool:
        return False

    def stop(self) -> None:
        pass


class _Marks:
    def __init__(self, dialogue: Dialogue, resource: Resource, send: SendNow) -> None:
        self._dialogue, self._ticker, self._send = dialogue, resource.ticker, send
        self._resource = resource
        self._chunk_ms = resource.settings.marks_chunk_ms
        self._interrupt_s = resource.settings.marks_interrupt_s
        self._line: MarksLine | None = None

    def hear(self, audio: object, now: float) -> None:
        record = self._dialogue.record
        record.counters["appends"] += 1
        if self._line is None:  # The format of the session is known when the first append event arrives.
            rate_hz = self._dialogue.caller.rate_hz
            self._line = MarksLine(record, rate_hz, self._chunk_ms, self._send)
        if self._line.hear(audio, now):
            record.note(now, "marks_heard", call=self._line.call)
            self._line.begin_at(self._resource.first_mark(self._line.call))
            if self._interrupt_s:
                self._line.turns = Interruptions(self._dialogue, self._send, self._interrupt_s, time.monotonic())
            self._line.speak(_open(self._dialogue, self._send, now), time.monotonic())
            self._ticker.add(self._line)

    def hear_at_once(self, audio: bytes, now: float) -> bool:
        if self._line is None or not self._line.hear_at_once(audio, now):
            return False
        self._dialogue.record.counters["appends"] += 1
        return True

    def stop(self) -> None:
        if self._line is not None:
            self._ticker.remove(self._line)
