"""The control API: its responses to valid and invalid requests."""

from __future__ import annotations

import pytest
from azure.communication.callautomation import DtmfTone, FileSource, PhoneNumberIdentifier
from azure.core.exceptions import HttpResponseError

from lab.acs.unsupported_by_acs import PRETENDED
from tests.contract.support.acs_stage import Stage, acs_stage

CALLER = PhoneNumberIdentifier("+14255550100")


async def test_calls_are_listed_and_shown(stage: Stage) -> None:
    call_id = await stage.place(**{"from": "+14255550111", "to": "+18005550000", "audio": "silence"})
    (listed,) = (await stage.lab.get("/lab/calls")).json()["calls"]
    assert listed == {
        "id": call_id, "state": "ringing", "from": "+14255550111", "to": "+18005550000", "call_connection_id": None,
        "end_reason": None, "redirected_to": None, "counters": {"deliveries": 1},
    }  # fmt: skip
    shown = await stage.call(call_id)
    assert {"timeline", "counters", "audio", "direction", "line_opened", "correlation_id"} <= set(shown)
    assert [entry["event"] for entry in await stage.timeline(call_id)] == ["incoming_call_sent"]


@pytest.mark.parametrize(
    ("body", "named"),
    [
        (b"{", "Invalid JSON"),
        (b'{"from": "unknown"}', "`from` String should match pattern"),
        (b'{"audio": "loud"}', "`audio` must be 'script', "),
        (b'{"mark": 65536}', "`mark` "),
        (b'{"steps": [{"say": "a", "dtmf": "1"}]}', "`steps[0]` must contain exactly one of "),
        (b'{"stepz": []}', "unknown key `stepz`; allowed: "),
    ],
)
async def test_a_bad_call_is_refused_with_the_field(stage: Stage, body: bytes, named: str) -> None:
    response = await stage.lab.post("/lab/calls", content=body)
    assert response.status_code == 400
    assert response.json()["error"][0].startswith(named)
    assert stage.reception.incoming == []


@pytest.mark.parametrize("path", ["", "/recording.wav", "/marks", "/media"])
async def test_an_unknown_resource_is_404(stage: Stage, path: str) -> None:
    missing = await stage.lab.get("/lab/calls/none" + path)
    assert (missing.status_code, missing.json()) == (404, {"error": "unknown call 'none'"})


async def test_a_call_that_is_not_connected_refuses_speech_and_tones(stage: Stage) -> None:
    call_id = await stage.place()
    for action, body in (("say", {"text": "hello"}), ("dtmf", {"tones": "1"})):
        response = await stage.lab.post(f"/lab/calls/{call_id}/{action}", json=body)
        assert (response.status_code, response.json()) == (409, {"error": "the call is ringing"})
    assert (await stage.lab.get(f"/lab/calls/{call_id}/recording.wav")).status_code == 404
    assert (await stage.lab.post(f"/lab/calls/{call_id}/dtmf", json={"tones": "x"})).status_code == 400
    assert (await stage.lab.post(f"/lab/calls/{call_id}/say", json={"text": ""})).status_code == 400


async def test_a_call_with_marks_refuses_speech(stage: Stage) -> None:
    call_id, _ = await stage.connected(audio="marks", mark=1)
    response = await stage.lab.post(f"/lab/calls/{call_id}/say", json={"text": "hello"})
    assert response.status_code == 409
    assert (await stage.lab.get(f"/lab/calls/{call_id}/recording.wav")).status_code == 404


async def test_audio_for_a_caller_with_marks_can_be_recorded(stage: Stage) -> None:
    call_id, _ = await stage.connected(audio="marks", mark=1, record=True)
    response = await stage.lab.get(f"/lab/calls/{call_id}/recording.wav")
    assert (response.status_code, response.headers["content-type"]) == (200, "audio/wav")


async def test_faults_are_put_shown_and_deleted(stage: Stage) -> None:
    await stage.faults({"rest": {"answer": {"status": 429}}})
    assert (await stage.lab.get("/lab/faults")).json()["rest"]["answer"]["status"] == 429
    assert (await stage.lab.delete("/lab/faults")).status_code == 204
    assert (await stage.lab.get("/lab/faults")).json()["rest"] == {}
    assert (await stage.lab.put("/lab/faults", json={"rest": {"answer": {"status": 101}}})).status_code == 400


@pytest.mark.parametrize(
    ("plan", "known"),
    [
        ({"rest": {"answr": {"status": 500}}}, "add_participant"),
        ({"callbacks": {"types": ["CallConected"], "drop": True}}, "CallConnected"),
        ({"callback": {"drop": True}}, "callbacks"),
    ],
)
async def test_unknown_faults_are_refused_with_a_list_of_the_known_ones(
    stage: Stage, plan: dict[str, object], known: str
) -> None:
    refused = await stage.lab.put("/lab/faults", json=plan)
    assert refused.status_code == 400
    assert known in refused.json()["error"][0]
    assert (await stage.lab.get("/lab/faults")).json()["rest"] == {}


async def test_faults_name_operations_and_the_ends_of_event_types(stage: Stage) -> None:
    types = ["Microsoft.Communication.CallConnected", "Failed", "ParticipantsUpdated"]
    await stage.faults({"rest": {"*": {"delay_s": 0}, "hang_up": {"delay_s": 0}}, "callbacks": {"types": types}})


async def _used(stage: Stage) -> list[str]:
    listed = (await stage.lab.get("/lab/unsupported")).json()
    assert all(row["what"] and bool(row["used"]) == bool(row["since"]) for row in listed)
    return [row["where"] for row in listed if row["used"]]


async def test_accepted_options_without_effect_are_listed_and_their_uses_counted(stage: Stage) -> None:
    assert len((await stage.lab.get("/lab/unsupported")).json()) == len(PRETENDED)
    assert await _used(stage) == []
    call_id, connection = await stage.connected()
    for _ in range(2):
        await connection.send_dtmf_tones([DtmfTone.ONE], CALLER)
    await connection.play_media(FileSource(stage.url_of("/prompt.wav"), play_source_cache_id="a"), loop=True)
    assert await _used(stage) == ["send_dtmf_tones", "play.playOptions", "play.playSources.playSourceCacheId"]
    assert (await stage.call(call_id))["state"] == "connected"


async def test_strict_refuses_options_without_effect() -> None:
    async with acs_stage(lab_strict=True) as stage:
        call_id, connection = await stage.connected()
        with pytest.raises(HttpResponseError, match="only added to the timeline") as refused:
            await connection.send_dtmf_tones([DtmfTone.ONE], CALLER)
        assert (refused.value.status_code, refused.value.error and refused.value.error.code) == (405, "8520")
        assert await stage.timeline(call_id, "dtmf") == []
        token = {"Authorization": "Bearer any.to.ken"}
        unverified = await stage.lab.get("/calling/callConnections/any?api-version=2026-03-12", headers=token)
        assert unverified.status_code == 401
        assert await _used(stage) == ["Authorization: Bearer", "send_dtmf_tones"]
        await connection.hang_up(is_for_everyone=True)


async def test_the_media_socket_of_a_call_can_be_opened_by_others(stage: Stage) -> None:
    call_id, _ = await stage.connected(audio="silence")
    media = (await stage.lab.get(f"/lab/calls/{call_id}/media")).json()
    assert media["url"].startswith("ws://")
    assert media["headers"]["Authorization"].startswith("Bearer ")
    ringing = await stage.place()
    assert (await stage.lab.get(f"/lab/calls/{ringing}/media")).status_code == 409
