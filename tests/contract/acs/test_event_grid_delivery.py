"""Event Grid's handshakes and deliveries, in both schemas, as a webhook receives them."""

from __future__ import annotations

import base64
import json
import re

import jwt
import pytest

from tests.contract.support.acs_stage import ISSUER, Stage, acs_stage, data
from tests.support.eventually import eventually


async def test_the_handshake_comes_before_the_first_call_and_only_once(stage: Stage) -> None:
    await stage.place()
    await stage.place()
    assert len(stage.reception.handshakes) == 1
    handshake = stage.reception.handshakes[0]
    assert handshake.headers["aeg-event-type"] == "SubscriptionValidation"
    event = handshake.events[0]
    assert event["eventType"] == "Microsoft.EventGrid.SubscriptionValidationEvent"
    assert set(data(event)) == {"validationCode", "validationUrl"}
    assert (await stage.lab.post("/lab/subscribe")).json() == {"validated": True}
    assert len(stage.reception.handshakes) == 2


async def test_incoming_call_in_event_grids_schema(stage: Stage) -> None:
    await stage.place(**{"from": "+14255550100", "to": "+18005551212"})
    received = stage.reception.incoming[0]
    assert received.headers["aeg-event-type"] == "Notification"
    assert received.headers["aeg-delivery-count"] == "0"
    assert received.headers["aeg-metadata-version"] == "1"
    assert received.headers["content-type"] == "application/json; charset=utf-8"
    (event,) = received.events
    assert set(event) == {
        "id", "topic", "subject", "data", "eventType", "dataVersion", "metadataVersion", "eventTime",
    }  # fmt: skip
    assert event["eventType"] == "Microsoft.Communication.IncomingCall"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{7}Z", str(event["eventTime"]))
    body = data(event)
    assert body["from"] == {"kind": "phoneNumber", "rawId": "4:+14255550100", "phoneNumber": {"value": "+14255550100"}}
    assert body["to"] == {"kind": "phoneNumber", "rawId": "4:+18005551212", "phoneNumber": {"value": "+18005551212"}}
    header, payload, signature = str(body["incomingCallContext"]).split(".")
    assert json.loads(base64.urlsafe_b64decode(header + "=" * (-len(header) % 4))) == {"alg": "none", "typ": "JWT"}
    assert 2000 < len(payload) < 4096
    assert signature == ""


async def test_cloud_events_with_the_options_handshake() -> None:
    async with acs_stage(event_schema="cloudevents", event_grid_secret="se/cret&") as stage:
        await stage.place()
        assert stage.reception.handshakes[0].path == "/api/incomingCall?code=se%2Fcret%26"
        assert stage.reception.handshakes[0].headers["webhook-request-origin"] == "eventgrid.azure.net"
        received = stage.reception.incoming[0]
        assert received.path == "/api/incomingCall?code=se%2Fcret%26"
        assert received.headers["origin"] == "eventgrid.azure.net"
        (event,) = received.events
        assert set(event) == {"id", "source", "subject", "type", "specversion", "time", "data"}
        assert (event["type"], event["specversion"]) == ("Microsoft.Communication.IncomingCall", "1.0")


async def test_the_secret_of_the_webhook_can_be_replaced() -> None:
    async with acs_stage(event_grid_secret="old") as stage:
        await stage.place()
        assert (await stage.lab.post("/lab/subscribe", json={"secret": "new"})).json() == {"validated": True}
        await stage.place()
        paths = [received.path for received in (*stage.reception.handshakes, *stage.reception.incoming)]
        assert sorted(paths) == [f"/api/incomingCall?code={secret}" for secret in ("new", "new", "old", "old")]


