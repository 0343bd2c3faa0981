"""One alerting rule of Prometheus."""

from __future__ import annotations

import re
from typing import Any, Final, Literal, TypeAlias

Rule: TypeAlias = dict[str, Any]
Severity: TypeAlias = Literal["page", "ticket"]
RUNBOOKS: Final = "docs/operations/alerts.md"


def alert(
    name: str, expression: str, severity: Severity, summary: str, *, lasting: str = "", runbook: str = "", **labels: str
) -> Rule:
    """Return an alert. `lasting`: time for which the expression must be true. `runbook`: heading of its section in the
    page of the runbooks, if not the name.
    """
    return {
        "alert": name,
        "expr": text(expression),
        **({"for": lasting} if lasting else {}),
        "labels": {"severity": severity, **labels},
        "annotations": {"summary": summary, "runbook_url": f"{RUNBOOKS}#{(runbook or name).lower()}"},
    }


def text(expression: str) -> str:
    """Return the expression on one line."""
    return re.sub(r"\s+", " ", expression).strip()
