"""Control API of the simulated ACS: place calls, read their state, act for the caller, set faults."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from lab.acs.acs_faults import FaultPlan, unknown_names
from lab.acs.call_ends import HangUpForm
from lab.acs.callback_events import NAMES as EVENT_NAMES
from lab.acs.caller_uplink import Audio, Marks
from lab.acs.calls import CallState, SimulatedCall
from lab.acs.exchange import Exchange
from lab.acs.forms import CallForms
from lab.acs.incoming_call_event import IncomingCallEventData
from lab.acs.leg import Leg
from lab.acs.media_client import media_headers
from lab.acs.party_api import PartyApi, SayRequest, Tones
from lab.acs.people import CalleePlan, PersonName, by_raw_id
from lab.acs.rest import OPERATION_NAMES
from lab.control_errors import ControlError, decode_body
from lab.scenario import PARTY, ScenarioStep

_FIRST_DELIVERY_S = 5.0
"""Maximum time that `POST /lab/calls` waits for the first delivery; after it, the call still rings."""


class NewCall(IncomingCallEventData):
    """Body of `POST /lab/calls`, including the contents of the `IncomingCall` event."""

    caller: str = Field(default="+14255550100", alias="from", pattern=PARTY)
    callee: str = Field(default="+18005551212", alias="to", pattern=PARTY)
    steps: tuple[ScenarioStep, ...] | None = None
    audio: Audio = "script"
    mark: int = Field(default=0, ge=0, le=0xFFFF)
    record: bool = False
    """With `audio: marks`: record the audio that the caller hears."""
    hang_up: HangUpForm | None = Field(default=None, alias="hangUp")
    people: dict[PersonName, CalleePlan] = Field(default_factory=dict)
    """Scripts of people for this call."""
    forms: CallForms | None = None
    """Forms of this call, instead of those of the simulator."""

    @property
    def announcement(self) -> IncomingCallEventData:
        return IncomingCallEventData(
            **self.model_dump(include=set(IncomingCallEventData.model_fields), exclude_unset=True)
        )


class WebhookSecret(BaseModel):
    model_config = ConfigDict(extra="forbid")

    secret: str | None = None
    """Another value of `?code=` in the webhook's URL."""


