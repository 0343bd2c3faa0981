"""Every alert has a runbook, and the manual lists every page."""

from __future__ import annotations

import re
from pathlib import Path

from observability.rules import alerting_rules

_PARTS = ("- Confirm:", "- Do:", "- Escalate:")


def sections(page: str) -> dict[str, str]:
    """Return the text below each heading of level 3, by its anchor."""
    found = re.findall(r"^### (\w+)$\n(.*?)(?=^##|\Z)", page, re.MULTILINE | re.DOTALL)
    return {title.lower(): text for title, text in found}


def test_every_alert_has_a_runbook_with_its_parts(root: Path) -> None:
    for rule in alerting_rules():
        path, _, anchor = rule["annotations"]["runbook_url"].partition("#")
        text = sections((root / path).read_text(encoding="utf-8"))[anchor]
        assert all(part in text for part in _PARTS), rule["alert"]
        assert text.strip().split("\n- Confirm")[0], f"{rule['alert']}: what does the caller notice?"


def test_every_runbook_has_an_alert(root: Path) -> None:
    used = {rule["annotations"]["runbook_url"].partition("#")[2] for rule in alerting_rules()}
    assert set(sections((root / "docs/operations/alerts.md").read_text(encoding="utf-8"))) == used


def test_every_alert_has_a_severity_and_a_summary() -> None:
    names = [rule["alert"] for rule in alerting_rules()]
    assert len(names) == len(set(names)) > 30
    for rule in alerting_rules():
        assert rule["labels"]["severity"] in ("page", "ticket")
        assert rule["annotations"]["summary"]


def test_the_manual_lists_every_page(root: Path) -> None:
    folder = root / "docs/operations"
    index = (folder / "README.md").read_text(encoding="utf-8")
    assert not [page.name for page in folder.glob("*.md") if page.name not in index and page.name != "README.md"]


def test_runbooks_use_exposed_metrics_only(root: Path) -> None:
    from tests.observability.exposed_metrics import exposed

    for page in (root / "docs/operations").glob("*.md"):
        named = set(re.findall(r"\b(?:bridge|process)_[a-z_]+[a-z]\b", page.read_text(encoding="utf-8")))
        series = set(exposed())
        families = {re.sub(r"_(bucket|count|sum)$", "", name) for name in series}
        assert not named - series - families, page.name
