"""The documented limits equal those of the code. They are repeated here, because a test that imports a constant does
not detect its change.
"""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path

import pytest

_ROW = re.compile(r"^\| `([a-z_.]+)\.(_?[A-Z_]+|[A-Z][A-Za-z]+\.[a-z_]+)` \| ([\d.]+) \|", re.MULTILINE)
_PAGE = Path(__file__).resolve().parents[2] / "docs/architecture.md"
LIMITS = _ROW.findall(_PAGE.read_text(encoding="utf-8"))

FLEET = "docs/adr/0013-connection-quota-and-fallback.md"
# The same values in running text.
SENTENCES = [
    ("docs/api.md", "answered after {} s with 401", "call_control.http.operator_access.WRONG_KEY_DELAY_S"),
    ("docs/api.md", "may send {} a minute", "call_control.core.wrong_keys.PER_SOURCE"),
    ("docs/api.md", "all addresses together {} a minute", "call_control.core.wrong_keys.IN_TOTAL"),
    ("docs/api.md", "longer than {} s; the text", "call_control.http.error_responses.BODY_DEADLINE_S"),
    ("docs/api.md", "paused for longer than {} s", "call_control.http.announcement_api.SILENCE_S"),
    ("docs/api.md", "After {} s without text", "call_control.http.announcement_api.SILENCE_S"),
    ("docs/api.md", "up to {} s for the answer", "agent_relay.core.dialog.caller_turns.ANSWER_DUE_S"),
    ("docs/api.md", "spoken after {} s; half", "agent_relay.core.announcements.announcement.STOP_PAUSE_S"),
    ("docs/api.md", "half a sentence after {} s", "agent_relay.core.announcements.announcement.PAUSE_S"),
    ("docs/api.md", "and {} pending pieces", "bridge_common.wire.keys.SAY_LENGTH"),
    (FLEET, "and after {} s reports", "media_gateway.relay_watch.GIVEN_UP_AFTER_S"),
    (FLEET, "Redis is unavailable for {} s", "media_gateway.relay_watch.REDIS_AWAY_S"),
]


@pytest.mark.parametrize(("module", "name", "documented"), LIMITS, ids=[f"{row[0]}.{row[1]}" for row in LIMITS])
def test_a_documented_limit_is_that_of_the_code(module: str, name: str, documented: str) -> None:
    group, _, field = name.rpartition(".")
    found = import_module(module)
    assert getattr(getattr(found, group)() if group else found, field) == float(documented)


def test_the_table_is_found() -> None:
    assert len(LIMITS) > 40
    assert len(set(LIMITS)) == len(LIMITS)


@pytest.mark.parametrize(("page", "sentence", "constant"), SENTENCES)
def test_a_limit_in_a_sentence_is_that_of_the_code(page: str, sentence: str, constant: str, root: Path) -> None:
    module, _, name = constant.rpartition(".")
    text = " ".join((root / page).read_text(encoding="utf-8").split())
    assert sentence.format(f"{getattr(import_module(module), name):,g}") in text