async def test_deliveries_carry_an_entra_like_token_when_set() -> None:
    async with acs_stage(event_grid_bearer="api://call-control") as stage:
        await stage.place()
        jwks = jwt.PyJWKSet.from_dict((await stage.lab.get("/calling/keys")).json())
        for received in (*stage.reception.handshakes, *stage.reception.incoming):
            token = received.headers["authorization"].removeprefix("Bearer ")
            key = jwks[jwt.get_unverified_header(token)["kid"]]
            claims = jwt.decode(token, key, algorithms=["RS256"], audience="api://call-control", issuer=ISSUER)
            assert claims["roles"] == ["AzureEventGridSecureWebhookSubscriber"]


@pytest.mark.parametrize("schema", ["eventgrid", "cloudevents"])
async def test_a_webhook_that_fails_the_handshake_gets_no_call(schema: str) -> None:
    async with acs_stage(event_schema=schema) as stage:
        stage.reception.validates = False
        response = await stage.lab.post("/lab/calls", json={})
        assert response.status_code == 502
        assert re.search("validation code|does not allow the origin", response.json()["error"])
        assert stage.reception.incoming == []
        stage.reception.validates = True
        await stage.place()


async def test_a_webhook_that_does_not_answer_is_named_in_the_502() -> None:
    async with acs_stage(webhook_url="http://127.0.0.1:1/api/incomingCall", webhook_wait_s=0.1) as stage:
        response = await stage.lab.post("/lab/calls", json={})
        assert response.status_code == 502
        assert response.json()["error"].startswith("the webhook did not answer: ClientConnectorError")


async def test_a_failed_delivery_is_tried_a_second_time_with_the_same_event(stage: Stage) -> None:
    stage.reception.webhook_statuses = [503]
    response = await stage.lab.post("/lab/calls", json={})
    assert response.status_code == 502
    assert response.json()["error"].startswith("the webhook answered 503")
    await eventually(lambda: len(stage.reception.incoming) == 2)
    first, second = stage.reception.incoming
    assert first.events == second.events, "the time of the event included"
    assert second.headers["aeg-delivery-count"] == "1"
    answer = await stage.client().answer_call(stage.context(), stage.callback_url)
    assert answer.call_connection_id


async def test_duplicates_and_delay_are_faults(stage: Stage) -> None:
    await stage.faults({"event_grid": {"duplicates": 2, "delay_s": 0.05, "times": 1}})
    await stage.place()
    assert len({received.events[0]["id"] for received in stage.reception.incoming}) == 1
    assert len(stage.reception.incoming) == 3
    await stage.place()
    assert len(stage.reception.incoming) == 4


async def test_the_fields_of_the_event_can_be_chosen_for_each_call(stage: Stage) -> None:
    call: dict[str, object] = {
        "from": "8:orgid:ada",
        "displayName": "Ada",
        "customContext": {"sipHeaders": {"User-To-User": "abc"}},
        "onBehalfOfCallee": {"rawId": "4:+12065551212"},
        "callerForm": "no_raw_id",
    }
    await stage.place(**call)
    body = data(stage.reception.incoming[0].events[0])
    assert body["from"] == {
        "kind": "microsoftTeamsUser",
        "microsoftTeamsUser": {"userId": "ada", "isAnonymous": False, "cloud": "public"},
    }
    assert [body[name] for name in ("callerDisplayName", "customContext", "onBehalfOfCallee")] == [
        call[name] for name in ("displayName", "customContext", "onBehalfOfCallee")
    ]


async def test_neighbors_are_found_on_both_sides_of_an_event(stage: Stage) -> None:
    foreign = {"eventType": "Microsoft.Storage.BlobCreated", "data": {}}
    await stage.lab.put("/lab/faults", json={"event_grid": {"neighbours": [None, foreign, "text"], "times": 1}})
    await stage.place()
    await stage.place()
    first, second = [received.events for received in stage.reception.incoming]
    assert [first[0], *first[2:]] == [None, foreign, "text"]
    assert first[1]["eventType"] == "Microsoft.Communication.IncomingCall"
    assert len(second) == 1
