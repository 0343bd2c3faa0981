"""Calls into which operators call people: dials them, requests the actions, collects the evidence."""

from __future__ import annotations

import contextlib
import hashlib
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Final

from lab.chaos.acting_calls import (
    CONNECT_S,
    END_S,
    REPEATED_S,
    await_fact,
    phone_of,
    post_keyed,
    records_of,
    repeat_until,
)
from lab.chaos.acting_evidence import times_of
from lab.chaos.people_evidence import PeopleEvidence
from lab.chaos.people_stories import AGENT, CALLED, SCRIPT, Casting
from lab.observed_call import FINISHED
from lab.stack import Stack
from lab.wire import Json, WireError, call_json, rows

MEET_S: Final = 40.0
"""Time within which the people of the early stories join."""
ANSWER_S: Final = 12.0
_QUESTION: Final = "Are you there?"


@dataclass(slots=True)
class PeopleCall:
    casting: Casting
    lab_id: str
    accepted: bool = True
    asked_at: float = 0.0
    """When the caller began to ask for the agent; 0 if not asked."""


@dataclass(slots=True)
class PeopleCrowd:
    """`turn`: number of the repetition. The callers are silent until the evidence is collected."""

    stack: Stack
    castings: Sequence[Casting]
    turn: int
    calls: list[PeopleCall] = field(default_factory=list)
    _pool: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(32))
    _requests: list[Future[None]] = field(default_factory=list)
    _fault_at: float = 0.0

    # -- before the fault
    def dial(self) -> None:
        """Place the calls, and wait until every caller has heard the greeting. Raises `StackError`."""
        acs = self.stack.url("acs")
        call_json("PUT", f"{self.stack.url('voice-live')}/lab/agents/{AGENT}", SCRIPT.model_dump(mode="json"))
        scripts = {casting.raw_id: casting.person for casting in self.castings}
        call_json("PUT", f"{acs}/lab/people", scripts)
        for casting in self.castings:
            caller = f"+1425558{self.turn * len(self.castings) + casting.number:04d}"
            placed = call_json("POST", f"{acs}/lab/calls", {"from": caller, "to": CALLED, "audio": "script"})
            self.calls.append(PeopleCall(casting, str(placed["id"])))
        await_fact(self._greeted, CONNECT_S, "not every caller has heard the greeting")

    def meet(self) -> None:
        """Let the people of the early stories join, and wait until their actions are done. Raises `StackError`."""
        early = [call for call in self.calls if call.casting.story.early]
        self._request(early)
        self._await_requests()
        await_fact(lambda: all(map(self._is_done, early)), MEET_S, "not every person has joined")

    def request(self) -> None:
        """Send the requests of the other stories, in parallel, and return at once."""
        self._request([call for call in self.calls if not call.casting.story.early])

    def leave(self) -> None:
        """Let the people hang up whose story requires it."""
        self._fault_at = time.monotonic()
        for call in self.calls:
            if call.casting.story.leaves:
                url = f"{self.stack.url('acs')}/lab/calls/{call.lab_id}/parties/{call.casting.raw_id}/hangup"
                call_json("POST", url, {})

    def _greeted(self) -> bool:
        return all(times_of(self._phone(call), "agent_ends") for call in self.calls)

    def _request(self, calls: Sequence[PeopleCall]) -> None:
        records = self._records()
        for call in calls:
            self._requests.append(self._pool.submit(self._act, call, records[call.lab_id]["call_id"]))

    def _act(self, call: PeopleCall, call_id: str) -> None:
        url = f"{self.stack.url('call-control')}/api/calls/{call_id}/actions"
        key = hashlib.sha256(f"{call_id} {call.casting.story.name}".encode()).hexdigest()
        body = call.casting.story.request(call.casting.target)
        call.accepted = repeat_until(partial(post_keyed, url, body, key), REPEATED_S)

    def _await_requests(self) -> None:
        for request in self._requests:
            request.result()

    def _is_done(self, call: PeopleCall) -> bool:
        people = {one["raw_id"] for one in self._phone(call)["participants"]}
        record = self._records().get(call.lab_id)
        states = [one["state"] for one in self._actions(record)]
        return call.casting.raw_id in people and states == ["done"]

    # -- the evidence
    def evidence(self) -> list[PeopleEvidence]:
        """Ask for the agents, hang up the calls, and return the outcome of all."""
        self._await_requests()
        self._pool.shutdown()
        phones = {call.lab_id: self._phone(call) for call in self.calls}
        self._ask(phones)
        records = self._records()
        found = [self._evidence(call, phones[call.lab_id], records.get(call.lab_id)) for call in self.calls]
        for call in self.calls:
            if phones[call.lab_id]["state"] not in FINISHED:
                with contextlib.suppress(WireError):  # The caller has left, or the call has ended meanwhile.
                    call_json("POST", f"{self.stack.url('acs')}/lab/calls/{call.lab_id}/hangup", {})
        repeat_until(lambda: all(self._ended(call) for call in self.calls), END_S)
        return [replace(one, ended=self._ended(call)) for call, one in zip(self.calls, found, strict=True)]

    def _ask(self, phones: dict[str, Json]) -> None:
        """Let callers ask for the agent if it should answer, or if they are alone with it."""
        asked: list[PeopleCall] = []
        for call in self.calls:
            phone = phones[call.lab_id]
            if phone["state"] == "connected" and (call.casting.story.agent or not people_of(phone)):
                with contextlib.suppress(WireError):  # The call has just ended.
                    call.asked_at = time.monotonic()
                    url = f"{self.stack.url('acs')}/lab/calls/{call.lab_id}/say"
                    call_json("POST", url, {"text": _QUESTION})
                    asked.append(call)
        repeat_until(lambda: all(map(self._answered, asked)), ANSWER_S)

    def _answered(self, call: PeopleCall) -> bool:
        return call.asked_at > 0 and any(t > call.asked_at for t in times_of(self._phone(call), "agent_starts"))

    def _evidence(self, call: PeopleCall, phone: Json, record: Json | None) -> PeopleEvidence:
        """`record`: of call-control; None if Redis has lost it."""
        return PeopleEvidence(
            casting=call.casting,
            connected=phone["state"] == "connected",
            caller_there=caller_of(phone) in {one["raw_id"] for one in phone["participants"]},
            people=people_of(phone),
            agent_answered=self._answered(call),
            invitations=phone["invitations"],
            accepted=call.accepted,
            actions=self._actions(record),
            tones=sum(t > self._fault_at for t in times_of(phone, "hold_tone")),
            call_id=record["call_id"] if record is not None else "",
            lab_id=call.lab_id,
        )

    def _actions(self, record: Json | None) -> list[Json]:
        if record is None:
            return []
        return rows(call_json("GET", f"{self.stack.url('call-control')}/api/calls/{record['call_id']}/actions"))

    # -- the simulators
    def _ended(self, call: PeopleCall) -> bool:
        return self._phone(call)["state"] in FINISHED

    def _phone(self, call: PeopleCall) -> Json:
        return phone_of(self.stack, call.lab_id)

    def _records(self) -> dict[str, Json]:
        return records_of(self.stack, [call.lab_id for call in self.calls])


def caller_of(phone: Json) -> str:
    return f"4:{phone['from']}"


def people_of(phone: Json) -> list[str]:
    """Return the raw ids of the people in a call, without the caller and the application. People have phones."""
    ids = [str(one["raw_id"]) for one in phone["participants"]]
    return [one for one in ids if one.startswith("4:") and one != caller_of(phone)]
