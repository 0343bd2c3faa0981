"""One call as observed from outside: by the phone, by the voice service and through the operator API."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import quote

from lab.acs.party_identifiers import Identifier
from lab.scenario import CallHeaders, Scenario
from lab.scenario_people import VOICE
from lab.stack import Stack
from lab.wire import Json, WireError, call_json, raw, rows

CALLEE: Final = "+18005551212"
UNSCRIPTED: Final = "(speech)"
"""Transcription by the simulated Voice Live if the scenario has no `heard` for a turn."""
LOST_WITH_THE_CALL_S: Final = 1.5
"""Speech may be lost if it ends within this time before the end of the call: a turn ends only after silence."""
KEYS_LOST_WITH_THE_CALL_S: Final = 4.0
"""The same for keys: they are collected until the caller pauses."""
FINISHED: Final = frozenset({"ended", "redirected", "rejected", "unanswered"})
_OVER: Final = ("left", "participant_not_reached", "transfer_failed", "invitation_canceled")
"""Events of the phone after which a person is neither called nor in the call."""
_LATE_S: Final = 0.6
"""Maximum delay with which the simulated phone reports the end of agent speech (`HANGOVER_MS` of quiet)."""


@dataclass(frozen=True, slots=True)
class CallerTurn:
    """An utterance or a played file. `cut_off`: the call may have ended before its transcription. `unheard`: the agent
    may not have heard it, because it was said to other people, or by them.
    """

    text: str
    cut_off: bool = False
    unheard: bool = False

    def sounds_like(self, transcribed: str) -> bool:
        """Whether a transcription has the same words. A played file and a transcription that is not in the script match
        anything.
        """
        anything = self.text.startswith("[") or transcribed == UNSCRIPTED
        return anything or _words(self.text) == _words(transcribed)


@dataclass(slots=True)
class ObservedCall:
    """Polls both simulators. `phone` and `voice` are their latest answers; `new_events` returns events that it has not
    returned before. `voice` is the latest voice session, with the timeline and the speech of all of them.
    """

    stack: Stack
    lab_id: str
    sessions_before: frozenset[str]
    phone: Json = field(default_factory=dict)
    voice: Json = field(default_factory=dict)
    own_sessions: set[str] | None = None
    """Ids of the call's voice sessions, if other calls run at the same time; `None`: all that were opened since."""
    _sessions: list[Json] = field(default_factory=list)
    _shown: dict[str, int] = field(default_factory=dict)
    _held_back: list[tuple[str, Json]] = field(default_factory=list)

    def poll(self) -> None:
        self.phone = call_json("GET", f"{self.stack.url('acs')}/lab/calls/{self.lab_id}")
        if sessions := self.sessions():
            self._sessions, self.voice = sessions, _merged(sessions)

    def sessions(self) -> list[Json]:
        """Fetch all voice sessions of the call: those that were opened since it was placed."""
        url = f"{self.stack.url('voice-live')}/lab/sessions"
        if self.own_sessions is not None:
            return [call_json("GET", f"{url}/{session_id}") for session_id in sorted(self.own_sessions)]
        mine = [row["id"] for row in rows(call_json("GET", url)) if row["id"] not in self.sessions_before]
        return [call_json("GET", f"{url}/{session_id}") for session_id in mine]

    @property
    def finished(self) -> bool:
        return self.phone.get("state") in FINISHED

    def new_events(self) -> list[tuple[str, Json]]:
        """Return new (side, event) pairs in order of time; side is `phone` or `voice`.

        While the call runs, an event is withheld until no earlier event can arrive.
        """
        events = self._held_back
        sessions = [("voice", source) for source in self._sessions or [self.voice]]
        for side, source in [("phone", self.phone), *sessions]:
            timeline, name = source.get("timeline", []), f"{side} {source.get('id')}"
            events += [(side, event) for event in timeline[self._shown.get(name, 0) :]]
            self._shown[name] = len(timeline)
        events.sort(key=lambda pair: float(pair[1]["t"]))
        polled = [float(source["now"]) for source in (self.phone, self.voice) if "now" in source]
        complete_to = float("inf") if self.finished else min(polled, default=0.0) - _LATE_S
        due = [pair for pair in events if float(pair[1]["t"]) <= complete_to]
        self._held_back = events[len(due) :]
        return due

    @property
    def rang_at(self) -> float | None:
        """The time at which the phone began to ring, on the clock of the timelines."""
        return min(self.times("phone", "incoming_call_sent"), default=None)

    def times(self, side: str, event: str) -> list[float]:
        """Return the times of an event on one side, in monotonic seconds."""
        timeline = (self.phone if side == "phone" else self.voice).get("timeline", [])
        return [float(row["t"]) for row in timeline if row["event"] == event]

    def caller_turns(self) -> list[CallerTurn]:
        """Return what the caller and the other people said, in order."""
        late = self._ended() - LOST_WITH_THE_CALL_S
        apart = self._apart()
        turns = [
            (began, CallerTurn(text, over > late, any(start <= over and began <= end for start, end in apart)))
            for text, began, over in self.utterances()
        ]
        for raw_id in self.people():
            turns += [(began, CallerTurn(text, unheard=True)) for text, began, _ in self.utterances(raw_id)]
        return [turn for _, turn in sorted(turns, key=lambda one: one[0])]

    def _apart(self) -> list[tuple[float, float]]:
        """Return the periods in which the agent may not hear the caller: while another person is called or is in the
        call, or while the caller is on hold.
        """
        timeline, periods = self._phone_timeline(), []
        for invited in self.phone.get("invitations", []):
            ends = (
                float(row["t"])
                for row in timeline
                if row["event"] in _OVER
                and invited["target"] in (row.get("participant"), row.get("target"))
                and float(row["t"]) > float(invited["t"])
            )
            periods.append((float(invited["t"]), next(ends, float("inf"))))
        held = [float(row["t"]) for row in timeline if row["event"] == "hold"]
        resumed = [float(row["t"]) for row in timeline if row["event"] == "unhold"]
        return [*periods, *((t, next((end for end in resumed if end > t), float("inf"))) for t in held)]

    def keys(self) -> tuple[str, str]:
        """Return the keys that the caller pressed for the agent, and those at the end that may not have been processed
        before the call ended.
        """
        apart = self._apart()
        pressed = [
            row
            for row in self._phone_timeline()
            if row["event"] == "dtmf"
            and row["by"] == "caller"
            and not any(start <= float(row["t"]) <= end for start, end in apart)
        ]
        late = self._ended() - KEYS_LOST_WITH_THE_CALL_S
        kept = [str(row["tone"]) for row in pressed if float(row["t"]) <= late]
        return "".join(str(row["tone"]) for row in pressed), "".join(str(row["tone"]) for row in pressed[len(kept) :])

    def _phone_timeline(self) -> list[Json]:
        rows: list[Json] = self.phone.get("timeline", [])
        return rows

    def _ended(self) -> float:
        """The time at which the call ended, in monotonic seconds; infinity while it runs."""
        return min([*self.times("phone", "hang_up"), *self.times("phone", "ended")], default=float("inf"))

    def speech(self, item_id: str) -> bytes:
        """Fetch the agent's audio of one item as the voice service sent it: PCM16 at 24 kHz."""
        [session] = [row["session"] for row in self.voice["said"] if row["item_id"] == item_id]
        return raw("GET", f"{self.stack.url('voice-live')}/lab/sessions/{session}/speech/{item_id}")

    def recording(self, raw_id: str = "", *, others: bool = True) -> bytes:
        """Fetch the recording of the caller's phone, or of another person's. `others`: with the voices of the other
        people that it hears, not only with the agent's.
        """
        party = f"/parties/{quote(raw_id, safe='')}" if raw_id else ""
        only = "" if others else "?others=false"
        return raw("GET", f"{self.stack.url('acs')}/lab/calls/{self.lab_id}{party}/recording.wav{only}")

    def heard_by_voice(self) -> bytes:
        """Fetch the audio that the latest voice session got, as WAV."""
        return raw("GET", f"{self.stack.url('voice-live')}/lab/sessions/{self.voice['id']}/heard.wav")

    def line_opened(self, raw_id: str = "") -> float:
        """The time at which the recording of the caller or of another person begins, in monotonic seconds."""
        if not raw_id:
            return float(self.phone["line_opened"])
        joined = [row for row in self._phone_timeline() if row["event"] == "participant_added"]
        return float(next(row["t"] for row in reversed(joined) if row["participant"] == raw_id))

    def utterances(self, raw_id: str = "") -> list[tuple[str, float, float]]:
        """Return text, start and end of what the caller or another person said, in monotonic seconds."""
        who = "participant" if raw_id else "caller"
        mine = [row for row in self._phone_timeline() if row.get("participant", "") == raw_id]
        said = [row for row in mine if row["event"] == f"{who}_says"]
        over = [float(row["t"]) for row in mine if row["event"] == f"{who}_ends"]
        over += [self._ended()] * (len(said) - len(over))
        return [(str(row["text"]), float(row["t"]), end) for row, end in zip(said, over, strict=True)]

    def people(self) -> list[str]:
        """Return the raw ids of all people who were in the call beside the caller."""
        joined = [str(row["participant"]) for row in self._phone_timeline() if row["event"] == "participant_added"]
        return list(dict.fromkeys(joined))

    def record(self) -> Json:
        """Fetch the call from call-control's operator API; empty if it has no such call."""
        connection, correlation = self.phone.get("call_connection_id"), self.phone.get("correlation_id")
        calls = call_json("GET", f"{self.stack.url('call-control')}/api/calls")
        for row in rows(calls):
            # A redirected or rejected call never gets a connection id.
            if (connection and row.get("connection_id") == connection) or (
                correlation and row.get("correlation_id") == correlation
            ):
                found: Json = row
                return found
        return {}

    def transcript(self, call_id: str) -> list[Json]:
        return rows(call_json("GET", f"{self.stack.url('call-control')}/api/calls/{call_id}/transcript"))


