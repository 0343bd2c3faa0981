"""Every alert fires on its symptom, and none on a normal day or in a rolling restart (`promtool test rules`).

The series are recordings of real runs (observability/recordings), played one after the other. Alerts on series that no
run of ours produces within minutes have series written by hand (`BY_HAND`).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Final

import pytest
import yaml

from observability.alerts import CALLS_PER_PROCESS
from observability.recording import Grid, Recording, load, paths
from observability.rules import alerting_rules, rule_groups
from observability.tape import played
from tests.observability.promtool import fired, firing_of, growing, metrics_of_rules, needs_promtool
from tests.observability.symptoms import BY_HAND, DURING, MINUTE, SYMPTOMS

pytestmark = [needs_promtool, pytest.mark.timeout(180)]
NORMAL: Final = "conversations"
DAY_STEP_S: Final = 60.0


@cache
def recording(name: str) -> Recording:
    whole = load(name, metrics_of_rules())
    return whole.during(*DURING[name]) if name in DURING else whole


def lasting(name: str, minutes: float) -> tuple[Recording, int]:
    """Return the recording with the number of repetitions that fill this time."""
    return recording(name), max(1, round(minutes * MINUTE / recording(name).steps))


@pytest.mark.parametrize("name", SYMPTOMS)
def test_alerts_fire_on_their_symptom(name: str, tmp_path: Path) -> None:
    found = fired(played([lasting(NORMAL, 3), lasting(name, 14)]), tmp_path)
    assert SYMPTOMS[name] <= found, f"{name}: got {sorted(found)}"


@pytest.mark.parametrize("name", BY_HAND)
def test_alerts_on_series_written_by_hand_fire(name: str, tmp_path: Path) -> None:
    own = [group for group in rule_groups() if any(rule.get("alert") == name for rule in group["rules"])]
    assert name in fired(BY_HAND[name], tmp_path, rules=own)


def test_every_alert_is_tested() -> None:
    tested = {name for names in SYMPTOMS.values() for name in names} | set(BY_HAND)
    assert {rule["alert"] for rule in alerting_rules()} == tested


def test_every_recording_is_played() -> None:
    quiet = {NORMAL, "rolling-restart", "redis-failover", "tokens-refused"}
    assert set(paths()) == quiet | set(SYMPTOMS)


def test_a_normal_day_is_silent(tmp_path: Path) -> None:
    """At one scrape a minute, which keeps the test short; the three-day window sees the whole day."""
    one = load(NORMAL, metrics_of_rules(), step_s=DAY_STEP_S)
    assert fired(played([(one, round(24 * 60 / one.steps))]), tmp_path, step_s=DAY_STEP_S) == set()


@pytest.mark.parametrize("name", ["rolling-restart", "redis-failover"])
def test_a_planned_change_is_silent(name: str, tmp_path: Path) -> None:
    parts = [lasting(NORMAL, 20), (recording(name), 1), lasting(NORMAL, 20)]
    assert fired(played(parts), tmp_path) == set()


def calls(per_step: float, failed_at: Mapping[int, float], steps: int) -> dict[str, Grid]:
    """Return the counters of ended calls: how many per step, and how many of them fail at which step."""
    bad, total = [], 0.0
    for step in range(steps):
        total += failed_at.get(step, 0.0)
        bad.append(total)
    return {
        'bridge_calls_ended_total{reason="caller_hung_up",pod="call-control-1"}': growing(per_step, steps),
        'bridge_calls_ended_total{reason="no_capacity",pod="call-control-1"}': list(bad),
    }


def _about_calls(found: set[str]) -> set[str]:
    return {name for name in found if name.startswith("Calls")}


def test_a_single_call_in_ten_thousand_notifies_nobody(tmp_path: Path) -> None:
    steps = 24 * 60
    series = calls(10_000 / steps, {700: 1}, steps)
    assert _about_calls(fired(series, tmp_path, step_s=DAY_STEP_S)) == set()


def test_a_single_call_at_night_notifies_nobody(tmp_path: Path) -> None:
    """One of three calls within an hour: its share is large, its number is not."""
    assert _about_calls(fired(calls(3 / 60, {30: 1}, 90), tmp_path, step_s=DAY_STEP_S)) == set()


def test_a_slow_loss_is_a_ticket(tmp_path: Path) -> None:
    """0.3 % of the calls of two days: the budget of the month would be spent in ten days."""
    steps = 2 * 24 * 60
    series = calls(2, dict.fromkeys(range(0, steps, 160), 1), steps)
    assert _about_calls(fired(series, tmp_path, step_s=DAY_STEP_S)) == {"CallsNotAnsweredSlow"}


def test_a_page_ends_soon_after_its_fault(tmp_path: Path) -> None:
    """Although the long window still contains the fault."""
    series = calls(20, dict.fromkeys(range(30, 45), 20), 90)
    fault_began_s = 60 * DAY_STEP_S
    assert "CallsNotAnsweredFast" in fired(series, tmp_path, step_s=DAY_STEP_S, last_s=fault_began_s)
    assert "CallsNotAnsweredFast" not in fired(series, tmp_path, step_s=DAY_STEP_S, last_s=10 * DAY_STEP_S)


def test_pages_are_few(tmp_path: Path) -> None:
    """A fault that one page describes must not wake people for five reasons."""
    found = fired(played([lasting(NORMAL, 3), lasting("voice-denied", 14)]), tmp_path)
    assert firing_of(found, alerting_rules(), "page") == {"VoiceSessionsRefused", "CallsNotAnsweredFast"}


def test_the_calls_per_process_are_the_targets_of_the_autoscalers(root: Path) -> None:
    objects = yaml.safe_load_all((root / "k8s/components/keda/scaled-objects.yaml").read_text(encoding="utf-8"))
    targets = {
        one["metadata"]["name"]: int(one["spec"]["triggers"][0]["metadata"]["targetValue"])
        for one in objects
        if one and one["kind"] == "ScaledObject"
    }
    assert {kind: targets[kind] for kind in CALLS_PER_PROCESS} == CALLS_PER_PROCESS
