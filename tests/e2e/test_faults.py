"""After a fault, the caller never hears a long silence, and no call remains active."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request

import pytest
from redis.asyncio import Redis

from bridge_common.base.ids import call_id_of
from bridge_common.wire.audio import VOICE_RATE_HZ
from lab.heard_audio import find_speech, read_recording
from lab.observed_call import FINISHED, ObservedCall, place_call
from lab.scenario import Agent, Reply, Scenario, ScenarioCaller, ScenarioStep
from lab.stack import Stack
from lab.wire import Json, call_json
from media_gateway.core.rate_change import rate_change
from media_gateway.recordings import WAIT, load_recordings
from tests.support.eventually import eventually

SLOW = Scenario(
    name="slow",
    caller=ScenarioCaller(
        number="+14255550115",
        steps=(
            ScenarioStep(wait_for="agent_ends", ms=2500),
            ScenarioStep(say="Where is my order?"),
            ScenarioStep(pause_ms=8_500),
            ScenarioStep(hang_up=True),
        ),
    ),
    agent=Agent(greeting="Hello there.", replies=(Reply(heard="Where is my order?", say="It arrives tomorrow."),)),
)


def _place(stack: Stack, number: str, **body: object) -> str:
    call = {"from": number, "to": "+18005551212", "audio": "silence", **body}
    return str(call_json("POST", f"{stack.url('acs')}/lab/calls", call)["id"])


def _phone(stack: Stack, lab_id: str) -> Json:
    found: Json = call_json("GET", f"{stack.url('acs')}/lab/calls/{lab_id}")
    return found


def _events(stack: Stack, lab_id: str) -> list[str]:
    return [row["event"] for row in _phone(stack, lab_id)["timeline"]]


async def _connected(stack: Stack, lab_id: str) -> None:
    await eventually(lambda: "call_connected" in _events(stack, lab_id), within_s=20)


async def _ended(stack: Stack, lab_id: str) -> Json:
    """Return the record of the call when its status is ended."""
    call_id = call_id_of(str(_phone(stack, lab_id)["correlation_id"]))

    def ended() -> Json:
        record: Json = call_json("GET", f"{stack.url('call-control')}/api/calls/{call_id}")
        return record if record["status"] == "ended" else {}

    return await eventually(ended, within_s=5)


async def _released(stack: Stack) -> bool:
    """Whether all leases are released and all voice sessions closed."""
    redis = Redis.from_url(stack.redis_url)
    try:
        leases = await redis.zcard("{s00}:leases")
    finally:
        await redis.aclose()
    sessions = call_json("GET", f"{stack.url('voice-live')}/lab/sessions")
    rows = sessions if isinstance(sessions, list) else next(iter(sessions.values()))
    return leases == 0 and all(row["state"] != "open" for row in rows)


@pytest.mark.timeout(90)
@pytest.mark.parametrize("status", [401, 403, 503])
async def test_a_voice_service_that_refuses_means_the_call_is_not_answered(stack: Stack, status: int) -> None:
    faults = {"handshake": {"status": status, "times": 1000}}
    call_json("PUT", f"{stack.url('voice-live')}/lab/faults", faults)
    lab_id = _place(stack, "+14255550111")
    await eventually(lambda: _phone(stack, lab_id)["state"] in FINISHED, within_s=25, every_s=0.1)
    assert _phone(stack, lab_id)["state"] == "rejected"
    assert "answered" not in _events(stack, lab_id)
    await eventually(lambda: _released(stack))


@pytest.mark.timeout(60)
async def test_everything_of_a_call_is_released_soon_after_the_caller_hangs_up(stack: Stack) -> None:
    lab_id = _place(stack, "+14255550112")
    await eventually(lambda: "call_connected" in _events(stack, lab_id), within_s=20)
    call_json("POST", f"{stack.url('acs')}/lab/calls/{lab_id}/hangup", {})
    hung_up = time.monotonic()
    await eventually(lambda: _released(stack))
    assert time.monotonic() - hung_up < 4, "the release must not depend on the expiry of a lease or deadline"


@pytest.mark.timeout(90)
async def test_callers_of_every_kind_are_answered_beside_broken_events(stack: Stack) -> None:
    """The hang-up is attributed to the caller, with all result codes in all formats."""
    foreign = {"id": "x", "eventType": "Microsoft.Storage.BlobCreated", "data": {}}
    faults = {
        "event_grid": {"neighbours": [None, foreign, {"eventType": "Microsoft.Communication.IncomingCall"}]},
        "callbacks": {"neighbours": ["text", {"type": 7}], "results": "float", "correlation": "connection"},
    }
    call_json("PUT", f"{stack.url('acs')}/lab/faults", faults)
    callers: list[tuple[str, Json]] = [
        ("8:acs:res_ada", {"displayName": "Ada", "customContext": {"voipHeaders": {"k": "v"}}}),
        ("8:orgid:ada", {"hangUp": {"code": 0, "subCode": 5010}}),
        ("4:anonymous", {"hangUp": {"subCode": 540000}}),
        ("8:acs:res_eve", {"callerForm": "absent", "hangUp": {"subCode": 18503}}),
    ]
    lab_ids = [_place(stack, caller, **about) for caller, about in callers]
    for lab_id in lab_ids:
        await _connected(stack, lab_id)
        call_json("POST", f"{stack.url('acs')}/lab/calls/{lab_id}/hangup", {})
    for lab_id, (caller, about) in zip(lab_ids, callers, strict=True):
        record = await _ended(stack, lab_id)
        assert record["end_reason"] == "caller_hung_up"
        assert record["caller"] == ("" if "callerForm" in about else caller)
        assert record["caller_display_name"] == about.get("displayName", "")
    await eventually(lambda: _released(stack), within_s=3)


@pytest.mark.timeout(60)
async def test_a_caller_who_gives_up_while_it_rings_leaves_nothing_behind(stack: Stack) -> None:
    call_json("PUT", f"{stack.url('voice-live')}/lab/faults", {"session_created": {"delay_s": 3.0, "times": 1}})
    lab_id = _place(stack, "+14255550113")
    call_json("POST", f"{stack.url('acs')}/lab/calls/{lab_id}/hangup", {})
    await eventually(lambda: _phone(stack, lab_id)["state"] in FINISHED, within_s=20)
    await eventually(lambda: _released(stack), within_s=15)


@pytest.mark.timeout(60)
async def test_an_operator_ends_a_call(stack: Stack) -> None:
    lab_id = _place(stack, "+14255550114")
    await eventually(lambda: "call_connected" in _events(stack, lab_id), within_s=20)
    connection = _phone(stack, lab_id)["call_connection_id"]
    calls = call_json("GET", f"{stack.url('call-control')}/api/calls")
    rows = calls if isinstance(calls, list) else next(iter(calls.values()))
    call_id = next(row["call_id"] for row in rows if row["connection_id"] == connection)
    call_json("POST", f"{stack.url('call-control')}/api/calls/{call_id}/hangup")
    await eventually(lambda: _phone(stack, lab_id)["state"] == "ended")
    await eventually(lambda: _released(stack))


@pytest.mark.timeout(90)
async def test_a_caller_is_asked_to_wait_for_an_agent_that_works_long(stack: Stack) -> None:
    call = place_call(stack, SLOW)
    await eventually(lambda: _seen(call, "agent_ends"), within_s=30, every_s=0.1, what="the greeting was heard")
    slow = {"response_slow": {"delay_s": 5.0, "times": 1}}
    call_json("PUT", f"{stack.url('voice-live')}/lab/faults", slow)
    await eventually(lambda: _finished(call), within_s=40, every_s=0.1)
    await eventually(lambda: call.record().get("status") == "ended")

    recording = read_recording(call.recording())
    wait = rate_change(VOICE_RATE_HZ, recording.rate_hz)
    phrase = load_recordings("", WAIT).default
    asked_to_wait = find_speech(recording.agent, recording.rate_hz, wait.feed(phrase) + wait.flush())
    voice = rate_change(VOICE_RATE_HZ, recording.rate_hz)
    speech = call.speech(str(call.voice["said"][-1]["item_id"]))
    answer = find_speech(recording.agent, recording.rate_hz, voice.feed(speech) + voice.flush())
    assert asked_to_wait.likeness > 0.8
    assert answer.likeness > 0.8
    assert asked_to_wait.at_s < answer.at_s

    transcript = call.transcript(str(call.record()["call_id"]))
    assert [row["text"] for row in transcript if row.get("role") == "agent"] == ["Hello there.", "It arrives tomorrow."]
    assert not {"speech_overdue", "voice_lost"} & {str(row.get("what")) for row in transcript}


def _seen(call: ObservedCall, event: str) -> bool:
    call.poll()
    return bool(call.times("phone", event))


def _finished(call: ObservedCall) -> bool:
    call.poll()
    return call.finished


def test_each_service_reports_its_state_and_its_metrics(stack: Stack) -> None:
    stack.await_ready()
    for service in ("call-control", "media-gateway", "agent-relay"):
        assert call_json("GET", f"{stack.url(service)}/livez") == {"status": "alive"}
        assert call_json("GET", f"{stack.url(service)}/readyz")["status"] == "ready"
        with urllib.request.urlopen(f"{stack.url(service)}/metrics") as reply:
            assert b"bridge_active_calls" in reply.read()


def test_a_stranger_gets_neither_calls_nor_a_webhook(stack: Stack) -> None:
    for path, body in (("/api/calls", None), ("/api/incomingCall", b"[]"), (f"/api/callbacks/call_{'0' * 24}", b"[]")):
        request = urllib.request.Request(f"{stack.url('call-control')}{path}", data=body)
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(request)
        with caught.value as refusal:
            assert refusal.code in (401, 403)
            assert json.loads(refusal.read())["error"]["code"]
