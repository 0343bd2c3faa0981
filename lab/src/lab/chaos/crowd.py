"""The callers of one run: they dial and send numbered frames (marks); both simulators report what they sent and
heard.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Final

from lab.chaos.call_evidence import CallEvidence, SeenMediaSocket, SeenVoiceSession
from lab.stack import Stack
from lab.traffic import await_talking, hang_up, place_call, place_calls
from lab.wire import Json, WireError, call_json, raw, rows

_FOREVER: Final = float("inf")


@dataclass(slots=True)
class Crowd:
    """A group of callers. `first`: number of the first caller; caller numbers are unique during the lifetime of a
    fleet.
    """

    stack: Stack
    first: int
    count: int
    recorded: bool = False
    """Record the audio that the callers hear."""
    placed: dict[int, str] = field(default_factory=dict)
    answered: int = 0
    _over_before: frozenset[str] = frozenset()

    def dial(self, spacing_s: float = 0.0) -> None:
        """Place all calls at the same time, or one every `spacing_s`."""
        voice = self.stack.url("voice-live")
        listed = rows(call_json("GET", f"{voice}/lab/sessions"))
        self._over_before = frozenset(row["id"] for row in listed if row["state"] == "closed")
        numbers = range(self.first, self.first + self.count)
        if not spacing_s:
            self.placed = place_calls(self.stack, numbers, record=self.recorded)
            return
        began = time.monotonic()
        for index, number in enumerate(numbers):
            time.sleep(max(0.0, began + index * spacing_s - time.monotonic()))
            self.placed |= place_calls(self.stack, [number], record=self.recorded)

    def dial_at_risk(self) -> None:
        """Dial while the service may be down. Requests may fail, so the calls are found by their numbers afterwards."""
        acs = self.stack.url("acs")
        numbers = {f"+1425555{number:05d}": number for number in range(self.first, self.first + self.count)}
        with ThreadPoolExecutor(self.count) as pool:
            for placing in [pool.submit(place_call, acs, number) for number in numbers.values()]:
                with contextlib.suppress(WireError):
                    placing.result()
        listed = rows(call_json("GET", f"{acs}/lab/calls"))
        self.placed = {numbers[row["from"]]: row["id"] for row in listed if row["from"] in numbers}

    def await_talking(self) -> None:
        """Wait until all calls exchange audio. Raises `StackError`."""
        self.answered = await_talking(self.stack, self.placed)

    def keep(self, lab_ids: Sequence[str]) -> None:
        """Limit the crowd to these calls."""
        self.placed = {number: lab_id for number, lab_id in self.placed.items() if lab_id in lab_ids}

    def hang_up(self) -> None:
        hang_up(self.stack, {number: lab_id for number, lab_id in self.placed.items() if self._talks(lab_id)})

    def phone(self, lab_id: str) -> Json:
        found: Json = call_json("GET", f"{self.stack.url('acs')}/lab/calls/{lab_id}")
        return found

    def marks(self, lab_id: str) -> Json:
        """Return the frames that the caller sent and heard. Raises `WireError` if the call was never connected."""
        found: Json = call_json("GET", f"{self.stack.url('acs')}/lab/calls/{lab_id}/marks")
        return found

    def recording(self, lab_id: str) -> bytes:
        """Return the recording, a stereo WAV: caller and agent."""
        return raw("GET", f"{self.stack.url('acs')}/lab/calls/{lab_id}/recording.wav")

    def phones(self) -> list[Json]:
        return [self.phone(lab_id) for lab_id in self.placed.values()]

    def sessions(self) -> list[Json]:
        """Return the voice sessions that may have heard these callers. Warm sessions are opened before the callers
        dial.
        """
        listed = rows(call_json("GET", f"{self.stack.url('voice-live')}/lab/sessions"))
        return [row for row in listed if row["id"] not in self._over_before and row["counters"].get("appends")]

    def traces(self, connected: frozenset[str]) -> list[CallEvidence]:
        """Return the outcome of each call. `connected`: calls that were still connected at the end of the
        observation.
        """
        voice = self.stack.url("voice-live")
        opened: dict[int, list[SeenVoiceSession]] = {number: [] for number in self.placed}
        for row in self.sessions():
            marks = call_json("GET", f"{voice}/lab/sessions/{row['id']}/marks")
            if marks["heard"] and marks["heard"][0][0] in opened:
                timeline = call_json("GET", f"{voice}/lab/sessions/{row['id']}")["timeline"]
                opened[marks["heard"][0][0]].append(_session(marks, timeline, row["conversation_id"] or ""))
        return [self._trace(number, lab_id, opened[number], connected) for number, lab_id in self.placed.items()]

    def _trace(
        self, number: int, lab_id: str, sessions: list[SeenVoiceSession], connected: frozenset[str]
    ) -> CallEvidence:
        try:
            marks = self.marks(lab_id)
        except WireError:  # The call was never connected.
            marks = {}
        return CallEvidence(
            number=number,
            connected=lab_id in connected,
            sent=[(seq, t) for seq, t in marks.get("sent", ())],
            heard=[(call, seq, t) for call, seq, t in marks.get("heard", ())],
            sessions=sorted(sessions, key=lambda session: session.opened_at),
            breaks=media_breaks(self.phone(lab_id)["timeline"]),
        )

    def starts_asked(self) -> int:
        """Return the number of requests to ACS to start media streaming of these calls."""
        listed = rows(call_json("GET", f"{self.stack.url('acs')}/lab/calls"))
        mine = set(self.placed.values())
        return sum(row["counters"].get("media_starts_asked", 0) for row in listed if row["id"] in mine)

    def _talks(self, lab_id: str) -> bool:
        return bool(self.phone(lab_id)["state"] == "connected")

    def connected(self) -> frozenset[str]:
        listed = rows(call_json("GET", f"{self.stack.url('acs')}/lab/calls"))
        mine = set(self.placed.values())
        return frozenset(row["id"] for row in listed if row["id"] in mine and row["state"] == "connected")


def media_breaks(timeline: Sequence[Json]) -> list[SeenMediaSocket]:
    """Return the losses of the media socket, from the call's timeline in the simulated ACS."""
    breaks: list[SeenMediaSocket] = []
    lost_at = 0.0
    dialed_at = reported_at = _FOREVER
    refused = 0
    for row in timeline:
        event, t = row["event"], float(row["t"])
        if event == "media_closed" and not lost_at:
            lost_at, dialed_at, reported_at, refused = t, _FOREVER, _FOREVER, 0
        elif not lost_at:
            continue
        elif event in ("media_streaming_failed", "media_streaming_stopped"):
            reported_at = min(reported_at, t)
        elif event == "media_dialling":
            dialed_at = t
        elif event == "media_refused":
            refused += 1
        elif event == "media_open":
            breaks.append(SeenMediaSocket(lost_at, dialed_at, t, reported_at, refused))
            lost_at = 0.0
    if lost_at:
        breaks.append(SeenMediaSocket(lost_at, dialed_at, _FOREVER, reported_at, refused))
    return breaks


def _session(marks: Json, timeline: Sequence[Json], conversation_id: str) -> SeenVoiceSession:
    closed = [float(row["t"]) for row in timeline if row["event"] == "closed"]
    met = [float(row["t"]) for row in timeline if row["event"] == "marks_heard"]
    return SeenVoiceSession(
        opened_at=met[0] if met else time.monotonic(),
        closed_at=closed[-1] if closed else _FOREVER,
        sent=[(seq, t) for _, seq, t in marks["sent"]],
        heard=[(call, seq, t) for call, seq, t in marks["heard"]],
        conversation_id=conversation_id,
        muted_at=min((float(row["t"]) for row in timeline if row["event"] == "muted"), default=_FOREVER),
    )
