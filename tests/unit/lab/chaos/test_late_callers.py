"""Callers who ring while a relay dies; the fault itself needs a running fleet."""

from __future__ import annotations

from unittest.mock import Mock

import pytest

from lab.chaos.late_callers import late_callers
from lab.chaos.row import BEGAN, Scene


def test_late_callers_are_answered_or_diverted_and_not_silent() -> None:
    states = {"a": "connected", "b": "redirected", "c": "rejected", "d": "ended", "e": "ringing"}
    late = Mock(placed=dict(enumerate(states)))
    late.phones.return_value = [{"id": lab_id, "state": state} for lab_id, state in states.items()]
    late.keep.side_effect = lambda kept: setattr(late, "placed", dict(enumerate(kept)))
    late.marks.return_value = {"silences": [(9.0, 12.5)]}
    late.phone.return_value = {"timeline": []}
    found = late_callers(Scene(Mock(), Mock(), late=late, moments={BEGAN: 10.0}), [])
    assert found == {"decided_pct": 60.0, "late_diverted": 2.0, "late_silence_s": pytest.approx(2.5)}
    late.keep.assert_called_once_with(["a"])
    late.hang_up.assert_called_once_with()
