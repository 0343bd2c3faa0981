"""Every alert fires on its symptom, and none on a normal day or in a rolling restart (`promtool test rules`).

The series are recordings of real runs (observability/recordings), played one after the other. Alerts on events that no
run of ours causes within minutes have series written by hand (`BY_HAND`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Final

import pytest
import yaml

from observability.inhibitions import CAUSES, notified
from observability.recording import STEP_S as SCRAPED_S
from observability.recording import Grid, Recording, load, paths
from observability.rules import alerting_rules, rule_groups
from observability.tape import played
from tests.observability.promtool import (
    DAY_STEP_S,
    STEP_S,
    Case,
    fired,
    growing,
    metrics_of_rules,
    needs_promtool,
    of_severity,
)
from tests.observability.symptoms import BY_HAND, SYMPTOMS

pytestmark = [needs_promtool, pytest.mark.timeout(180)]
NORMAL: Final = "conversations"
PLANNED_CHANGES: Final = ("rolling-restart", "redis-failover")


_EVERY: Final = round(STEP_S / SCRAPED_S)


@cache
def recording(name: str, step_s: float = SCRAPED_S) -> Recording:
    return load(name, metrics_of_rules(), step_s=step_s)


def lasting(one: Recording, minutes: float, step_s: float = SCRAPED_S) -> tuple[Recording, int]:
    """Return the recording with the number of repetitions that fill this time."""
    return one, max(1, round(minutes * 60 / step_s / one.steps))


def case_of(name: str) -> Case:
    """Return two minutes of a normal day, and then the symptom."""
    symptom = SYMPTOMS[name]
    step_s, every = (SCRAPED_S, _EVERY) if symptom.step_s == STEP_S else (symptom.step_s, 1)
    faulty = recording(symptom.recording or name, step_s).after(symptom.after)
    if symptom.during:
        faulty = faulty.during(*symptom.during)
    parts = [lasting(recording(NORMAL, step_s), 2, step_s), lasting(faulty, symptom.minutes, step_s)]
    return Case(played(parts, every=every))


def pages(names: Iterable[str]) -> set[str]:
    return of_severity(names, alerting_rules(), "page")


def test_alerts_fire_on_their_symptom(tmp_path: Path) -> None:
    """All pages of a symptom are listed, so that a fault does not notify people for reasons that nobody knows."""
    wrong = []
    for step_s in (STEP_S, DAY_STEP_S):
        cases = {name: case_of(name) for name, symptom in SYMPTOMS.items() if symptom.step_s == step_s}
        for name, found in fired(cases, tmp_path, step_s=step_s).items():
            symptom = SYMPTOMS[name]
            if pages(found) != symptom.pages or not symptom.tickets <= found:
                wrong.append(f"{name}: got {sorted(found)}, pages {sorted(pages(found))}")
    assert not wrong, "\n".join(wrong)


def test_a_fault_is_one_notification() -> None:
    """Alertmanager inhibits all pages of a fault but that of the cause."""
    several = {name: notified(symptom.pages) for name, symptom in SYMPTOMS.items() if symptom.pages}
    assert not {name: left for name, left in several.items() if len(left) != 1}


def test_inhibited_alerts_exist_and_are_pages() -> None:
    assert pages({*CAUSES, *(effect for effects in CAUSES.values() for effect in effects)}) >= set(CAUSES)


def test_alerts_on_series_written_by_hand_fire(tmp_path: Path) -> None:
    found = fired({name: Case(series) for name, series in BY_HAND.items()}, tmp_path)
    assert all(name in found[name] for name in BY_HAND)


def test_every_alert_is_tested() -> None:
    tested = {name for symptom in SYMPTOMS.values() for name in symptom.pages | symptom.tickets} | set(BY_HAND)
    assert {rule["alert"] for rule in alerting_rules()} == tested


def test_every_recording_is_played() -> None:
    assert set(paths()) == {NORMAL, *PLANNED_CHANGES} | {
        symptom.recording or name for name, symptom in SYMPTOMS.items()
    }


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


def test_objectives_over_days(tmp_path: Path) -> None:
    """At one scrape a minute, which keeps the test short.

    A normal day notifies nobody; the three-day window sees the whole day. Nor does one call of ten thousand, or one of
    three within an hour at night: its share is large, its number is not. With 0.3 % of the calls of two days, the
    budget of the month would be spent in ten days: a ticket. A page ends soon after its fault, although the long window
    still contains the fault.
    """
    day, hour = 24 * 60, 60
    normal = recording(NORMAL, DAY_STEP_S)
    fault = calls(20, dict.fromkeys(range(30, 45), 20), 90)
    found = fired(
        {
            "normal day": Case(played([lasting(normal, day, DAY_STEP_S)])),
            "one of ten thousand": Case(calls(10_000 / day, {700: 1}, day)),
            "one at night": Case(calls(3 / hour, {30: 1}, 90)),
            "slow loss": Case(calls(2, dict.fromkeys(range(0, 2 * day, 160), 1), 2 * day)),
            "fault": Case(fault, last_s=hour * 60),
            "after the fault": Case(fault, last_s=10 * 60),
        },
        tmp_path,
        step_s=DAY_STEP_S,
    )
    assert found["normal day"] == set()
    about_calls = {name: {alert for alert in alerts if alert.startswith("Calls")} for name, alerts in found.items()}
    assert about_calls["one of ten thousand"] == about_calls["one at night"] == set()
    assert about_calls["slow loss"] == {"CallsNotAnsweredSlow"}
    assert "CallsNotAnsweredFast" in about_calls["fault"]
    assert "CallsNotAnsweredFast" not in about_calls["after the fault"]


def test_a_planned_change_is_silent(tmp_path: Path) -> None:
    normal = lasting(recording(NORMAL), 20)
    found = fired(
        {name: Case(played([normal, (recording(name), 1), normal], every=_EVERY)) for name in PLANNED_CHANGES},
        tmp_path,
    )
    assert found == {name: set() for name in PLANNED_CHANGES}


def test_a_wrong_metric_name_is_found(tmp_path: Path) -> None:
    """The tests above depend on the names in the rules: with one renamed, its alert stays silent."""
    groups = yaml.safe_load(
        yaml.safe_dump(rule_groups()).replace("bridge_calls_outdated_total", "bridge_calls_late_total")
    )
    [found] = fired({"outdated": case_of("event-grid-outdated")}, tmp_path, rules=groups).values()
    assert "EventGridOutdated" not in found
