"""The rows of an upgrade, the logs that they examine, and the command; the upgrade itself needs two releases."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lab.chaos.local_fleet import CONTROL, GATEWAY, OWN_SCRIPTS, RELAY
from lab.chaos.upgrade import Change, logged_errors, upgrade, upgrade_rows


def test_services_are_replaced_in_the_documented_order_and_back_in_the_reverse_one(tmp_path: Path) -> None:
    rows = {row.name: row for row in upgrade_rows(tmp_path)}
    forth, back, at_once = rows["upgrade"], rows["roll-back"], rows["roll-back-at-once"]
    assert (forth.plan.scripts, forth.inject) == (tmp_path, Change(OWN_SCRIPTS, [(CONTROL,), (GATEWAY,), (RELAY,)]))
    assert (back.plan.scripts, back.inject) == (OWN_SCRIPTS, Change(tmp_path, [(RELAY,), (GATEWAY,), (CONTROL,)]))
    assert at_once.inject == Change(tmp_path, [(CONTROL, GATEWAY, RELAY)])
    page = (Path(__file__).parents[4] / "docs/operations/upgrade.md").read_text()
    headings = [f"{number}. **{service}.**" for number, service in enumerate((CONTROL, GATEWAY, RELAY), 1)]
    assert [page.index(heading) for heading in headings] == sorted(page.index(heading) for heading in headings)


def test_errors_are_found_in_the_logs_of_the_services(tmp_path: Path) -> None:
    def line(level: str, message: str) -> str:
        return json.dumps({"level": level, "message": message}) + "\n"

    (tmp_path / "agent-relay-1.log").write_text(line("INFO", "ready") + line("ERROR", "lost"))
    (tmp_path / "agent-relay-1.1700000000000.log").write_text(line("CRITICAL", "background task failed; exiting"))
    (tmp_path / "media-gateway-2.log").write_text("Traceback (most recent call last):\n\n" + line("WARNING", "late"))
    (tmp_path / "acs.log").write_text(line("ERROR", "a simulator"))
    found = list(logged_errors(tmp_path))
    assert [text.partition(": ")[0] for text in found] == [
        "agent-relay-1.1700000000000.log",
        "agent-relay-1.log",
        "media-gateway-2.log",
    ]


def test_the_command_needs_the_programs_of_the_other_release(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / CONTROL).touch()
    assert upgrade(tmp_path, tmp_path / "logs", calls=1) == 2
    message = capsys.readouterr().err
    assert f"{GATEWAY}, {RELAY} not found in {tmp_path}; `make upgrade" in message
    assert CONTROL not in message
    for name in (RELAY, GATEWAY):
        (tmp_path / name).touch()
    assert upgrade(tmp_path, tmp_path / "logs", calls=1, rows="sideways") == 2
    assert "unknown row: sideways; known rows: upgrade, roll-back" in capsys.readouterr().err
