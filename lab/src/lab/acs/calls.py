"""Calls of the simulated ACS: state, media options, timeline."""

from __future__ import annotations

import asyncio
import base64
import json
import time
import uuid
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Literal

from lab.acs.call_ends import CallEnd, HangUpForm
from lab.acs.caller_line import CallerLine
from lab.acs.caller_uplink import Audio
from lab.acs.forms import CallForms
from lab.acs.incoming_call_event import IncomingCallEventData
from lab.acs.invitation import Invitation
from lab.acs.party_identifiers import Identifier, Json
from lab.acs.people import Scripts
from lab.scenario import ScenarioStep
from lab.simulator import log


class CallState(StrEnum):
    RINGING = "ringing"
    CONNECTING = "connecting"
    CONNECTED = "connected"
    ENDED = "ended"
    REDIRECTED = "redirected"
    REJECTED = "rejected"
    UNANSWERED = "unanswered"


TRANSITIONS: dict[CallState, frozenset[CallState]] = {
    CallState.RINGING: frozenset(
        {CallState.CONNECTING, CallState.REDIRECTED, CallState.REJECTED, CallState.UNANSWERED, CallState.ENDED}
    ),
    CallState.CONNECTING: frozenset({CallState.CONNECTED, CallState.ENDED}),
    CallState.CONNECTED: frozenset({CallState.ENDED}),
    CallState.ENDED: frozenset(),
    CallState.REDIRECTED: frozenset(),
    CallState.REJECTED: frozenset(),
    CallState.UNANSWERED: frozenset(),
}


@dataclass(frozen=True, slots=True)
class MediaOptions:
    """`mediaStreamingOptions` of the request that set up the call."""

    transport_url: str
    rate_hz: int
    start: bool
    bidirectional: bool
    unmixed: bool
    dtmf: bool


@dataclass(frozen=True, slots=True)
class CallbackOptions:
    callback_url: str
    operation_context: str | None
    version: str
    """The api-version of the request; every event contains it."""


@dataclass(slots=True)
class Participant:
    identifier: Identifier
    muted: bool = False
    on_hold: bool = False

    def json(self) -> Json:
        return {"identifier": self.identifier.json(), "isMuted": self.muted, "isOnHold": self.on_hold}


