"""Requests for people in a call, when ACS answers in another form than the SDK expects."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator
from typing import Any

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from call_control.acs_client import AcsClient, AcsError, AcsRefusal, MediaFormat
from call_control.core.connection_string import AcsAddress
from call_control.core.machine.call_events import RosterEntry
from call_control.core.transfer_context import TransferContext
from tests.support.lab_server import running

CONNECTION = "c1"
CALLER, BOB, NUMBER = "4:+14255550100", "4:+14255550177", "4:+18005551212"
CONTEXT = TransferContext("Refund", "Wants a refund.", "call_1")
BUSY = JSONResponse({"error": {"code": "8607", "message": "Transfer operation conflict."}}, 409)


class AnsweringAcs:
    """Answers each request with the next response that the test has written for its path."""

    def __init__(self) -> None:
        self.address = ""
        self.answers: dict[str, list[Response]] = defaultdict(list)
        self.asked: list[tuple[str, str, dict[str, str], dict[str, Any]]] = []
        """Method, end of the path, headers, body."""

    async def answer(self, request: Request) -> Response:
        operation = request.path_params["rest"].replace(":", "/").rpartition("/")[2]
        body = await request.json() if await request.body() else {}
        self.asked.append((request.method, operation, dict(request.headers), body))
        return self.answers[operation].pop(0)


@pytest.fixture
async def odd() -> AsyncIterator[AnsweringAcs]:
    acs = AnsweringAcs()
    app = Starlette(
        routes=[Route("/calling/callConnections/{rest:path}", acs.answer, methods=["GET", "POST", "DELETE"])]
    )
    config = uvicorn.Config(app, host="127.0.0.1", port=0, lifespan="off", access_log=False, log_config=None)
    async with running(config) as address:
        acs.address = f"http://{address}"
        yield acs


@pytest.fixture
async def client(odd: AnsweringAcs) -> AsyncIterator[AcsClient]:
    client = AcsClient(AcsAddress(odd.address, "a2V5"), MediaFormat("pcm16k", "unmixed"), deadline_s=2)
    yield client
    await client.aclose()


async def add(client: AcsClient, target: str = BOB) -> str:
    return await client.add_participant(
        CONNECTION, target, callee=NUMBER, ring_s=20, context=CONTEXT, operation_context="a", request_id="id-1"
    )


async def transfer(client: AcsClient) -> None:
    await client.transfer(*(CONNECTION, BOB), callee=NUMBER, context=CONTEXT, operation_context="t", request_id="id-1")


@pytest.mark.parametrize(
    "answer",
    [
        Response(status_code=200),
        Response(status_code=202),
        Response(status_code=204),
        JSONResponse({}, 202),
        JSONResponse({}, 200),
        JSONResponse([], 202),
        Response("<html>", 202, media_type="text/html"),
        Response("{", 202, media_type="application/json"),
    ],
    ids=lambda answer: f"{answer.status_code} {answer.body!r}",
)
async def test_any_success_counts_as_accepted(
    client: AcsClient, odd: AnsweringAcs, answer: Response, caplog: pytest.LogCaptureFixture
) -> None:
    """ACS has acted: a request that counted as failed would be repeated, or reported with a wrong reason."""
    for operation in (
        *("transferToParticipant", "participants", "add", "cancelAddParticipant", "remove", "mute"),
        *("hold", "unhold", "startContinuousDtmfRecognition", CONNECTION),
    ):
        odd.answers[operation] = [answer]
    odd.answers["participants"] = []
    caplog.set_level("WARNING")
    await transfer(client)
    assert await add(client) == ""
    await client.cancel_add(CONNECTION, "i", operation_context="c", request_id="id-2")
    await client.remove_participant(CONNECTION, BOB, operation_context="r", request_id="id-3")
    await client.mute(CONNECTION, BOB, operation_context="m", request_id="id-4")
    await client.hold(CONNECTION, BOB, operation_context="h")
    await client.unhold(CONNECTION, BOB, operation_context="u")
    await client.start_dtmf(CONNECTION, BOB, operation_context="d")
    await client.leave(CONNECTION)
    assert caplog.messages == [], "no warning of the SDK"
    assert len(odd.asked) == 9, "each request was sent once"
    method, operation, _, _ = odd.asked[-1]
    assert (method, operation) == ("DELETE", CONNECTION)


async def test_a_repeatable_request_is_sent_again_with_its_id(client: AcsClient, odd: AnsweringAcs) -> None:
    odd.answers["add"] = [Response(status_code=503), JSONResponse({"invitationId": "i-1"}, 202)]
    assert await add(client) == "i-1"
    first, second = [headers for _, _, headers, _ in odd.asked]
    assert first["repeatability-request-id"] == second["repeatability-request-id"] == "id-1"
    assert first["repeatability-first-sent"] == second["repeatability-first-sent"]


async def test_a_conflict_is_a_refusal_with_its_code(client: AcsClient, odd: AnsweringAcs) -> None:
    odd.answers["transferToParticipant"] = [BUSY]
    with pytest.raises(AcsError) as caught:
        await transfer(client)
    assert (caught.value.refusal, caught.value.acs_code) == (AcsRefusal.REFUSED, "8607")


async def test_the_roster_has_all_pages(client: AcsClient, odd: AnsweringAcs) -> None:
    next_page = f"{odd.address}/calling/callConnections/{CONNECTION}/participants?page=2"
    caller = {"rawId": CALLER, "phoneNumber": {"value": CALLER[2:]}}
    odd.answers["participants"] = [
        JSONResponse({"value": [{"identifier": caller, "isOnHold": True}, {"isMuted": True}], "nextLink": next_page}),
        JSONResponse({"value": [{"identifier": {"rawId": BOB, "kind": "unknown"}, "isMuted": True}]}),
    ]
    assert await client.participants(CONNECTION) == (
        RosterEntry(CALLER, on_hold=True, muted=False),
        RosterEntry(BOB, on_hold=False, muted=True),
    )


@pytest.mark.parametrize(
    "body",
    [
        b'{"value":null}',
        b'{"value":[null]}',
        b'{"value":[{"identifier":null},null]}',
        b"null",
        b"[]",
        b"",
        b"{}",
        b"<html>",
        b'{"value":"x"}',
    ],
)
async def test_a_list_that_cannot_be_decoded_is_fetched_again(
    client: AcsClient, odd: AnsweringAcs, body: bytes
) -> None:
    caller = {"rawId": CALLER, "phoneNumber": {"value": CALLER[2:]}}
    odd.answers["participants"] = [
        Response(body, media_type="application/json"),
        JSONResponse({"value": [{"identifier": caller}]}),
    ]
    assert await client.participants(CONNECTION) == (RosterEntry(CALLER),)


@pytest.mark.parametrize(
    ("target", "form"),
    [
        ("8:acs:r_u", {"communicationUser": {"id": "8:acs:r_u"}}),
        ("8:orgid:1-2", {"microsoftTeamsUser": {"userId": "1-2", "isAnonymous": False, "cloud": "PUBLIC"}}),
        ("8:gcch:1-2", {"microsoftTeamsUser": {"userId": "1-2", "isAnonymous": False, "cloud": "GCCH"}}),
        ("28:dod:1-2", {"microsoftTeamsApp": {"appId": "1-2", "cloud": "DOD"}}),
        (
            "8:acs:r_t_u",
            {"teamsExtensionUser": {"userId": "u", "tenantId": "t", "resourceId": "r", "cloud": "PUBLIC"}},
        ),
        (
            "8:gcch-acs:r_t_u",
            {"teamsExtensionUser": {"userId": "u", "tenantId": "t", "resourceId": "r", "cloud": "GCCH"}},
        ),
    ],
)
async def test_targets_in_the_form_of_their_kind(
    client: AcsClient, odd: AnsweringAcs, target: str, form: dict[str, object]
) -> None:
    odd.answers["add"] = [JSONResponse({}, 202)]
    await add(client, target)
    body = odd.asked[0][3]
    assert body["participantToAdd"] == {"rawId": target} | form
    assert "sourceCallerIdNumber" not in body
