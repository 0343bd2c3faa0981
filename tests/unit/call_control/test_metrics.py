from __future__ import annotations

from bridge_common.observability import telemetry
from call_control import metrics


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
