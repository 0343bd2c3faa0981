"""Calls whose agents and operators act at the same time: dials them, requests the actions, collects the evidence."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Final

import numpy as np
import soxr

from lab.chaos.acting_evidence import (
    ActingEvidence,
    hung_up_by_us,
    refused_by_tools,
    requested_by_agent,
    times_of,
    tones_to_caller,
)
from lab.chaos.acting_roles import LEAD, Part
from lab.chaos.apology import find_apology
from lab.heard_audio import Samples, read_recording
from lab.observed_call import FINISHED
from lab.stack import Stack, StackError
from lab.wire import Json, WireError, call_json, raw, rows

CONNECT_S: Final = 30.0
REPEATED_S: Final = 15.0
"""For this time an operator repeats a request that gets no answer, with the same idempotency key."""
END_S: Final = 10.0
_POLL_S: Final = 0.05
_VOICE_HZ: Final = 24_000
_NEVER: Final = float("inf")
_NOTHING: Final[Samples] = np.zeros(0)


@dataclass(slots=True)
class ActingCall:
    part: Part
    lab_id: str
    accepted_at: float = _NEVER
    """When an operator's request was accepted."""
    refused: bool = False
    """True if an operator's request was not accepted."""


@dataclass(slots=True)
class ActingCrowd:
    """`turn`: number of the repetition. The callers are silent until `request`."""

    stack: Stack
    parts: Sequence[Part]
    turn: int
    calls: list[ActingCall] = field(default_factory=list)
    _sessions_before: frozenset[str] = frozenset()
    _pool: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(32))
    _requests: list[Future[None]] = field(default_factory=list)

    # -- before the fault
    def dial(self) -> None:
        """Place the calls, and wait until every caller has heard the greeting. Raises `StackError`."""
        self._sessions_before = frozenset(row["id"] for row in self._sessions())
        for part in self.parts:
            body = part.script.model_dump(mode="json")
            call_json("PUT", f"{self.stack.url('voice-live')}/lab/agents/{part.agent}", body)
        self.calls = [ActingCall(part, self._place(number, part)) for number, part in enumerate(self.parts)]
        await_fact(self._greeted, CONNECT_S, "not every acting caller has heard the greeting")

    def _place(self, number: int, part: Part) -> str:
        caller = f"+1425556{self.turn * len(self.parts) + number:04d}"
        body = {"from": caller, "to": part.called, "audio": "script"}
        return str(call_json("POST", f"{self.stack.url('acs')}/lab/calls", body)["id"])

    def _greeted(self) -> bool:
        return all(times_of(self._phone(call), "agent_ends") for call in self.calls)

    # -- the requests
    def request(self) -> None:
        """Let every caller speak, and return when the agent of the lead requests its action. Operators send their
        requests at that time.
        """
        for call in self.calls:
            if not call.part.role.by_operator:
                call_json("POST", f"{self.stack.url('acs')}/lab/calls/{call.lab_id}/say", {"text": "Please."})
        lead = next(call for call in self.calls if call.part.role.name == LEAD)
        await_fact(lambda: self._requested_at(lead) < _NEVER, CONNECT_S, "the agent did not act")
        records = self._records()
        for call in self.calls:
            if call.part.role.by_operator:
                self._requests.append(self._pool.submit(self._act, call, records[call.lab_id]["call_id"]))

    def _act(self, call: ActingCall, call_id: str) -> None:
        url = f"{self.stack.url('call-control')}/api/calls/{call_id}"
        if text := call.part.role.announcement:
            # An announcement has no idempotency key, so it is not repeated.
            try:
                call_json("POST", f"{url}/say", {"text": text})
            except WireError:
                call.refused = True
        for action in call.part.role.actions:
            body = {"action": action.action, **action.arguments}
            key = hashlib.sha256(f"{call_id} {json.dumps(body)}".encode()).hexdigest()
            call.refused |= not repeat_until(partial(post_keyed, f"{url}/actions", body, key), REPEATED_S)
        call.accepted_at = time.monotonic()

    # -- the evidence
    def evidence(self) -> list[ActingEvidence]:
        """Hang up the remaining calls and return the outcome of all. Raises `StackError` if a call does not end."""
        for request in self._requests:
            request.result()
        self._pool.shutdown()
        phones = {call.lab_id: self._phone(call) for call in self.calls}
        for call in self.calls:
            if phones[call.lab_id]["state"] not in FINISHED:
                call_json("POST", f"{self.stack.url('acs')}/lab/calls/{call.lab_id}/hangup", {})
        await_fact(self._all_ended, END_S, "call-control did not report the end of every acting call")
        business = call_json("GET", f"{self.stack.url('business')}/lab/requests")
        records = self._records()
        return [self._evidence(call, phones[call.lab_id], records.get(call.lab_id), business) for call in self.calls]

    def _all_ended(self) -> bool:
        return all(record["status"] == "ended" for record in self._records().values())

    def _evidence(self, call: ActingCall, phone: Json, record: Json | None, business: Json) -> ActingEvidence:
        """`record`: of call-control; None if Redis has lost it."""
        call_id, actions, notices = "", list[Json](), list[Json]()
        if record is not None:
            call_id = record["call_id"]
            url = f"{self.stack.url('call-control')}/api/calls/{call_id}"
            actions = rows(call_json("GET", f"{url}/actions"))
            notices = [row for row in rows(call_json("GET", f"{url}/transcript")) if row.get("what") == "say"]
        sessions, role = self._sessions_of(call), call.part.role
        return ActingEvidence(
            call_id=call_id,
            lab_id=call.lab_id,
            role=role,
            actions=actions,
            accepted=not (call.refused if role.by_operator else refused_by_tools(sessions)),
            requested_at=self._requested_at(call),
            ended_at=min(times_of(phone, "ended"), default=_NEVER),
            end_reason=str(record["end_reason"]) if record is not None else "",
            hung_up=hung_up_by_us(phone),
            tones=tones_to_caller(phone),
            bookings=sum(row["call_id"] == call_id != "" for row in business["appointments"]),
            announcements=[str(json.loads(row["detail"])["outcome"]) for row in notices if role.announcement],
            heard=self._heard(call, phone, sessions, role.text),
        )

    def _requested_at(self, call: ActingCall) -> float:
        if call.part.role.by_operator:
            return call.accepted_at
        return requested_by_agent(self._sessions_of(call))

    def _heard(self, call: ActingCall, phone: Json, sessions: Sequence[Json], text: str) -> float:
        """Return the share of a text that the caller heard in one go; 1 without a text."""
        if not text:
            return 1.0
        recording = read_recording(raw("GET", f"{self.stack.url('acs')}/lab/calls/{call.lab_id}/recording.wav"))
        said = [(one["id"], said) for one in sessions for said in one["said"] if said["text"].strip() == text]
        # An interrupted rendering is shorter than the text.
        spoken = max((self._speech(session, one["item_id"]) for session, one in said), key=len, default=_NOTHING)
        begun = [t - float(phone["line_opened"]) for one in sessions for t in times_of(one, "first_delta")]
        return share_heard(recording.agent, recording.rate_hz, spoken, begun)

    def _speech(self, session_id: str, item_id: str) -> Samples:
        pcm = raw("GET", f"{self.stack.url('voice-live')}/lab/sessions/{session_id}/speech/{item_id}")
        return np.frombuffer(pcm, dtype="<i2").astype(np.float64)

    # -- the simulators
    def _phone(self, call: ActingCall) -> Json:
        return phone_of(self.stack, call.lab_id)

    def _records(self) -> dict[str, Json]:
        return records_of(self.stack, [call.lab_id for call in self.calls])

    def _sessions(self) -> list[Json]:
        return rows(call_json("GET", f"{self.stack.url('voice-live')}/lab/sessions"))

    def _sessions_of(self, call: ActingCall) -> list[Json]:
        name = call.part.agent
        mine = [row["id"] for row in self._sessions() if name in (row["agent"], row["model"])]
        url = f"{self.stack.url('voice-live')}/lab/sessions"
        return [call_json("GET", f"{url}/{one}") for one in mine if one not in self._sessions_before]


