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
from observability.recording import text_of
from observability.rules import files, rule_groups
from tests.observability.exposed_metrics import mistakes

_SELECTOR: Final = re.compile(r"\b(bridge_\w+)\b(?:\{([^}]*)\})?")
_MATCHER: Final = re.compile(r'(\w+)\s*(=~|=)\s*"([^"]*)"')
_AT_START: Final = ("tokens-refused", "voice-quota-used")
"""Recordings of which the first scrape is that of a fleet without calls: without and with a quota of connections."""


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


def test_rules_use_exposed_metrics_only() -> None:
    assert not [f"{name}: {line}" for name, text in rule_expressions().items() for line in mistakes(text)]


def test_dashboards_use_exposed_metrics_only(root: Path) -> None:
    expressions = panel_expressions(root)
    assert len(expressions) > 40
    assert not [f"{name}: {line}" for name, text in expressions.items() for line in mistakes(text)]


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
    assert problem in [line for text in changed for line in mistakes(text)]


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


def series_at_start() -> list[tuple[str, dict[str, str]]]:
    """Return name and labels of the series that the services expose before the first call."""
    found = []
    for name in _AT_START:
        lines = [line for line in text_of(name).splitlines() if not line.startswith("#")]
        began = min(lines, key=lambda line: float(line.rpartition(" ")[2])).rpartition(" ")[2]
        for line in lines:
            if line.endswith(f" {began}"):
                metric, _, labels = line.partition("{")
                found.append((metric, dict(re.findall(r'(\w+)="([^"]*)"', labels))))
    return found


def test_series_of_the_rules_exist_from_the_start() -> None:
    """`increase` misses the first event of a series that begins with it, and a missing operand silences a rule."""
    by_name: dict[str, list[dict[str, str]]] = {}
    for name, labels in series_at_start():
        by_name.setdefault(name, []).append(labels)
    missing = set()
    for expression in rule_expressions().values():
        for name, selector in _SELECTOR.findall(expression):
            wanted = {label: value.split("|") for label, _, value in _MATCHER.findall(selector)}
            for label, values in wanted.items() or [("", [""])]:
                for value in values:
                    if not any(
                        (not label or labels.get(label) == value)
                        and all(labels.get(other, "") in given for other, given in wanted.items() if other != label)
                        for labels in by_name.get(name, [])
                    ):
                        missing.add(f"{name} {label} {value}".strip())
    assert not missing


def test_the_rule_files_are_current() -> None:
    for path, content in files().items():
        assert path.read_text(encoding="utf-8") == content, f"{path.name} is outdated: run `make observability`"
