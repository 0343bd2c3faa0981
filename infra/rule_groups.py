"""Writes the rules of Prometheus as rule groups of Azure Monitor: `python -m infra.rule_groups`.

`infra/alerts/main.bicep` deploys the file. Azure allows 20 rules in a group, writes durations as in ISO 8601, and has a
severity from 0 to 4 beside the label.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import yaml

_HERE: Final = Path(__file__).parent
RULES: Final = _HERE.parent / "observability/rules.yaml"
RULE_GROUPS: Final = _HERE / "alerts/rule-groups.json"
MOST_RULES: Final = 20
_SEVERITIES: Final = {"page": 1, "ticket": 3}


def rule_groups(groups: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for group in groups:
        rules = [_rule(rule) for rule in group["rules"]]
        parts = [rules[first : first + MOST_RULES] for first in range(0, len(rules), MOST_RULES)]
        for number, part in enumerate(parts, start=1):
            yield {"name": group["name"] if number == 1 else f"{group['name']}-{number}", "rules": part}


def content() -> str:
    groups = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
    return json.dumps(list(rule_groups(groups)), indent=2, ensure_ascii=False) + "\n"


def _rule(rule: Mapping[str, Any]) -> dict[str, Any]:
    if "record" in rule:
        return {"record": rule["record"], "expression": rule["expr"], "labels": rule.get("labels", {})}
    return {
        "alert": rule["alert"],
        "expression": rule["expr"],
        **({"for": f"PT{rule['for'].upper()}"} if "for" in rule else {}),
        "severity": _SEVERITIES[rule["labels"]["severity"]],
        "labels": rule["labels"],
        "annotations": rule["annotations"],
    }


def main() -> int:
    RULE_GROUPS.write_text(content(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
