"""Control API for the people in a call: their scripts, and acting for one of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from lab.acs.call_ends import HangUpForm
from lab.acs.caller import Caller
from lab.acs.exchange import Exchange
from lab.acs.leg import Leg
from lab.acs.party_identifiers import Identifier
from lab.acs.people import CalleePlan, PeopleScripts
from lab.control_errors import ControlError, decode_body

_PARTY = "/lab/calls/{call_id}/parties/{party}"


class Tones(BaseModel):
    model_config = ConfigDict(extra="forbid")
    tones: str = Field(pattern=r"^[0-9A-D*#]{1,64}$")


class SayRequest(BaseModel):
    model_config = ConfigDict(extra="forbid")
    text: str = Field(min_length=1, max_length=5000)


class PartyApi:
    """`{party}` is a phone number or raw id."""

    def __init__(self, exchange: Callable[[], Exchange]) -> None:
        self._exchange = exchange

    def routes(self) -> list[Route]:
        return [
            Route("/lab/callee", self.put_callee, methods=["PUT"]),
            Route("/lab/people", self.get_people),
            Route("/lab/people", self.put_people, methods=["PUT"]),
            Route("/lab/people", self.delete_people, methods=["DELETE"]),
            Route(f"{_PARTY}/recording.wav", self.recording),
            Route(f"{_PARTY}/hangup", self.hang_up, methods=["POST"]),
            Route(f"{_PARTY}/dtmf", self.dtmf, methods=["POST"]),
            Route(f"{_PARTY}/say", self.say, methods=["POST"]),
        ]

    async def put_callee(self, request: Request) -> Response:
        plan = await decode_body(request, CalleePlan)
        self._exchange().shared.people.default = plan
        return JSONResponse(plan.model_dump())

    async def get_people(self, _: Request) -> Response:
        people = self._exchange().shared.people
        return JSONResponse({raw_id: plan.model_dump() for raw_id, plan in people.scripts.items()})

    async def put_people(self, request: Request) -> Response:
        self._exchange().shared.people.put((await decode_body(request, PeopleScripts)).root)
        return await self.get_people(request)

    async def delete_people(self, _: Request) -> Response:
        self._exchange().shared.people.put({})
        return Response(status_code=204)

    async def recording(self, request: Request) -> Response:
        """Return what the person said (left) and heard (right) since joining."""
        call = self._exchange().shared.calls.by_id(request.path_params["call_id"])
        line = call.phones.get(_party(request).raw_id) if call is not None else None
        if line is None or line.recording is None:
            raise ControlError(404, f"no recording of {_party(request).raw_id!r} in this call")
        return Response(await asyncio.to_thread(line.recording.wav), media_type="audio/wav")

    async def hang_up(self, request: Request) -> Response:
        leg, party, _ = self._present(request)
        form = None if await request.body() in (b"", b"{}") else await decode_body(request, HangUpForm)
        leg.hang_up_by(party, form)
        return JSONResponse({"state": leg.call.state.value})

    async def dtmf(self, request: Request) -> Response:
        leg, party, _ = self._present(request)
        tones = (await decode_body(request, Tones)).tones
        leg.spawn(leg.press(tones, party))
        return JSONResponse({"tones": tones})

    async def say(self, request: Request) -> Response:
        _, _, person = self._present(request)
        text = (await decode_body(request, SayRequest)).text
        try:
            utterance = await person.say(text)
        except ValueError as error:
            raise ControlError(409, str(error)) from error
        return JSONResponse({"text": text, "bytes": len(utterance.pcm)})

    def _present(self, request: Request) -> tuple[Leg, Identifier, Caller]:
        exchange, party = self._exchange(), _party(request)
        call = exchange.shared.calls.by_id(request.path_params["call_id"])
        if call is None:
            raise ControlError(404, f"unknown call {request.path_params['call_id']!r}")
        leg = exchange.leg(call)
        if leg is None or party.raw_id not in leg.scripts:
            raise ControlError(409, f"{party.raw_id!r} is not in the call")
        return leg, party, leg.scripts[party.raw_id].person


def _party(request: Request) -> Identifier:
    return Identifier.of(request.path_params["party"])
