"""Runs `promtool test rules` on input series, and returns the alerts that fired."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from observability.recording import Grid
from observability.rules import rule_groups
from observability.tape import notation

STEP_S: Final = 15.0
"""Time between two scrapes in the tests: every third one of a recording."""
DAY_STEP_S: Final = 60.0
"""The same in tests of whole days."""
_EVALUATED_EVERY_S: Final = {STEP_S: 60, DAY_STEP_S: 300}
"""At most 300: alerts read recorded rules, and a sample older than that is not found."""
needs_promtool = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="promtool is not installed (Debian and Ubuntu: package `prometheus`)"
)
_METRIC: Final = re.compile(r"\b(?:bridge_|process_)\w+|\bup\b")
_ANSWER: Final = re.compile(r'exp:\s*\{alertname="none of ours", case="([^"]*)"\}.*\n\s*got:(.*)')


@dataclass(frozen=True, slots=True)
class Case:
    """Input series, and whether only the alerts of the last `last_s` seconds are of interest."""

    series: Mapping[str, Grid]
    last_s: float | None = None


def metrics_in(expression: str) -> set[str]:
    """Return the metrics of the services that an expression reads."""
    return set(_METRIC.findall(re.sub(r'"[^"]*"', '""', expression)))


def metrics_of_rules() -> set[str]:
    return {name for group in rule_groups() for rule in group["rules"] for name in metrics_in(rule["expr"])}


def fired(cases: Mapping[str, Case], folder: Path, *, step_s: float = STEP_S, rules: Any = None) -> dict[str, set[str]]:
    """Return the names of the alerts that fire in each case, by its name. `rules`: rule groups, if not those of the
    project.
    """
    groups = rules or rule_groups()
    (folder / "rules.yaml").write_text(yaml.safe_dump({"groups": groups}))
    test = {
        "rule_files": ["rules.yaml"],
        "evaluation_interval": f"{_EVALUATED_EVERY_S[step_s]}s",
        "tests": [_test(name, case, step_s) for name, case in cases.items()],
    }
    (folder / "test.yaml").write_text(json.dumps(test))
    answer = subprocess.run(
        ["promtool", "test", "rules", "test.yaml"], cwd=folder, capture_output=True, text=True, check=False
    )
    output = answer.stdout + answer.stderr
    found = {case: set(re.findall(r'alertname="(\w+)"', got)) for case, got in _ANSWER.findall(output)}
    assert found.keys() == cases.keys(), output
    known = {rule["alert"] for group in groups for rule in group["rules"] if "alert" in rule}
    assert all(names <= known for names in found.values()), output
    return found


def _test(name: str, case: Case, step_s: float) -> dict[str, Any]:
    steps = max(map(len, case.series.values()))
    last_s = round(case.last_s or steps * step_s)
    # promtool compares, and prints what it got only for a difference: an impossible sample makes it print all alerts.
    impossible = f'{{alertname="none of ours", case="{name}"}}'
    return {
        "interval": f"{round(step_s)}s",
        "input_series": [{"series": series, "values": notation(grid)} for series, grid in case.series.items()],
        "promql_expr_test": [
            {
                "expr": f'count by (alertname) (count_over_time(ALERTS{{alertstate="firing"}}[{last_s}s]))',
                "eval_time": f"{round((steps - 1) * step_s)}s",
                "exp_samples": [{"labels": impossible, "value": 1}],
            }
        ],
    }


def steady(value: float, steps: int) -> Grid:
    return [float(value)] * steps


def growing(per_step: float, steps: int, *, begin: int = 0) -> Grid:
    """Return a counter that grows from step `begin` on."""
    return [max(0, step - begin) * per_step for step in range(steps)]


def of_severity(names: Iterable[str], rules: Sequence[Mapping[str, Any]], severity: str) -> set[str]:
    severities = {rule["alert"]: rule["labels"]["severity"] for rule in rules}
    return {name for name in names if severities[name] == severity}
