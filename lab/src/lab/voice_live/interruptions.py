"""Interrupts the marks of the agent at random times, to measure barge-in under load.

The events are those of turn detection: `speech_started` and the cancelled response; after a pause `speech_stopped`, the
turn of the caller, and a new response that continues the numbers of the marks.
"""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from lab.voice_live.dialogue import Dialogue
from lab.voice_live.measuring import MarksLine, SendNow
from lab.voice_live.server_events import Event, encode_event

SPEAKS_S = 0.4
"""Duration of the caller's speech."""


@dataclass
class Interruptions:
    """Interrupts the marks of one session. `every_s`: the mean time between two interruptions; each is between 0.5 and
    1.5 times that.
    """

    dialogue: Dialogue
    send: SendNow
    every_s: float
    began_at: float
    next_at: float = field(init=False)
    _speaks: bool = False

    def __post_init__(self) -> None:
        self.next_at = self.began_at + self._wait_s()

    def act(self, line: MarksLine) -> None:
        now = time.monotonic()
        heard_ms = int((now - self.began_at) * 1000)
        if self._speaks:
            self._send_all(self.dialogue.end_turn(heard_ms, now))
            response, opening = self.dialogue.answering.open_endless(now)
            self._send_all(opening)
            line.speak(response, time.monotonic())
        else:
            self._interrupt(line, heard_ms, now)
        self._speaks = not self._speaks
        self.next_at = time.monotonic() + (SPEAKS_S if self._speaks else self._wait_s())

    def _interrupt(self, line: MarksLine, heard_ms: int, now: float) -> None:
        spoken = self.dialogue.answering.active
        if spoken is not None and spoken.item is not None:
            spoken.item = replace(spoken.item, audio_ms=line.spoken_ms)
        first, *others = self.dialogue.begin_turn(heard_ms, now)
        encoded = encode_event(first).encode()
        written_at = time.monotonic()
        if self.send(encoded):
            self.dialogue.record.interrupted_at.append(written_at)
        self._send_all(others)
        if spoken is None or spoken.over:
            line.pause()

    def _send_all(self, sent: Sequence[Event]) -> None:
        for one in sent:
            self.send(encode_event(one).encode())

    def _wait_s(self) -> float:
        return self.every_s * random.uniform(0.5, 1.5)
