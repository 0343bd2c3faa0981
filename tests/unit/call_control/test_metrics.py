from __future__ import annotations

import pytest

from bridge_common.observability import telemetry
from call_control import metrics
from call_control.core.machine.call_table import TABLE
from call_control.core.policy.routing import ON_BEHALF, Rejected
from call_control.metrics import REASON_LABELS, end_reason_label


def test_dashboards_find_every_figure() -> None:
    metrics.CALLS.labels("ringing").inc()
    metrics.ANSWER.labels("connected").observe(0.5)
    shown = telemetry.render().decode()
    for name in (
        'bridge_calls_total{status="ringing"}',
        'bridge_answer_seconds_count{until="connected"}',
        "bridge_inbox_waiting",
        "bridge_inbox_wait_seconds_count",
    ):
        assert f"\n{name} " in shown


def test_every_reason_of_ours_has_its_own_label() -> None:
    prefix = "set_end_reason_"
    names = {action.__name__ for row in TABLE for action in row.do}
    reasons = {name.removeprefix(prefix) for name in names if name.startswith(prefix)} - {"from_event"}
    assert len(reasons) > 8
    for reason in (*reasons, ON_BEHALF, Rejected("busy").end_reason, "caller_hung_up", "acs_gone"):
        assert end_reason_label(reason) == reason
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
def test_foreign_codes_add_no_label(reason: str, label: str) -> None:
    """Regression: each sub code in a callback added a series."""
    assert end_reason_label(reason) == label
    assert label in REASON_LABELS
