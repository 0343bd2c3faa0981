from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lab import digit_checks
from lab.digit_checks import contains, masked_digits_checks
from lab.observed_call import ObservedCall
from lab.stack import Ports, Stack
from lab.stack_process import Process

CARD = "4111111111111111"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (f"x{CARD}y", True),
        ("4111 1111 1111 1111", True),
        (str(list(CARD)), True),
        (json.dumps([{"tone": key} for key in CARD]), False),
        ("4111111111111112", False),
        ("card ending in 1111", False),
    ],
)
def test_digits_are_found_in_groups_and_lists(text: str, found: bool) -> None:
    assert contains(text, CARD) is found


def results(
    folder: Path, patch: pytest.MonkeyPatch, *, paid: list[str], said: str = "", logged: str = "a line"
) -> list[bool]:
    processes = [Process("call-control", 8080, None), Process("business", 8094, None)]
    for name in ("media-gateway", "agent-relay"):
        (folder / f"{name}.log").write_text(logged)
        processes.append(Process(name, 8081, None, folder / f"{name}.log"))
    (folder / "call-control.log").write_text("a line")
    processes[0].log_path = folder / "call-control.log"
    stack = Stack(Ports(), folder, processes=processes)
    payments: list[dict[str, Any]] = [{"card_number": card} for card in paid]
    patch.setattr(digit_checks, "call_json", lambda *_: {"requests": [], "payments": payments})
    patch.setattr(digit_checks, "raw", lambda *_: b"{}")
    call = ObservedCall(stack, "lab_1", frozenset(), voice={"items": [{"text": said}]})
    return [check.holds for check in masked_digits_checks(call, CARD, {"call_id": "call_1"}, [])]


def test_each_place_is_searched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert results(tmp_path, monkeypatch, paid=[CARD]) == [True, True]
    assert results(tmp_path, monkeypatch, paid=[]) == [False, True]
    assert results(tmp_path, monkeypatch, paid=[CARD, CARD]) == [False, True]
    assert results(tmp_path, monkeypatch, paid=[CARD], said=f"card {CARD}") == [True, False]
    assert results(tmp_path, monkeypatch, paid=[CARD], logged=f"card {CARD}") == [True, False]
    assert results(tmp_path, monkeypatch, paid=[CARD], logged="") == [True, False], "nothing was logged at all"
