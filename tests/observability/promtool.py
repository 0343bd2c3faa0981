"""Runs `promtool test rules` on input series, and returns the alerts that fired."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from observability.recording import STEP_S, Grid
from observability.rules import rule_groups
from observability.tape import notation

needs_promtool = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="promtool is not installed (Debian and Ubuntu: package `prometheus`)"
)
_METRIC: Final = re.compile(r"\b(?:bridge_|process_)\w+|\bup\b")


def metrics_in(expression: str) -> set[str]:
    """Return the metrics of the services that an expression reads."""
    return set(_METRIC.findall(re.sub(r'"[^"]*"', '""', expression)))


def metrics_of_rules() -> set[str]:
    return {name for group in rule_groups() for rule in group["rules"] for name in metrics_in(rule["expr"])}


def fired(
    series: Mapping[str, Grid], folder: Path, *, step_s: float = STEP_S, rules: Any = None, last_s: float | None = None
) -> set[str]:
    """Return the names of the alerts that fire at any time, or within the last `last_s` seconds. `rules`: rule groups,
    if not those of the project.
    """
    steps = max(map(len, series.values()))
    groups = rules or rule_groups()
    known = sorted({rule["alert"] for group in groups for rule in group["rules"] if "alert" in rule})
    # promtool compares, and prints what it got only for a difference: an impossible sample makes it print all alerts.
    query = f'count by (alertname) (count_over_time(ALERTS{{alertstate="firing"}}[{round(last_s or steps * step_s)}s]))'
    (folder / "rules.yaml").write_text(yaml.safe_dump({"groups": groups}))
    test = {
        "rule_files": ["rules.yaml"],
        "evaluation_interval": f"{_evaluated_every_s(step_s)}s",
        "tests": [
            {
                "interval": f"{round(step_s)}s",
                "input_series": [{"series": name, "values": notation(grid)} for name, grid in series.items()],
                "promql_expr_test": [
                    {
                        "expr": query,
                        "eval_time": f"{round((steps - 1) * step_s)}s",
                        "exp_samples": [{"labels": '{alertname="none of ours"}', "value": 1}],
                    }
                ],
            }
        ],
    }
    (folder / "test.yaml").write_text(json.dumps(test))
    answer = subprocess.run(
        ["promtool", "test", "rules", "test.yaml"], cwd=folder, capture_output=True, text=True, check=False
    )
    output = answer.stdout + answer.stderr
    assert "none of ours" in output, output
    got = output.partition("got:")[2] or output
    found = set(re.findall(r'alertname="(\w+)"', got.replace("none of ours", "")))
    assert found <= set(known), output
    return found


def _evaluated_every_s(step_s: float) -> int:
    """Return the evaluation interval. In tests of whole days it is as long as the shortest range of the rules."""
    return 30 if step_s < 60 else 300


def steady(value: float, steps: int) -> Grid:
    return [float(value)] * steps


def growing(per_step: float, steps: int, *, begin: int = 0) -> Grid:
    """Return a counter that grows from step `begin` on."""
    return [max(0, step - begin) * per_step for step in range(steps)]


def firing_of(found: Iterable[str], rules: Iterable[Mapping[str, Any]], severity: str) -> set[str]:
    severities = {rule["alert"]: rule["labels"]["severity"] for rule in rules}
    return {name for name in found if severities[name] == severity}