class LabApi:
    def __init__(self, exchange: Callable[[], Exchange]) -> None:
        self._exchange = exchange

    def routes(self) -> list[Route]:
        return [
            Route("/healthz", self.healthz),
            Route("/lab/subscribe", self.subscribe, methods=["POST"]),
            Route("/lab/calls", self.place_call, methods=["POST"]),
            Route("/lab/calls", self.list_calls),
            Route("/lab/calls/{call_id}", self.show_call),
            Route("/lab/calls/{call_id}/recording.wav", self.recording),
            Route("/lab/calls/{call_id}/marks", self.marks),
            Route("/lab/calls/{call_id}/media", self.media),
            Route("/lab/calls/{call_id}/hangup", self.hang_up, methods=["POST"]),
            Route("/lab/calls/{call_id}/dtmf", self.dtmf, methods=["POST"]),
            Route("/lab/calls/{call_id}/say", self.say, methods=["POST"]),
            Route("/lab/faults", self.get_faults),
            Route("/lab/faults", self.put_faults, methods=["PUT"]),
            Route("/lab/faults", self.delete_faults, methods=["DELETE"]),
            Route("/lab/unsupported", self.unsupported),
            Route("/lab/keys/rotate", self.rotate_key, methods=["POST"]),
            *PartyApi(self._exchange).routes(),
        ]

    async def healthz(self, _: Request) -> Response:
        shared = self._exchange().shared
        active = sum(not call.ended.is_set() for call in shared.calls.all())
        folder = shared.settings.stack_folder
        return JSONResponse({"status": "ok", "active_calls": active} | ({"stack": folder} if folder else {}))

    async def subscribe(self, request: Request) -> Response:
        order = await decode_body(request, WebhookSecret, default=b"{}")
        problem = await self._exchange().event_grid.subscribe(order.secret)
        if problem is not None:
            raise ControlError(502, problem)
        return JSONResponse({"validated": True})

    async def place_call(self, request: Request) -> Response:
        new = await decode_body(request, NewCall)
        exchange = self._exchange()
        problem = await exchange.event_grid.ensure_subscribed()
        if problem is not None:
            raise ControlError(502, problem)
        call, delivery = exchange.place_inbound(
            *(new.caller, new.callee, new.steps or (), new.audio, new.mark, new.record),
            announcement=new.announcement,
            hang_up=new.hang_up,
            forms=new.forms,
            scripts=by_raw_id(new.people),
        )
        done, _ = await asyncio.wait([delivery], timeout=_FIRST_DELIVERY_S)
        if done and not delivery.cancelled() and (problem := delivery.result()) is not None:
            return JSONResponse({"id": call.id, "error": problem}, status_code=502)
        return JSONResponse({"id": call.id}, status_code=201)

    async def list_calls(self, _: Request) -> Response:
        keys = ("id", "state", "from", "to", "call_connection_id", "end_reason", "redirected_to", "counters")
        calls = [call.json() for call in self._exchange().shared.calls.all()]
        return JSONResponse({"calls": [{key: call[key] for key in keys} for call in calls]})

    async def show_call(self, request: Request) -> Response:
        """Return the call with its timeline. `now` is the current time on the clock of the timeline.

        Events are in time order, except that `agent_starts`, `agent_ends` and `hold_tone` may be appended out of order.
        """
        return JSONResponse(self._call(request).json() | {"now": time.monotonic()})

    async def recording(self, request: Request) -> Response:
        """With `others=false`, without the voices of the other people in the call."""
        line = self._call(request).line
        if line is None or line.recording is None:
            raise ControlError(404, "the call was not recorded; create it with `record: true`")
        wav = await asyncio.to_thread(line.recording.wav, others=request.query_params.get("others") != "false")
        return Response(wav, media_type="audio/wav")

    async def marks(self, request: Request) -> Response:
        line = self._call(request).line
        if line is None or not isinstance(line.uplink, Marks):
            raise ControlError(404, "the call has no numbered frames (marks); create it with `audio: marks`")
        shift_ms = line.mark_reader.shift_ms if line.mark_reader is not None else None
        marks = {"sent": line.uplink.sent, "heard": line.marks_heard, "shift_ms": shift_ms}
        return JSONResponse(marks | {"silences": line.silences_until(time.monotonic())})

    async def media(self, request: Request) -> Response:
        """Return the URL and headers of the call's media socket, for tests that open a second one."""
        call = self._call(request)
        if call.media is None:
            raise ControlError(409, "the call has no media streaming; answer it with `mediaStreamingOptions`")
        headers = media_headers(call, self._exchange().shared)
        return JSONResponse({"url": call.media.transport_url, "headers": headers})

    async def hang_up(self, request: Request) -> Response:
        """Hang up as the caller. The optional body contains the codes for `CallDisconnected` (`HangUpForm`)."""
        call = self._call(request)
        if call.state not in {CallState.RINGING, CallState.CONNECTING, CallState.CONNECTED}:
            raise ControlError(409, f"the call is {call.state}")
        form = None if await request.body() in (b"", b"{}") else await decode_body(request, HangUpForm)
        leg = self._leg(call)
        if call.answered and call.caller.raw_id not in call.participants:
            raise ControlError(409, "the caller has left the call")
        leg.hang_up_by(call.caller, form)
        return JSONResponse({"state": call.state.value})

    async def dtmf(self, request: Request) -> Response:
        tones = (await decode_body(request, Tones)).tones
        leg = self._connected(request)
        leg.spawn(leg.press(tones, leg.call.caller))
        return JSONResponse({"tones": tones})

    async def say(self, request: Request) -> Response:
        text = (await decode_body(request, SayRequest)).text
        leg = self._connected(request)
        try:
            utterance = await leg.caller.say(text)
        except ValueError as error:
            raise ControlError(409, str(error)) from error
        return JSONResponse({"text": text, "bytes": len(utterance.pcm)})

    async def get_faults(self, _: Request) -> Response:
        return JSONResponse(self._exchange().shared.faults.plan.model_dump())

    async def put_faults(self, request: Request) -> Response:
        plan = await decode_body(request, FaultPlan)
        if wrong := unknown_names(plan, OPERATION_NAMES, EVENT_NAMES):
            raise ControlError(400, wrong)
        self._exchange().shared.faults.put(plan)
        return JSONResponse(plan.model_dump())

    async def delete_faults(self, _: Request) -> Response:
        self._exchange().shared.faults.clear()
        return Response(status_code=204)

    async def unsupported(self, _: Request) -> Response:
        return JSONResponse(self._exchange().shared.unsupported.json())

    async def rotate_key(self, _: Request) -> Response:
        return JSONResponse({"kid": self._exchange().shared.tokens.rotate()})

    def _call(self, request: Request) -> SimulatedCall:
        call = self._exchange().shared.calls.by_id(request.path_params["call_id"])
        if call is None:
            raise ControlError(404, f"unknown call {request.path_params['call_id']!r}")
        return call

    def _leg(self, call: SimulatedCall) -> Leg:
        leg = self._exchange().leg(call)
        if leg is None:
            raise ControlError(409, f"the call is {call.state}")
        return leg

    def _connected(self, request: Request) -> Leg:
        call = self._call(request)
        if call.state is not CallState.CONNECTED:
            raise ControlError(409, f"the call is {call.state}")
        return self._leg(call)
