"""A demo that passes all checks, and one that must fail."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lab.acs.settings import LAB_ACCESS_KEY
from lab.call_checks import check_call
from lab.demo import DEFAULT_SCENARIO, call_running_stack, demo, run_call
from lab.heard_audio import Recording, read_recording
from lab.kept_stack import save_stack
from lab.metric_checks import read_metrics
from lab.observed_call import ObservedCall, place_call, save_recording
from lab.scenario import Agent, Reply, Scenario, ScenarioCaller, ScenarioStep
from lab.stack import API_KEY, EVENT_GRID_SECRET, IDENTITY_HEADER, MEDIA_TOKEN_KEY, Stack
from tests.support.eventually import eventually
from tests.support.span_receiver import SpanReceiver

GREETED = ScenarioStep(wait_for="agent_ends", ms=500)
ONE_QUESTION = Scenario(
    name="one question",
    caller=ScenarioCaller(steps=(GREETED, ScenarioStep(say="Where is my order?"), GREETED, ScenarioStep(hang_up=True))),
    agent=Agent(greeting="Hello there.", replies=(Reply(heard="Where is my order?", say="It arrives tomorrow."),)),
)
SERVICES = ("call-control", "media-gateway", "agent-relay")


@pytest.mark.timeout(120)
async def test_a_call_with_two_turns_and_a_barge_in_passes_every_check(
    stack: Stack, spans: SpanReceiver, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save_stack(stack)
    logged = {service: len(_log(stack, service)) for service in SERVICES}
    code = call_running_stack(DEFAULT_SCENARIO, stack.folder, tmp_path)
    output = "".join(capsys.readouterr())
    assert code == 0, output
    for line in ("answered", "hears the agent", "StopAudio", "hung up by the caller", "checks passed"):
        assert line in output
    for service in SERVICES:
        assert f"ok   /metrics of {service} match" in output
    assert (tmp_path / "opening-hours.wav").stat().st_size > 100_000
    for service, direction in (("agent-relay", "uplink"), ("media-gateway", "downlink")):
        delays = read_metrics(stack, service)
        count = delays[f'bridge_frame_delay_seconds_count{{direction="{direction}"}}']
        assert count >= 8, "one a second"
        assert delays[f'bridge_frame_delay_seconds_sum{{direction="{direction}"}}'] / count < 1.0
    logs = {service: _log(stack, service)[start:] for service, start in logged.items()}
    [arrival] = [line for line in _lines(logs["call-control"]) if line["message"] == "call arrived"]
    _check_what_logs_tell(logs, str(arrival["call_id"]))
    await _check_trace(spans, str(arrival["call_id"]))


@pytest.mark.timeout(120)
def test_the_documented_scenario_with_a_key_passes_every_check(
    stack: Stack, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The scenario is the one of docs/lab.md; tests/repo compares the file with the page."""
    save_stack(stack)
    code = call_running_stack(DEFAULT_SCENARIO.with_name("order-status.yaml"), stack.folder, tmp_path)
    output = "".join(capsys.readouterr())
    assert code == 0, output
    assert "presses #" in output
    transcript = (tmp_path / "order-status.txt").read_text(encoding="utf-8")
    said = [transcript.index(text) for text in ("Where is my order", "(keys: 3", "Thank you, that is all")]
    assert said == sorted(said)
    assert "call_id in the operator API: call_" in output


