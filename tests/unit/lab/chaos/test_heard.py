"""What callers heard, read out of what the simulated ACS tells."""

from __future__ import annotations

from unittest.mock import Mock

import pytest

from lab.chaos import heard
from lab.chaos.row import Scene


def scene(**moments: float) -> Scene:
    return Scene(Mock(), Mock(), moments=moments)


def test_a_silence_counts_from_the_fault_to_the_end_of_the_call(monkeypatch: pytest.MonkeyPatch) -> None:
    spans = {"a": [(1.0, 2.5), (9.5, 12.0)], "b": [(10.0, 30.0)]}
    monkeypatch.setattr(heard, "call_json", lambda _, url: {"silences": spans[url.split("/")[-2]]})
    there = scene(drop=10.0)
    there.crowd = Mock(placed={1: "a", 2: "b"})
    there.crowd.phone.side_effect = lambda lab_id: {
        "timeline": [{"event": "ended", "t": 11.0}] if lab_id == "b" else []
    }
    assert heard.silences(there, []) == {"silence_s": pytest.approx(2.5)}
    both = heard.with_silences(lambda *_: {"x": 1.0})
    assert both(there, []) == {"x": 1.0, "silence_s": pytest.approx(2.5)}
