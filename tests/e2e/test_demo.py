"""The demo's own claims, as tests; and that the demo can fail."""

from __future__ import annotations

from pathlib import Path

import pytest

from eventually import eventually
from lab.call_checks import check_call
from lab.demo import DEFAULT_SCENARIO, demo
from lab.heard_audio import Recording, read_recording
from lab.observed_call import ObservedCall, place_call, save_recording
from lab.scenario import load_scenario
from lab.stack import Stack, remember


@pytest.mark.timeout(120)
def test_a_call_with_two_turns_and_a_barge_in_passes_every_check(
    stack: Stack, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    remember(stack)
    code = demo(DEFAULT_SCENARIO, stack.folder, tmp_path, attach=True)
    told = "".join(capsys.readouterr())
    assert code == 0, told
    for line in ("answered", "hears the agent", "StopAudio", "hung up by the caller", "claims hold"):
        assert line in told
    assert (tmp_path / "opening-hours.wav").stat().st_size > 100_000


@pytest.mark.timeout(120)
async def test_the_checks_notice_a_recording_without_the_agent(stack: Stack, tmp_path: Path) -> None:
    scenario = load_scenario(DEFAULT_SCENARIO)
    call = place_call(stack, scenario)
    await eventually(lambda: _finished(call), within_s=60, every_s=0.2)
    recording = read_recording(save_recording(call, tmp_path / "call.wav"))
    deaf = Recording(recording.rate_hz, recording.caller, recording.agent * 0)
    broken = [check.claim for check in check_call(call, scenario, deaf, []) if not check.holds]
    assert any(claim.startswith("heard:") for claim in broken)
    assert "agent's turns stand in the transcript" in broken
    swapped = Recording(recording.rate_hz, recording.agent, recording.caller)
    assert any(not check.holds for check in check_call(call, scenario, swapped, []))


def test_a_scenario_that_cannot_be_read_ends_with_2(tmp_path: Path) -> None:
    assert demo(tmp_path / "none.yaml", tmp_path, tmp_path) == 2


def _finished(call: ObservedCall) -> bool:
    call.poll()
    return call.finished
