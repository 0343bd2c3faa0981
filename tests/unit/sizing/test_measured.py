"""The measured inputs: calculated from stored figures, saved and loaded."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from bench.alone import HANDLED
from bench.bridges import Bridge
from bench.runs import NotMeasuredError, Run
from bench.service_traffic import GATEWAY, RELAY
from sizing.line import Line
from sizing.measured import Bandwidth, Measured, checks, inputs, left_out, load, of_results, save

BANDWIDTH = Bandwidth(acs_in_kb=53.0, acs_out_kb=46.0, voice_out_kb=67.0, voice_in_kb=65.0)


def test_the_inputs_come_from_the_stored_figures(whole: dict[str, Any]) -> None:
    found = Measured.of(whole, BANDWIDTH)
    assert found.gateway_cpu.at(40) == pytest.approx(150.0, rel=0.01)
    assert found.relay_cpu.at(40) == pytest.approx(140.0, rel=0.01)
    assert found.gateway_mb.at(100) == pytest.approx(90.0)
    assert (found.control_ms_per_call, found.redis_mb_per_call) == (30.0, 3.0)
    assert (found.redis_in_kb, found.redis_out_kb) == (110.0, 100.0)
    assert dict(inputs(found))["voice_in_kb"] == 65.0


@pytest.mark.parametrize("name", ["alone", "set-up"])
def test_a_missing_measurement_is_named(name: str, whole: dict[str, Any]) -> None:
    del whole[name]
    with pytest.raises(NotMeasuredError, match=f"bench {name}"):
        Measured.of(whole, BANDWIDTH)


def test_runs_that_did_not_handle_their_traffic_do_not_count(whole: dict[str, Any]) -> None:
    for run in whole["alone"]["runs"]:
        run["figures"][HANDLED] = 98.0 if run["labels"]["service"] == GATEWAY else 97.9
    with pytest.raises(NotMeasuredError, match=RELAY):
        Measured.of(whole, BANDWIDTH)


def test_bandwidth_is_that_of_base64_and_a_little_more() -> None:
    found = Bandwidth.of_recording()
    assert found.acs_in_kb == pytest.approx(32 * 4 / 3, rel=0.25)
    assert found.acs_out_kb == pytest.approx(32 * 4 / 3, rel=0.1)
    assert found.voice_out_kb == pytest.approx(48 * 4 / 3, rel=0.05)
    assert found.voice_in_kb == pytest.approx(48 * 4 / 3, rel=0.02)


def test_saved_inputs_are_loaded_unchanged(whole: dict[str, Any], tmp_path: Path) -> None:
    stored = of_results({"at_unix_s": 1_800_000_000, "machine": ["A CPU, 2 cores"], "options": {}, "whole": whole})
    save(stored, tmp_path / "measured.json")
    assert load(tmp_path / "measured.json") == stored
    assert "A CPU, 2 cores" in stored.on


def test_each_size_is_predicted_from_the_others() -> None:
    found = left_out("gateway", {20: 90.0, 50: 180.0, 200: 700.0})
    assert [one.calls for one in found] == [20, 50, 200]
    assert (found[2].name, found[2].predicted, found[2].measured) == ("gateway, from 20, 50", Line(30, 3).at(200), 700)
    assert left_out("gateway", {20: 90.0}) == []


def test_whole_calls_check_the_lines_of_services_alone(whole: dict[str, Any]) -> None:
    ours = {"CPU of media-gateway, ms/s/call": 4.0, "CPU of agent-relay, ms/s/call": 2.5}
    runs = [Run({"calls": 40, "shape": "deltas"}, bridge, ours) for bridge in Bridge]
    found = [one for one in checks(whole | {"calls": {"runs": [asdict(run) for run in runs]}}) if "whole" in one.name]
    assert [(one.calls, one.measured) for one in found] == [(40, 160.0), (40, 100.0)]