def share_heard(agent: Samples, rate_hz: int, spoken: Samples, begun_s: Iterable[float]) -> float:
    """Return the largest share of an utterance (24 kHz) that the caller heard in one go. `begun_s`: when the agent
    began to speak, in seconds from the start of the recording; a repeated utterance begins later.
    """
    wanted: Samples = soxr.resample(spoken, _VOICE_HZ, rate_hz) if len(spoken) else _NOTHING
    if not len(wanted):
        return 0.0
    shares = (find_apology(agent, rate_hz, wanted, from_s=at).share for at in begun_s if at >= 0)
    return max(shares, default=0.0)


def phone_of(stack: Stack, lab_id: str) -> Json:
    """Fetch the state of a call in the simulated ACS."""
    found: Json = call_json("GET", f"{stack.url('acs')}/lab/calls/{lab_id}")
    return found


def records_of(stack: Stack, lab_ids: Iterable[str]) -> dict[str, Json]:
    """Fetch call-control's records by the id of the call in the simulated ACS. Lost records are missing."""
    listed = rows(call_json("GET", f"{stack.url('call-control')}/api/calls?limit=1000"))
    by_connection = {row["connection_id"]: row for row in listed}
    phones = ((lab_id, phone_of(stack, lab_id)["call_connection_id"]) for lab_id in lab_ids)
    return {lab_id: by_connection[connection] for lab_id, connection in phones if connection in by_connection}


def post_keyed(url: str, body: Json, key: str) -> bool:
    """Send a request with an idempotency key. Returns whether it was accepted."""
    try:
        call_json("POST", url, body, headers={"Idempotency-Key": key})
    except WireError:
        return False
    return True


def repeat_until(attempt: Callable[[], bool], within_s: float) -> bool:
    """Repeat the attempt until it succeeds. Returns False if it has not within this time."""
    deadline = time.monotonic() + within_s
    while not attempt():
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_S)
    return True


def await_fact(fact: Callable[[], bool], within_s: float, otherwise: str) -> None:
    """Wait until the fact is true. Raises `StackError` with the text `otherwise`."""
    if not repeat_until(fact, within_s):
        raise StackError(f"{otherwise} after {within_s:g} s")
