"""Behavior of all operations, tested with the unmodified Python SDK: keys, errors, faults, retries, repeated
requests.
"""

from __future__ import annotations

import pytest
from azure.communication.callautomation import PhoneNumberIdentifier
from azure.communication.callautomation.aio import CallAutomationClient
from azure.core.credentials import AccessToken
from azure.core.exceptions import (
    ClientAuthenticationError,
    HttpResponseError,
    ResourceNotFoundError,
    ServiceRequestError,
)
from azure.core.pipeline import PipelineRequest
from azure.core.pipeline.policies import SansIOHTTPPolicy

from tests.contract.support.acs_stage import Stage, acs_stage

WRONG_KEY = "d3Jvbmcga2V5"


class AllowHttp(SansIOHTTPPolicy):  # type: ignore[type-arg]  # azure-core's generics are for its own transports
    """Allows plain HTTP. By default, the SDK sends tokens over HTTPS only."""

    def on_request(self, request: PipelineRequest) -> None:  # type: ignore[type-arg]  # as above
        request.context.options["enforce_https"] = False


class AnyToken:
    async def get_token(self, *scopes: str, **_: object) -> AccessToken:
        assert scopes == ("https://communication.azure.com//.default",)
        return AccessToken("a.b.c", 4_000_000_000)

    async def close(self) -> None: ...

    async def __aenter__(self) -> AnyToken:
        return self

    async def __aexit__(self, *_: object) -> None: ...


async def test_a_wrong_key_is_an_authentication_error(stage: Stage) -> None:
    await stage.place()
    with pytest.raises(ClientAuthenticationError) as refused:
        await stage.client(WRONG_KEY).answer_call(stage.context(), stage.callback_url)
    assert refused.value.error is not None
    assert refused.value.error.code == "7509"
    await stage.client().answer_call(stage.context(), stage.callback_url)


async def test_signatures_cover_queries_and_encoded_paths(stage: Stage) -> None:
    _, connection = await stage.connected()
    participants = [one async for one in connection.list_participants()]
    assert participants[0].identifier is not None
    found = await connection.get_participant(participants[0].identifier)
    assert found.identifier is not None
    assert found.identifier.raw_id == "4:+14255550100"


async def test_a_token_of_an_entra_credential_is_accepted_when_the_settings_allow(stage: Stage) -> None:
    await stage.place()
    async with CallAutomationClient(stage.url, AnyToken(), per_call_policies=[AllowHttp()]) as client:
        assert (await client.answer_call(stage.context(), stage.callback_url)).call_connection_id


async def test_tokens_are_refused_when_the_settings_say_so() -> None:
    async with (
        acs_stage(acs_allow_bearer=False) as stage,
        CallAutomationClient(stage.url, AnyToken(), per_call_policies=[AllowHttp()]) as client,
    ):
        await stage.place()
        with pytest.raises(ClientAuthenticationError):
            await client.answer_call(stage.context(), stage.callback_url)


async def test_an_unknown_call_is_not_found(stage: Stage) -> None:
    connection = stage.client().get_call_connection("08002580-9c4a-4a8b-b8ab-bad5475a3149")
    with pytest.raises(ResourceNotFoundError) as refused:
        await connection.get_call_properties()
    assert refused.value.error is not None
    assert refused.value.error.code == "8522"


async def test_actions_before_the_call_is_established_come_too_early() -> None:
    async with acs_stage(media_open_delay_s=5.0) as stage:
        await stage.place()
        client = stage.client()
        answer = await client.answer_call(stage.context(), stage.callback_url, media_streaming=stage.streaming())
        assert answer.call_connection_id is not None
        connection = client.get_call_connection(answer.call_connection_id)
        with pytest.raises(HttpResponseError) as refused:
            await connection.stop_media_streaming()
        assert (refused.value.status_code, refused.value.error and refused.value.error.code) == (400, "8501")
        await connection.hang_up(is_for_everyone=True)


async def test_operations_that_are_not_simulated_say_so(stage: Stage) -> None:
    _, connection = await stage.connected()
    with pytest.raises(HttpResponseError, match="simulator does not support") as refused:
        await connection.start_transcription()
    assert refused.value.status_code == 405


