"""A call as observed by the phone, the agent and the operator API."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.observed_call import ObservedCall, place_call, save_recording
from lab.scenario import Agent, CallHeaders, Reply, Scenario, ScenarioCaller, ScenarioStep
from lab.stack import Stack
from tests.support.eventually import eventually

SCENARIO = Scenario(
    name="short",
    caller=ScenarioCaller(
        number="+14255550142",
        to="+18005550142",
        headers=CallHeaders(sip={"X-Customer-Tier": "gold"}, voip={"source": "app"}),
        steps=(
            ScenarioStep(wait_for="agent_ends", ms=400),
            ScenarioStep(dtmf="42#"),
            ScenarioStep(wait_for="agent_ends", ms=400),
            ScenarioStep(hang_up=True),
        ),
    ),
    agent=Agent(greeting="Hello there.", replies=(Reply(heard="", say="Thank you for the number."),)),
)


def _finished(call: ObservedCall) -> bool:
    call.poll()
    return call.finished


@pytest.mark.timeout(90)
async def test_phone_voice_and_operators_report_the_same_call(stack: Stack, tmp_path: Path) -> None:
    call = place_call(stack, SCENARIO)
    await eventually(lambda: _finished(call), within_s=40, every_s=0.1)
    events = call.new_events()
    assert [float(event["t"]) for _, event in events] == sorted(float(event["t"]) for _, event in events)
    assert {side for side, _ in events} == {"phone", "voice"}
    assert call.new_events() == []
    await eventually(lambda: call.record().get("status") == "ended")
    record = call.record()
    assert record["connection_id"] == call.phone["call_connection_id"]
    assert record["callee"] == "4:+18005550142"
    assert record["custom_context"] == {"sip_headers": {"X-Customer-Tier": "gold"}, "voip_headers": {"source": "app"}}
    transcript = call.transcript(str(record["call_id"]))
    assert [row["text"] for row in transcript if row.get("role") == "agent"] == [
        *("Hello there.", "Thank you for the number.")
    ]
    assert any(row.get("what") == "keys" and row.get("detail") == "3" for row in transcript)
    assert not any("42#" in str(row) for row in transcript), "keys may be a PIN"
    assert save_recording(call, tmp_path / "out" / "call.wav") == (tmp_path / "out" / "call.wav").read_bytes()
