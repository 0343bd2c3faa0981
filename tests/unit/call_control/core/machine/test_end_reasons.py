from __future__ import annotations

import pytest

from call_control.core.machine.call_machine import TABLE
from call_control.core.machine.end_reasons import REASON_LABELS, label_of
from call_control.core.policy.routing import ON_BEHALF, Rejected


def test_every_reason_of_ours_has_its_own_label() -> None:
    names = {action.__name__ for row in TABLE for action in row.do}
    reasons = {name.removeprefix("because_") for name in names if name.startswith("because_")} - {"told"}
    assert len(reasons) > 8
    for reason in (*reasons, ON_BEHALF, Rejected("busy").end_reason, "caller_hung_up", "acs_gone"):
        assert label_of(reason) == reason
        assert reason in REASON_LABELS


@pytest.mark.parametrize(
    ("reason", "label"),
    [
        ("CallDisconnected_0_7000", "CallDisconnected"),
        ("AnswerFailed_400_123456789012345678", "AnswerFailed"),
        ("acs_8501", "acs_refused"),
        ("acs_AnythingAtAll", "acs_refused"),
    ],
)
def test_codes_of_others_make_no_label(reason: str, label: str) -> None:
    """Each sub code that a callback named was a series of its own."""
    assert label_of(reason) == label
    assert label in REASON_LABELS