async def test_429_with_retry_after_is_tried_again_by_the_sdk(stage: Stage) -> None:
    await stage.place()
    await stage.faults({"rest": {"answer": {"status": 429, "code": "8516", "retry_after": 0, "times": 1}}})
    answer = await stage.client().answer_call(stage.context(), stage.callback_url)
    assert answer.call_connection_id


async def test_429_without_retry_after_is_raised_at_once(stage: Stage) -> None:
    await stage.place()
    await stage.faults({"rest": {"answer": {"status": 429, "code": "8516", "message": "throttled", "times": 1}}})
    with pytest.raises(HttpResponseError, match="throttled") as refused:
        await stage.client().answer_call(stage.context(), stage.callback_url)
    assert refused.value.status_code == 429


async def test_500_is_tried_again_by_the_sdk_until_its_retries_are_spent(stage: Stage) -> None:
    await stage.place()
    await stage.faults({"rest": {"answer": {"status": 500, "times": 2}}})
    client = stage.client(retries=2)
    assert (await client.answer_call(stage.context(), stage.callback_url)).call_connection_id
    await stage.faults({"rest": {"*": {"status": 500}}})
    with pytest.raises(HttpResponseError) as refused:
        await client.get_call_connection("any").get_call_properties()
    assert refused.value.status_code == 500


async def test_an_answer_that_was_lost_is_replayed_to_the_retry(stage: Stage) -> None:
    """The SDK repeats the request with the same Repeatability-Request-ID. The simulator answers the call only once."""
    call_id = await stage.place()
    await stage.faults({"rest": {"answer": {"status": 503, "when": "after", "times": 1}}})
    answer = await stage.client().answer_call(stage.context(), stage.callback_url)
    assert answer.call_connection_id == (await stage.call(call_id))["call_connection_id"]
    assert len(await stage.timeline(call_id, "answered")) == 1


@pytest.mark.parametrize(("when", "transferred"), [("after", True), ("before", False)])
async def test_an_unexpected_2xx_raises_whether_or_not_the_transfer_was_carried_out(
    stage: Stage, when: str, transferred: bool
) -> None:
    call_id, connection = await stage.connected()
    await stage.lab.put("/lab/callee", json={"after_s": 0.0})
    await stage.faults({"rest": {"transfer": {"status": 200, "when": when, "times": 1}}})
    with pytest.raises(HttpResponseError) as odd:
        await connection.transfer_call_to_participant(PhoneNumberIdentifier("+14255550177"))
    assert odd.value.status_code == 200
    if transferred:
        await stage.reception.event("CallTransferAccepted")
        assert (await stage.state(call_id, "ended"))["end_reason"] == "transferred"
    else:
        assert (await stage.call(call_id))["invitations"] == []


async def test_a_dropped_connection_is_not_answered(stage: Stage) -> None:
    call_id = await stage.place()
    await stage.faults({"rest": {"answer": {"drop": True, "times": 1}}})
    with pytest.raises(ServiceRequestError):
        await stage.client().answer_call(stage.context(), stage.callback_url)
    assert (await stage.call(call_id))["state"] == "ringing"


async def test_requests_without_api_version_or_with_a_bad_body_get_acs_errors(stage: Stage) -> None:
    token = {"Authorization": "Bearer a.b.c"}
    path = "/calling/callConnections:answer"
    missing = await stage.lab.post(path, json={}, headers=token)
    assert (missing.status_code, missing.json()["error"]["code"]) == (400, "MissingApiVersion")
    for body in (b"{", b"[]", b'{"incomingCallContext": 7}', b"\xff", b"[" * 100_000):
        bad = await stage.lab.post(path + "?api-version=2026-03-12", content=body, headers=token)
        assert (bad.status_code, bad.json()["error"]["code"]) == (400, "8523"), body[:20]
    large = await stage.lab.post(path + "?api-version=2026-03-12", content=bytes(2 << 20), headers=token)
    assert large.status_code == 413
    unknown = await stage.lab.put("/calling/nothing", json={})
    assert (unknown.status_code, unknown.json()["error"]["code"]) == (404, "8522")
    unsigned = await stage.lab.post(path + "?api-version=2026-03-12", json={})
    assert (unsigned.status_code, unsigned.json()["error"]["code"]) == (401, "7509")
