"""Rules and dashboards use only metrics, labels and label values that the services expose."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Final

import pytest

from agent_relay import metrics as relay_metrics
from call_control import metrics as control_metrics
from media_gateway import metrics as gateway_metrics
from observability.rules import files, rule_groups
from tests.observability.exposed_metrics import Values, exposed, mistakes

PLANNED: Final = {
    "bridge_build_info": ("service", "version", "revision", "python"),
    "bridge_ready": (),
    "bridge_capacity_calls": (),
    "bridge_fleet_calls": ("kind",),
    "bridge_fleet_capacity_calls": ("kind",),
    "bridge_fleet_processes": ("kind", "state"),
    "bridge_fleet_ringing_calls": (),
    "bridge_voice_quota_connections": ("resource", "kind"),
    "bridge_token_failures_total": ("scope",),
    "bridge_signing_key_failures_total": ("issuer",),
    "bridge_call_seconds_bucket": ("le",),
    "bridge_call_seconds_count": (),
    "bridge_audio_faults_total": ("kind",),
    "bridge_jitter_seconds_bucket": ("le",),
    "bridge_underruns_total": (),
}
"""Metrics of ADR 45 with their labels, until the services expose them."""


def rule_expressions() -> dict[str, str]:
    return {
        f"{rule.get('alert') or rule['record']} {rule['labels'].get('slo', '')}": rule["expr"]
        for group in rule_groups()
        for rule in group["rules"]
    }


def panel_expressions(root: Path) -> dict[str, str]:
    found: dict[str, str] = {}
    for path in sorted((root / "observability/dashboards").glob("*.json")):
        for number, expression in enumerate(
            re.findall(r'"expr": ("(?:[^"\\]|\\.)*")', path.read_text(encoding="utf-8"))
        ):
            found[f"{path.stem} {number}"] = json.loads(expression)
    return found


def known_metrics() -> dict[str, dict[str, Values]]:
    planned: dict[str, dict[str, Values]] = {name: dict.fromkeys(labels) for name, labels in PLANNED.items()}
    return {**planned, **{name: dict(labels) for name, labels in exposed().items()}}


def test_rules_use_exposed_metrics_only() -> None:
    known = known_metrics()
    assert not [f"{name}: {line}" for name, text in rule_expressions().items() for line in mistakes(text, known)]


def test_dashboards_use_exposed_metrics_only(root: Path) -> None:
    known, expressions = known_metrics(), panel_expressions(root)
    assert len(expressions) > 40
    assert not [f"{name}: {line}" for name, text in expressions.items() for line in mistakes(text, known)]


@pytest.mark.parametrize(
    ("before", "after", "problem"),
    [
        ("bridge_calls_outdated_total", "bridge_calls_late_total", "no service exposes bridge_calls_late_total"),
        ('reason="no_capacity"', 'reason="all_full"', "bridge_calls_ended_total: reason is never 'all_full'"),
        ('outcome="refused"', 'result="refused"', "bridge_webhook_events_total has no label result"),
        ('le="2.0"', 'bucket="2.0"', "bridge_relay_first_frame_seconds_bucket has no label bucket"),
    ],
    ids=["metric", "value", "label", "le"],
)
def test_a_renamed_metric_or_label_is_found(before: str, after: str, problem: str) -> None:
    changed = [text.replace(before, after) for text in rule_expressions().values()]
    assert problem in [line for text in changed for line in mistakes(text, known_metrics())]


def test_bucket_bounds_exist() -> None:
    """An `le` that is no bound would match nothing, and the objective would never be missed."""
    bounds: dict[str, set[str]] = {}
    for text in rule_expressions().values():
        for name, bound in re.findall(r'(bridge_\w+)_bucket\{[^}]*le="([^"]+)"', text):
            bounds.setdefault(name, set()).add(bound)
    assert bounds == {
        "bridge_answer_seconds": {"5.0"},
        "bridge_gap_seconds": {"1.0"},
        "bridge_relay_first_frame_seconds": {"2.0"},
    }
    control_metrics.ANSWER.labels("media"), gateway_metrics.GAPS.labels("out")
    for metric in (control_metrics.ANSWER, gateway_metrics.GAPS, relay_metrics.FIRST_FRAME):
        [family] = metric.collect()
        assert bounds[family.name] <= {sample.labels.get("le") for sample in family.samples}


def test_the_rule_files_are_current() -> None:
    for path, content in files().items():
        assert path.read_text(encoding="utf-8") == content, f"{path.name} is outdated: run `make observability`"
