from __future__ import annotations

import pytest

from bridge_common.observability import telemetry
from bridge_common.wire.call_record import CallAction
from call_control import metrics
from call_control.core.machine.call_table import TABLE
from call_control.core.policy.routing import ON_BEHALF, Rejected
from call_control.metrics import REASON_LABELS, UNREACHED, end_reason_label, mode_label, outcome_label


def test_dashboards_find_every_figure() -> None:
    metrics.CALLS.labels("ringing").inc()
    metrics.ANSWER.labels("connected").observe(0.5)
    shown = telemetry.render()[0].decode()
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


def action(state: str, reason: str, kind: str = "transfer", operation: str = "AddParticipant-1") -> CallAction:
    return CallAction("act_1", kind, '{"target":"billing"}', "agent", 1, state, reason, operation)


@pytest.mark.parametrize(
    ("of", "label"),
    [
        (action("done", "connected"), "connected"),
        (action("done", "ACS did not report the transfer; the call is gone"), "connected"),
        (action("done", "joined", "add_participant"), "joined"),
        (action("failed", "no_answer"), "no_answer"),
        (action("failed", "refused 403/510403"), "refused"),
        (action("failed", "unknown"), "unknown"),
        (action("failed", "unknown target 'x'; use billing", operation=""), "rejected"),
        (action("failed", "a transfer is under way", operation=""), "rejected"),
        (action("failed", "the call has ended"), "call_ended"),
        (action("canceled", "the caller is still talking", operation=""), "canceled"),
    ],
)
def test_outcomes_of_transfers_and_invitations(of: CallAction, label: str) -> None:
    assert outcome_label(of) == label
    assert label in {"connected", "joined", *UNREACHED}


@pytest.mark.parametrize(
    ("arguments", "operation", "mode"),
    [("{}", "Transfer-1", "blind"), ("{}", "AddParticipant-1", "attended"), ('{"mode":"blind"}', "", "blind")],
)
def test_modes_of_transfers(arguments: str, operation: str, mode: str) -> None:
    assert mode_label(CallAction("a", "transfer", arguments, "agent", 1, "failed", "busy", operation)) == mode
