"""One alerting rule of Prometheus."""

from __future__ import annotations

import re
from typing import Any, Final, Literal, TypeAlias

Rule: TypeAlias = dict[str, Any]
Severity: TypeAlias = Literal["page", "ticket"]
RUNBOOKS: Final = "docs/operations/alerts.md"


def alert(
    name: str, expression: str, severity: Severity | str, summary: str, *, lasting: str = "", **labels: str
) -> Rule:
    """Return an alert. `lasting`: time for which the expression must be true. The runbook is the section of the page
    whose heading is the name.
    """
    return {
        "alert": name,
        "expr": text(expression),
        **({"for": lasting} if lasting else {}),
        "labels": {"severity": severity, **labels},
        "annotations": {"summary": summary, "runbook_url": f"{RUNBOOKS}#{name.lower()}"},
    }


def text(expression: str) -> str:
    """Return the expression on one line."""
    return re.sub(r"\s+", " ", expression).strip()
