"""The two webhooks: events that they accept, and the responses to all others."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from bridge_common.base.log_limit import LineLimit
from bridge_common.redis.clients import RedisClients
from bridge_common.wire.call_record import CallRecord, Status
from call_control.http import error_responses
from call_control.http.authentication import EVENT_GRID_ROLE
from tests.support.eventually import eventually
from tests.support.recorded_spans import Growth
from tests.support.scripted_acs import ScriptedAcs
from tests.support.switchboard import PhoneCall, Switchboard, environment, replica, settings_of, switchboard

VALIDATION = {
    "id": "2d1781af",
    "topic": "/subscriptions/s",
    "subject": "",
    "data": {"validationCode": "512d38b6-c7b8", "validationUrl": "https://rp.eventgrid.azure.net:553/validate"},
    "eventType": "Microsoft.EventGrid.SubscriptionValidationEvent",
    "eventTime": "2026-11-22T05:00:00.0000000Z",
    "metadataVersion": "1",
    "dataVersion": "1",
}
GRID = "/api/incomingCall"
TENANT = "11111111-2222-3333-4444-555555555555"
AUDIENCE = "api://voice-bridge"
RESOURCE = "89e8cb59-b991-48b0-b154-1db84f16a077"


class Signer:
    """Signs tokens with the private key whose public key the scripted ACS serves."""

    def __init__(self, acs: ScriptedAcs) -> None:
        self.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        jwk = jwt.algorithms.RSAAlgorithm.to_jwk(self.key.public_key(), as_dict=True)
        acs.jwks = {"keys": [{**jwk, "kid": "k1", "use": "sig", "alg": "RS256"}]}

    def bearer(self, **claims: object) -> dict[str, str]:
        now = int(time.time())
        token = jwt.encode(
            {"iat": now, "nbf": now, "exp": now + 300, **claims}, self.key, algorithm="RS256", headers={"kid": "k1"}
        )
        return {"Authorization": f"Bearer {token}"}


@pytest.fixture
def signer(acs: ScriptedAcs) -> Signer:
    return Signer(acs)


def refusal(reply: httpx.Response) -> tuple[int, str]:
    return reply.status_code, reply.json()["error"]["code"]


async def nothing_stored(board: Switchboard) -> bool:
    """Return whether there are no calls and the inbox is empty."""
    return await board.store.list_calls() == [] and await board.entries() == 0


async def test_both_handshakes(board: Switchboard) -> None:
    reply = await board.http.post(GRID, json=[VALIDATION], headers={"aeg-event-type": "SubscriptionValidation"})
    assert (reply.status_code, reply.json()) == (200, {"validationResponse": "512d38b6-c7b8"})
    reply = await board.http.options(GRID, headers={"WebHook-Request-Origin": "eventgrid.azure.net"})
    assert reply.status_code == 200
    assert reply.headers["WebHook-Allowed-Origin"] == "eventgrid.azure.net"
    assert reply.headers["WebHook-Allowed-Rate"] == "*"
    assert "POST" in reply.headers["Allow"]
    assert refusal(await board.http.options(GRID)) == (400, "bad_request")


async def test_cloud_events_one_or_many(board: Switchboard) -> None:
    one, two = PhoneCall(), PhoneCall()
    clouds = [
        {"specversion": "1.0", "type": event["eventType"], "id": event["id"], "source": "/t", "data": event["data"]}
        for event in (one.incoming(), two.incoming())
    ]
    content = {"Content-Type": "application/cloudevents+json"}
    assert (await board.http.post(GRID, content=json.dumps(clouds[0]), headers=content)).status_code == 200
    assert (await board.http.post(GRID, content=json.dumps(clouds))).json() == {"received": 2}
    calls = await eventually(lambda: _two_calls(board))
    assert {record.call_id for record in calls} == {one.call_id, two.call_id}


async def _two_calls(board: Switchboard) -> list[CallRecord]:
    calls = await board.store.list_calls()
    return list(calls) if len(calls) == 2 else []


async def test_other_event_types_are_accepted_and_ignored(board: Switchboard) -> None:
    started = {"id": "s", "eventType": "Microsoft.Communication.CallStarted", "data": {}}
    assert (await board.http.post(GRID, json=[started])).status_code == 200
    assert await nothing_stored(board)


async def test_bodies_without_events_are_refused(board: Switchboard) -> None:
    for body in (b"", b"{", b"\xff", b"[]", b"7", b'"text"', b"null"):
        assert refusal(await board.http.post(GRID, content=body)) == (400, "bad_request"), body
        assert refusal(await board.call_back_raw(PhoneCall(), body)) == (400, "bad_request"), body
    reply = await board.http.post(GRID, content=b"{")
    assert reply.json()["error"]["message"] == "the body is not valid JSON in UTF-8"
    assert await nothing_stored(board)


async def test_a_bad_event_does_not_affect_the_other_calls(
    board: Switchboard, caplog: pytest.LogCaptureFixture
) -> None:
    """The valid events of a batch are accepted: Event Grid does not redeliver a batch after a 400."""
    grown = Growth()
    bads: tuple[object, ...] = (
        7,
        None,
        [],
        {},
        PhoneCall().incoming(incomingCallContext=7),
        PhoneCall().incoming() | {"data": "text"},
    )
    calls = [PhoneCall() for _ in range(3)]
    batch = [calls[0].incoming(), *bads[:3], calls[1].incoming(), *bads[3:], calls[2].incoming()]
    reply = await board.http.post(GRID, json=batch)
    assert (reply.status_code, reply.json()) == (200, {"received": 3, "refused": 6})
    for call in calls:
        await board.reaches(call, Status.RINGING)
    assert grown('bridge_webhook_events_total{kind="other",outcome="refused"}') == 6
    [line] = [record for record in caplog.records if record.message == "webhook events refused"]
    about = line.__dict__["bridge_fields"]
    assert (about["refused"], about["reason"]) == (6, "[1] must be an object, got a number")
    assert calls[0].caller not in str(about)


async def test_a_call_of_an_unknown_caller_is_accepted(board: Switchboard) -> None:
    odd: tuple[dict[str, object], ...] = (
        {"from": {"kind": "unknown"}},
        {"from": None, "to": None, "serverCallId": None, "callerDisplayName": None, "customContext": None},
        {"from": {"kind": "phoneNumber", "rawId": "4:anonymous", "phoneNumber": {"value": "anonymous"}}},
        {"from": {"communicationUser": {"id": "8:acs:r_1"}}},
    )
    calls = [PhoneCall() for _ in odd]
    events = [call.incoming("", **changes) for call, changes in zip(calls, odd, strict=True)]
    foreign = {"id": "x", "eventType": "Microsoft.Storage.BlobCreated", "data": {}}
    assert (await board.http.post(GRID, json=[*events, foreign])).json() == {"received": 5}
    callers = [(await board.reaches(call, Status.RINGING)).caller for call in calls]
    assert callers == ["", "", "4:anonymous", "8:acs:r_1"]


async def test_a_call_without_ids_is_one_call_however_often_it_is_delivered(board: Switchboard) -> None:
    rung = [PhoneCall(), PhoneCall()]
    event, other = [call.incoming(correlationId=None) | {"id": None} for call in rung]
    for body in ([event], [event, other], event):
        assert (await board.http.post(GRID, json=body)).status_code == 200
    calls = await eventually(lambda: _two_calls(board))
    await eventually(board.idle)
    assert {call.incoming_call_context for call in calls} == {call.context for call in rung}
    assert await _two_calls(board)


async def test_bodies_over_the_limit_are_refused_unread(board: Switchboard) -> None:
    big = json.dumps([PhoneCall().incoming(padding="x" * 257 * 1024)]).encode()
    assert refusal(await board.http.post(GRID, content=big)) == (413, "payload_too_large")

    async def parts() -> AsyncIterator[bytes]:
        for start in range(0, len(big), 64 * 1024):
            yield big[start : start + 64 * 1024]

    assert refusal(await board.http.post(GRID, content=parts())) == (413, "payload_too_large")
    assert refusal(await board.http.post(f"/api/callbacks/{PhoneCall().call_id}", content=big)) == (
        413,
        "payload_too_large",
    )
    assert await nothing_stored(board)


async def test_methods_and_paths(board: Switchboard) -> None:
    assert (await board.http.get(GRID)).status_code == 405
    assert refusal(await board.http.post("/api/callbacks/call_x", json=[])) == (404, "not_found")
    assert (await board.http.post("/api/callbacks", json=[])).status_code == 404


async def test_a_bad_callback_does_not_affect_the_others(board: Switchboard) -> None:
    call = PhoneCall()
    connection_id = await board.connect(call)
    result = {"resultInformation": {"code": "200", "subCode": 560000.0, "message": "x" * 100_000}}
    hung_up = call.callback("CallDisconnected", connection_id, **result)
    bads: tuple[object, ...] = ({"type": 7}, {"type": "Contoso.Happened"}, [], None, "text", {"data": {}})
    reply = await board.http.post(f"/api/callbacks/{call.call_id}", json=[*bads[:3], hung_up, *bads[3:]])
    assert (reply.status_code, reply.json()) == (200, {"received": 2, "refused": 5})
    assert (await board.reaches(call, Status.ENDED)).end_reason == "caller_hung_up"


async def test_a_hang_up_that_names_only_its_connection_ends_the_call(board: Switchboard) -> None:
    call = PhoneCall()
    data = {"callConnectionId": await board.connect(call)}
    reply = await board.call_back(call, {"type": "Microsoft.Communication.CallDisconnected", "data": data})
    assert reply.json() == {"received": 1}
    await board.reaches(call, Status.ENDED)


async def test_callbacks_of_unknown_calls_and_types_are_accepted(board: Switchboard) -> None:
    call = PhoneCall()
    reply = await board.call_back(call, call.callback("CallConnected", "c"), call.callback("SomethingNew", "c"))
    assert (reply.status_code, reply.json()) == (200, {"received": 2})
    await eventually(board.idle)


async def test_two_secrets_are_good_at_once(redis_url: str, clients: RedisClients, acs: ScriptedAcs) -> None:
    async with switchboard(redis_url, clients, acs, EVENT_GRID_SECRETS="new-secret,old-secret") as board:
        for code in ("new-secret", "old-secret"):
            assert (await board.ring(PhoneCall(), code=code)).status_code == 200
            assert (await board.http.post(GRID, json=[VALIDATION], params={"code": code})).status_code == 200
        for params in ({}, {"code": ""}, {"code": "new-secre"}, {"code": "new-secret,old-secret"}, {"code": "é"}):
            assert refusal(await board.ring(PhoneCall(), **params)) == (401, "unauthorized")
            assert (await board.http.options(GRID, params=params)).status_code == 401
        assert len(await eventually(lambda: _two_calls(board))) == 2


async def test_event_grids_token(redis_url: str, clients: RedisClients, acs: ScriptedAcs, signer: Signer) -> None:
    settings = {
        "EVENT_GRID_TENANT_ID": TENANT,
        "EVENT_GRID_AUDIENCE": AUDIENCE,
        "EVENT_GRID_JWKS_URL": f"{acs.endpoint}/calling/keys",
    }
    v1, v2 = f"https://sts.windows.net/{TENANT}/", f"https://login.microsoftonline.com/{TENANT}/v2.0"
    roles = [EVENT_GRID_ROLE]
    async with switchboard(redis_url, clients, acs, **settings) as board:
        for issuer in (v1, v2):
            headers = signer.bearer(iss=issuer, aud=AUDIENCE, roles=roles)
            reply = await board.http.post(GRID, json=[VALIDATION], headers=headers)
            assert reply.status_code == 200, reply.text
        for headers in (
            {},
            {"Authorization": "Bearer x.y.z"},
            signer.bearer(iss=v1, aud=AUDIENCE),
            signer.bearer(iss=v1, aud=AUDIENCE, roles=["Other"]),
            signer.bearer(iss=v1, aud=AUDIENCE, roles=EVENT_GRID_ROLE),
            signer.bearer(iss=v1, aud="api://other", roles=roles),
            signer.bearer(iss="https://sts.windows.net/other/", aud=AUDIENCE, roles=roles),
            signer.bearer(iss=v1, aud=AUDIENCE, roles=roles, exp=int(time.time()) - 3600),
        ):
            reply = await board.http.post(GRID, json=[PhoneCall().incoming()], headers=headers)
            assert refusal(reply) == (401, "unauthorized")
        assert await nothing_stored(board)


@pytest.mark.parametrize("mode", ["enforce", "log", "off"])
async def test_acs_tokens_on_callbacks(
    redis_url: str, clients: RedisClients, acs: ScriptedAcs, signer: Signer, mode: str
) -> None:
    settings = {
        "ACS_JWT_MODE": mode,
        "ACS_JWT_AUDIENCE": RESOURCE,
        "ACS_JWT_ISSUER": "https://acs.test",
        "ACS_JWKS_URL": f"{acs.endpoint}/calling/keys",
    }
    async with switchboard(redis_url, clients, acs, **settings) as board:
        call = PhoneCall()
        url, body = f"/api/callbacks/{call.call_id}", [call.callback("CallConnected", "c")]
        good = signer.bearer(iss="https://acs.test", aud=RESOURCE)
        assert (await board.http.post(url, json=body, headers=good)).status_code == 200
        for bad in (
            {},
            {"Authorization": good["Authorization"].replace("Bearer", "Basic")},
            signer.bearer(iss="https://acs.test", aud="other"),
            signer.bearer(iss="https://other.test", aud=RESOURCE),
        ):
            reply = await board.http.post(url, json=body, headers=bad)
            assert reply.status_code == (401 if mode == "enforce" else 200)


async def test_a_refused_request_is_one_line_and_a_flood_of_them_is_few(
    redis_url: str,
    clients: RedisClients,
    acs: ScriptedAcs,
    signer: Signer,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Regression: the verifier and the endpoint each logged a line for every rejected request."""
    settings = {
        "ACS_JWT_MODE": "enforce",
        "ACS_JWT_AUDIENCE": RESOURCE,
        "ACS_JWT_ISSUER": "https://acs.test",
        "ACS_JWKS_URL": f"{acs.endpoint}/calling/keys",
    }
    monkeypatch.setattr(error_responses.log, "filters", [LineLimit(per_s=0.001, burst=3)])
    async with switchboard(redis_url, clients, acs, **settings) as board:
        grown, call = Growth(), PhoneCall()
        url, body = f"/api/callbacks/{call.call_id}", [call.callback("CallConnected", "c")]
        caplog.clear()
        assert (await board.http.post(url, json=body)).status_code == 401
        [line] = [record for record in caplog.records if record.name == error_responses.log.name]
        assert line.message == "request refused"
        assert "Bearer" in line.__dict__["bridge_fields"]["reason"]
        for _ in range(20):
            assert (await board.http.post(url, json=body)).status_code == 401
        assert caplog.messages.count("request refused") == 3
        assert grown('bridge_requests_refused_total{endpoint="callbacks",code="unauthorized"}') == 21


async def test_without_redis_events_are_answered_with_503(acs: ScriptedAcs) -> None:
    settings = settings_of(environment("redis://127.0.0.1:1/0", acs))
    async with replica(settings) as address, httpx.AsyncClient(base_url=address, trust_env=False) as http:
        call = PhoneCall()
        for reply in (
            await http.post(GRID, json=[call.incoming()]),
            await http.post(f"/api/callbacks/{call.call_id}", json=[call.callback("CallConnected", "c")]),
        ):
            assert refusal(reply) == (503, "unavailable")
            assert int(reply.headers["Retry-After"]) > 0
            assert "127.0.0.1" not in reply.text
        assert (await http.get("/readyz")).status_code == 503
        assert (await http.get("/livez")).status_code == 200


async def test_the_record_holds_all_of_the_event(board: Switchboard) -> None:
    call = PhoneCall()
    before = round(time.time() * 1000)
    await board.ring(call)
    record = await eventually(lambda: board.store.load(call.call_id))
    assert record is not None
    assert (record.caller, record.callee) == (call.caller, call.callee)
    assert (record.correlation_id, record.incoming_call_context) == (call.correlation_id, call.context)
    assert before <= record.created_ms <= time.time() * 1000