def place_call(stack: Stack, scenario: Scenario, *, audio: str = "script", mark: int = 0) -> ObservedCall:
    """Send the script to the simulated agent and place the call. Raises `WireError`."""
    agent = scenario.agent.model_dump(mode="json")
    if VOICE in (*scenario.expect.hears, *scenario.expect.unheard):
        agent["keep_audio"] = True
    call_json("PUT", f"{stack.url('voice-live')}/lab/agent", agent)
    before = frozenset(row["id"] for row in rows(call_json("GET", f"{stack.url('voice-live')}/lab/sessions")))
    body: Json = {
        "from": scenario.caller.number,
        "to": scenario.caller.to,
        "steps": [step.model_dump(mode="json", exclude_none=True) for step in scenario.caller.steps],
        "audio": audio,
        "mark": mark,
    }
    if scenario.people:
        body["people"] = scenario.people
    if forms := scenario.forms:
        body["forms"] = forms
    if (callee := scenario.caller.on_behalf_of) is not None:
        body["onBehalfOfCallee"] = Identifier.of(callee).json()
    if (headers := scenario.caller.headers) != CallHeaders():
        body["customContext"] = {"sipHeaders": headers.sip, "voipHeaders": headers.voip}
    placed = call_json("POST", f"{stack.url('acs')}/lab/calls", body)
    return ObservedCall(stack, str(placed["id"]), before)


def save_recording(call: ObservedCall, path: Path) -> bytes:
    wav = call.recording()
    if not wav.startswith(b"RIFF"):
        raise WireError("the recording from the simulated ACS is not a WAV file")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(wav)
    return wav


def _merged(sessions: list[Json]) -> Json:
    """Return the last session with the timelines, speech and truncations of all sessions."""
    timeline = sorted((row for one in sessions for row in one["timeline"]), key=lambda row: float(row["t"]))
    said = [{**row, "session": one["id"]} for one in sessions for row in one["said"]]
    truncations = [row for one in sessions for row in one["truncations"]]
    return {**sessions[-1], "timeline": timeline, "said": said, "truncations": truncations}


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.casefold())