@pytest.mark.timeout(60)
def test_a_call_that_does_not_end_is_hung_up_and_reported(
    stack: Stack, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The caller says something and stays in the call."""
    endless = ONE_QUESTION.model_copy(
        update={"name": "endless", "caller": ScenarioCaller(steps=ONE_QUESTION.caller.steps[:-1])}
    )
    assert run_call(stack, endless, tmp_path, play=False, limit_s=9.0) == 1
    printed = capsys.readouterr()
    assert "The call did not end within 9 s; hanging up." in printed.err
    assert "caller: Where is my order?" in printed.out
    assert "agent: It arrives tomorrow." in printed.out
    assert "NOT  the call ends by itself: it was hung up after 9 s" in printed.out
    assert [line for line in printed.out.splitlines() if "NOT" in line][1:] == [], "all other checks ran and passed"


def _check_what_logs_tell(logs: dict[str, str], call_id: str) -> None:
    """Check that each service logs the call at level INFO, without phone numbers, transcripts or secrets."""
    for service, log in logs.items():
        assert sum(line.get("call_id") == call_id for line in _lines(log)) >= 2, service
        for secret in (
            *("14255550100", "4255550100", "18005551212", "8005551212"),
            *("Contoso", "Friday", "Saturday", "holiday", "branches", "afternoon", "Sunday", "opening hours"),
            *(MEDIA_TOKEN_KEY, EVENT_GRID_SECRET, API_KEY, IDENTITY_HEADER, LAB_ACCESS_KEY),
            *("eyJ", "Bearer", "/ws/call_", "accesskey"),
        ):
            assert secret.lower() not in log.lower(), f"{secret} in the log of {service}"
    turns = [line for line in _lines(logs["agent-relay"]) if line["message"] == "turn completed"]
    assert [line["role"] for line in turns].count("caller") == 2
    assert [line["interrupted"] for line in turns if line["role"] == "agent"].count(True) == 1


async def _check_trace(spans: SpanReceiver, call_id: str) -> None:
    """Check that one trace covers all three services: the answer, the set-up of voice and media, each turn, the
    barge-in.
    """
    await eventually(lambda: _has(spans, call_id, "call") and _has(spans, call_id, "media socket"), within_s=20)
    await eventually(lambda: sum(span.name == "agent turn" for span in spans.of_call(call_id)) == 3, within_s=20)
    of_call = spans.of_call(call_id)
    [root] = [span for span in of_call if not span.parent_id]
    assert root.name == "incoming call"
    assert {span.trace_id for span in of_call} == {root.trace_id}
    assert {span.parent_id for span in of_call} == {"", root.span_id}
    names = {service: {span.name for span in of_call if span.service == service} for service in SERVICES}
    assert names == {
        "call-control": {"incoming call", "answer", "ACS Answer", "call"},
        "media-gateway": {"media set-up", "media socket"},
        "agent-relay": {"voice session", "caller turn", "agent turn"},
    }
    assert [span.name for span in of_call].count("caller turn") == 2
    cut = [span for span in of_call if "barge-in" in span.moments]
    assert [span.name for span in cut] == ["agent turn"]
    assert "StopAudio" in next(span for span in of_call if span.name == "media socket").moments
    [whole] = [span for span in of_call if span.name == "call"]
    for span in of_call:
        assert whole.began_ms <= span.began_ms <= span.ended_ms <= whole.ended_ms + 2000, span.name
        assert "4255550100" not in str(span)


def _has(spans: SpanReceiver, call_id: str, name: str) -> bool:
    return any(span.name == name for span in spans.of_call(call_id))


def _log(stack: Stack, service: str) -> str:
    return (stack.folder / f"{service}.log").read_text(encoding="utf-8")


def _lines(log: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.splitlines() if line.startswith("{")]


@pytest.mark.timeout(120)
async def test_the_checks_notice_a_recording_without_the_agent(stack: Stack, tmp_path: Path) -> None:
    scenario = ONE_QUESTION
    call = place_call(stack, scenario)
    await eventually(lambda: _finished(call), within_s=60, every_s=0.2)
    await eventually(lambda: call.record().get("status") == "ended")
    call.poll()
    recording = read_recording(save_recording(call, tmp_path / "call.wav"))
    deaf = Recording(recording.rate_hz, recording.caller, recording.agent * 0)
    transcript = call.transcript(str(call.record()["call_id"]))
    assert [check for check in check_call(call, scenario, recording, transcript) if not check.holds] == []
    broken = [check.claim for check in check_call(call, scenario, deaf, []) if not check.holds]
    assert any(claim.startswith("heard:") for claim in broken)
    assert "agent's turns are in the transcript" in broken
    swapped = Recording(recording.rate_hz, recording.agent, recording.caller)
    assert any(not check.holds for check in check_call(call, scenario, swapped, []))


def test_a_scenario_that_cannot_be_read_ends_with_2(tmp_path: Path) -> None:
    assert demo(tmp_path / "none.yaml", tmp_path, tmp_path) == 2


@pytest.mark.timeout(120)
def test_what_the_services_refuse_is_reported_with_its_place_in_the_scenario(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("REDIS_URL", raising=False)
    (tmp_path / "mine.yaml").write_text(
        "name: mine\nstack:\n  settings: {MAX_CALL_S: none}\n  profile:\n"
        "    target: {model: gpt-realtime, endpoint: https://contoso.example, api_key_secret: UNSET_KEY}\n",
        encoding="utf-8",
    )
    assert demo(tmp_path / "mine.yaml", tmp_path / "stack", tmp_path / "out") == 2
    told = capsys.readouterr().err
    assert f"{tmp_path / 'mine.yaml'} is invalid" in told
    assert "line 3: `stack.settings.MAX_CALL_S` must be a number" in told
    assert "line 5: `stack.profile.target.api_key_secret` the environment variable UNSET_KEY is not set" in told
    assert ".env.example" not in told


def _finished(call: ObservedCall) -> bool:
    call.poll()
    return call.finished
