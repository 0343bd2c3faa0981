"""The control API: what it answers, and what it says to bad requests."""

from __future__ import annotations

import pytest

from acs_stage import Stage


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
        (b"{", "body"),
        (b'{"from": "unknown"}', "from"),
        (b'{"audio": "loud"}', "audio"),
        (b'{"mark": 65536}', "mark"),
        (b'{"steps": [{"say": "a", "dtmf": "1"}]}', "steps.0"),
        (b'{"stepz": []}', "stepz"),
    ],
)
async def test_a_bad_call_is_refused_with_the_field(stage: Stage, body: bytes, named: str) -> None:
    response = await stage.lab.post("/lab/calls", content=body)
    assert response.status_code == 400
    assert response.json()["error"][0].startswith(named + ":")
    assert stage.reception.incoming == []


@pytest.mark.parametrize("path", ["", "/recording.wav", "/marks", "/media"])
async def test_what_is_not_there_is_404(stage: Stage, path: str) -> None:
    missing = await stage.lab.get("/lab/calls/none" + path)
    assert (missing.status_code, missing.json()) == (404, {"error": "there is no such call"})


async def test_a_call_that_is_not_connected_takes_no_speech_and_no_tones(stage: Stage) -> None:
    call_id = await stage.place()
    for action, body in (("say", {"text": "hello"}), ("dtmf", {"tones": "1"})):
        response = await stage.lab.post(f"/lab/calls/{call_id}/{action}", json=body)
        assert (response.status_code, response.json()) == (409, {"error": "the call is ringing"})
    assert (await stage.lab.get(f"/lab/calls/{call_id}/recording.wav")).status_code == 404
    assert (await stage.lab.post(f"/lab/calls/{call_id}/dtmf", json={"tones": "x"})).status_code == 400
    assert (await stage.lab.post(f"/lab/calls/{call_id}/say", json={"text": ""})).status_code == 400


async def test_a_call_that_carries_marks_takes_no_speech(stage: Stage) -> None:
    call_id, _ = await stage.connected(audio="marks", mark=1)
    response = await stage.lab.post(f"/lab/calls/{call_id}/say", json={"text": "hello"})
    assert response.status_code == 409
    assert (await stage.lab.get(f"/lab/calls/{call_id}/recording.wav")).status_code == 404


async def test_what_a_caller_with_marks_hears_can_be_recorded(stage: Stage) -> None:
    call_id, _ = await stage.connected(audio="marks", mark=1, record=True)
    response = await stage.lab.get(f"/lab/calls/{call_id}/recording.wav")
    assert (response.status_code, response.headers["content-type"]) == (200, "audio/wav")


async def test_faults_are_put_shown_and_deleted(stage: Stage) -> None:
    await stage.faults({"rest": {"answer": {"status": 429}}})
    assert (await stage.lab.get("/lab/faults")).json()["rest"]["answer"]["status"] == 429
    assert (await stage.lab.delete("/lab/faults")).status_code == 204
    assert (await stage.lab.get("/lab/faults")).json()["rest"] == {}
    assert (await stage.lab.put("/lab/faults", json={"rest": {"answer": {"status": 200}}})).status_code == 400


async def test_the_media_socket_of_a_call_can_be_opened_by_others(stage: Stage) -> None:
    call_id, _ = await stage.connected(audio="silence")
    media = (await stage.lab.get(f"/lab/calls/{call_id}/media")).json()
    assert media["url"].startswith("ws://")
    assert media["headers"]["Authorization"].startswith("Bearer ")
    ringing = await stage.place()
    assert (await stage.lab.get(f"/lab/calls/{ringing}/media")).status_code == 409
