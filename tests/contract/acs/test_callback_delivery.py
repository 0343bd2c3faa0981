"""Callbacks as an application receives them: tokens, retries, and network faults."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import jwt
from azure.core.messaging import CloudEvent

from lab.acs.settings import LAB_RESOURCE_ID
from tests.contract.support.acs_stage import ISSUER, Received, Stage, data, types
from tests.support.eventually import eventually


async def claims_of(stage: Stage, received: Received | dict[str, str]) -> dict[str, object]:
    headers = received.headers if isinstance(received, Received) else received
    token = headers["authorization"].removeprefix("Bearer ")
    configuration = (await stage.lab.get("/calling/.well-known/acsopenidconfiguration")).json()
    assert configuration["issuer"] == ISSUER
    jwks = jwt.PyJWKSet.from_dict((await stage.lab.get(configuration["jwks_uri"])).json())
    claims: dict[str, object] = jwt.decode(
        token,
        jwks[jwt.get_unverified_header(token)["kid"]],
        algorithms=["RS256"],
        audience=LAB_RESOURCE_ID,
        issuer=ISSUER,
    )
    return claims


async def test_each_callback_has_a_fresh_token_for_five_minutes_and_a_socket_for_a_day(stage: Stage) -> None:
    await stage.connected()
    await stage.reception.event("MediaStreamingStarted")
    first, second = [await claims_of(stage, received) for received in stage.reception.callbacks]
    assert int(str(first["exp"])) - int(str(first["iat"])) == 300
    assert first["jti"] != second["jti"]
    socket = await claims_of(stage, (await stage.media.connection()).headers)
    assert int(str(socket["exp"])) - int(str(socket["iat"])) == 86_400


async def test_a_rotated_key_is_published_beside_the_one_before(stage: Stage) -> None:
    before = {key["kid"] for key in (await stage.lab.get("/calling/keys")).json()["keys"]}
    kid = (await stage.lab.post("/lab/keys/rotate")).json()["kid"]
    after = {key["kid"] for key in (await stage.lab.get("/calling/keys")).json()["keys"]}
    assert after == before | {kid}
    await stage.connected()
    await stage.reception.event("CallConnected")
    assert (await claims_of(stage, stage.reception.callbacks[0]))["aud"] == LAB_RESOURCE_ID


async def test_events_are_cloud_events_that_azure_core_reads(stage: Stage) -> None:
    await stage.connected()
    event = await stage.reception.event("CallConnected")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{7}\+00:00", str(event["time"]))
    parsed: CloudEvent[dict[str, object]] = CloudEvent.from_dict(event)
    assert parsed.type == "Microsoft.Communication.CallConnected"
    assert parsed.time is not None
    assert abs((datetime.now(UTC) - parsed.time).total_seconds()) < 60


async def test_a_refused_callback_is_repeated_with_the_same_ids(stage: Stage) -> None:
    stage.reception.callback_statuses = [500, 404]
    call_id, _ = await stage.connected()
    await stage.reception.event("MediaStreamingStarted")
    connected = stage.reception.events("CallConnected")
    assert len(connected) == 3
    assert len({str(event["id"]) for event in connected}) == 1
    assert stage.reception.order()[-1] == "MediaStreamingStarted"
    counters = (await stage.call(call_id))["counters"]
    assert isinstance(counters, dict)
    assert counters["callback_failures"] == 2


async def test_a_callback_that_is_never_accepted_is_recorded_as_given_up(stage: Stage) -> None:
    stage.reception.callback_statuses = [500, 500, 500]
    call_id, _ = await stage.connected()
    (failed,) = await stage.noted(call_id, "callback_failed")
    assert failed["types"] == ["CallConnected", "ParticipantsUpdated"]
    await stage.reception.event("MediaStreamingStarted")


async def test_faults_duplicate_drop_and_reorder(stage: Stage) -> None:
    await stage.faults({"callbacks": {"duplicates": 1, "times": 1}})
    await stage.connected()
    await stage.reception.event("MediaStreamingStarted")
    assert len(stage.reception.events("CallConnected")) == 2
    stage.reception.callbacks.clear()
    await stage.faults({"callbacks": {"types": ["CallConnected"], "drop": True}})
    await stage.connected()
    await stage.reception.event("MediaStreamingStarted")
    assert stage.reception.events("CallConnected") == []
    stage.reception.callbacks.clear()
    await stage.faults({"callbacks": {"reorder": True, "times": 1}})
    await stage.connected()
    await eventually(lambda: len(stage.reception.callbacks) == 2)
    assert types(stage.reception.callbacks[0].events) == ["MediaStreamingStarted"]
    assert types(stage.reception.callbacks[1].events) == ["ParticipantsUpdated", "CallConnected"]


async def test_neighbours_and_results_in_other_spellings(stage: Stage) -> None:
    fault = {"neighbours": [{"type": "Contoso.Happened"}], "types": ["CallDisconnected"], "results": "text"}
    await stage.lab.put("/lab/faults", json={"callbacks": fault})
    call_id, _ = await stage.connected()
    await stage.lab.post(f"/lab/calls/{call_id}/hangup")
    ended = await stage.reception.event("CallDisconnected")
    assert data(ended)["resultInformation"] == {
        "code": "200", "subCode": "560000", "message": "The conversation has ended. DiagCode: 0#560000.@",
    }  # fmt: skip
    assert stage.reception.callbacks[-1].events[0] == {"type": "Contoso.Happened"}