@dataclass(slots=True, eq=False)
class SimulatedCall:
    """One call. `caller`: the simulated party; `callee`: the number or identity of the application."""

    caller: Identifier
    callee: Identifier
    app: Identifier
    steps: tuple[ScenarioStep, ...] = ()
    audio: Audio = "script"
    mark: int = 0
    record: bool = False
    """Record the call even if the caller sends marks."""
    announcement: IncomingCallEventData = field(default_factory=IncomingCallEventData)
    hang_up: HangUpForm | None = None
    """Codes reported when the caller hangs up; unset: the usual codes for this kind of caller."""
    forms: CallForms | None = None
    """Forms of this call, instead of those of the simulator."""
    scripts: Scripts = field(default_factory=dict)
    """Scripts of people that apply to this call before those of the simulator."""
    outbound: bool = False
    also_called: tuple[Identifier, ...] = ()
    """Further targets of an outbound group call."""
    ring_timeout_s: float = 30.0
    id: str = field(default_factory=lambda: uuid.uuid4().hex[:12])
    connection_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    correlation_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    server_call_id: str = field(default_factory=lambda: _server_call_id())
    context: str = field(default_factory=lambda: _incoming_call_context())
    event_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    state: CallState = CallState.RINGING
    end: CallEnd | None = None
    redirected_to: str | None = None
    """The raw id of the participant."""
    media: MediaOptions | None = None
    callback: CallbackOptions | None = None
    answered: bool = False
    media_state: Literal["inactive", "active"] = "inactive"
    subscription_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    continuous_dtmf: dict[str, str] = field(default_factory=dict)
    """Operation context of continuous tone recognition by raw id of the target; empty if it has none."""
    participants: dict[str, Participant] = field(default_factory=dict)
    participants_sequence: int = 0
    phones: dict[str, CallerLine] = field(default_factory=dict)
    """Phones of all people who are or were in the call, by raw id."""
    lines: dict[str, CallerLine] = field(default_factory=dict)
    """Phones of the people who are in the call now."""
    invitations: list[Invitation] = field(default_factory=list)
    app_left: bool = False
    """Whether the application has left the call while the call of the others continues."""
    media_suspended: Literal["", "silent", "stops"] = ""
    """`silent`: frames are silent and audio of the application is not heard; `stops`: no frames are sent."""
    established_at: float = 0.0
    """Before this monotonic time, actions are rejected although the call is connected."""
    first_audio_at: float | None = None
    """Arrival of the first agent audio, in monotonic seconds. The timeline contains the time at which it was played."""
    created: float = field(default_factory=time.monotonic)
    created_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    timeline: list[Json] = field(default_factory=list)
    counters: Counter[str] = field(default_factory=Counter)
    decided: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the call stops ringing."""
    connected: asyncio.Event = field(default_factory=asyncio.Event)
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    def note(self, event: str, *, t: float | None = None, **fields: object) -> None:
        self.timeline.append({"t": time.monotonic() if t is None else t, "event": event, **fields})

    def become(self, state: CallState) -> None:
        """Set the state and log it. Raises `ValueError` for a change that is not in `TRANSITIONS`."""
        if state not in TRANSITIONS[self.state]:
            raise ValueError(f"a call cannot change from {self.state} to {state}")
        log.info("call state changed", extra={"call": self.id, "before": self.state, "after": state})
        self.state = state
        if state is not CallState.RINGING:
            self.decided.set()
        if state is CallState.CONNECTED:
            self.connected.set()
        if state in {CallState.ENDED, CallState.REDIRECTED, CallState.REJECTED, CallState.UNANSWERED}:
            self.ended.set()

    @property
    def line(self) -> CallerLine | None:
        """The phone of the caller."""
        return self.phones.get(self.caller.raw_id)

    @property
    def people(self) -> list[Participant]:
        """The participants without the application."""
        return [one for one in self.participants.values() if one.identifier != self.app]

    @property
    def in_teams(self) -> bool:
        """Whether the number of the call belongs to a Teams resource account."""
        return self.callee.raw_id.startswith("28:orgid:")

    @property
    def valid_until(self) -> datetime:
        return self.created_at + timedelta(seconds=self.ring_timeout_s)

    def next_participants_sequence(self) -> int:
        self.participants_sequence += 1
        return self.participants_sequence

    def properties(self) -> Json:
        """Return `CallConnectionProperties` of the REST API. An outbound call has no server call id until it is
        connected, as recorded: its callbacks contain it.
        """
        source, target = (self.app, self.caller) if self.outbound else (self.caller, self.app)
        properties: Json = {
            "callConnectionId": self.connection_id,
            "serverCallId": self.server_call_id,
            "correlationId": self.correlation_id,
            "callConnectionState": self.state.value,
            "source": source.json(),
            "targets": [one.json() for one in (target, *self.also_called)],
            "answeredBy": {"id": self.app.raw_id},
        }
        if self.outbound:
            del properties["answeredBy"]
            properties["sourceDisplayName"] = ""
            if self.state is CallState.CONNECTING:
                del properties["serverCallId"]
        if self.callback is not None:
            properties["callbackUri"] = self.callback.callback_url
        if self.callee.number is not None:
            number_key = "sourceCallerIdNumber" if self.outbound else "answeredFor"
            properties[number_key] = {"value": self.callee.number}
        if self.media is not None:
            properties["mediaStreamingSubscription"] = {
                "id": self.subscription_id,
                "state": self.media_state,
                "subscribedContentTypes": ["audio"],
            }
        return properties

    def json(self) -> Json:
        return {
            "id": self.id,
            "state": self.state.value,
            "from": (self.callee if self.outbound else self.caller).raw_id.removeprefix("4:"),
            "to": (self.caller if self.outbound else self.callee).raw_id.removeprefix("4:"),
            "direction": "outbound" if self.outbound else "inbound",
            "audio": self.audio,
            "call_connection_id": self.connection_id if self.answered else None,
            "correlation_id": self.correlation_id,
            "end_reason": self.end.reason if self.end else None,
            "redirected_to": self.redirected_to,
            "first_audio_at": self.first_audio_at,
            "line_opened": self.line.opened if self.line else None,
            "app_left": self.app_left,
            "participants": [
                {"raw_id": raw_id, "muted": one.muted, "on_hold": one.on_hold}
                for raw_id, one in self.participants.items()
            ],
            "phones": list(self.phones),
            "invitations": [invitation.json() for invitation in self.invitations],
            "timeline": self.timeline,
            "counters": dict(self.counters),
        }


def _incoming_call_context() -> str:
    """Return an opaque string with the form and size of a real one: an unsigned JWT with a long `cc` claim."""
    header = base64.urlsafe_b64encode(b'{"alg":"none","typ":"JWT"}').rstrip(b"=").decode()
    filler = "".join(uuid.uuid4().hex for _ in range(64))
    payload = base64.urlsafe_b64encode(json.dumps({"cc": "H4sI" + filler}).encode()).rstrip(b"=").decode()
    return f"{header}.{payload}."


def _server_call_id() -> str:
    url = (
        f"https://api.flightproxy.skype.com/api/v2/cp/conv-lab-01-prod-aks.conv.skype.com/conv/{uuid.uuid4().hex}?i=10"
    )
    return base64.b64encode(url.encode()).decode()
