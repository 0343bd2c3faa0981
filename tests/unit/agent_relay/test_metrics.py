from __future__ import annotations

from agent_relay import metrics
from bridge_common.observability import telemetry


def test_what_a_relay_counts_stands_in_the_metrics() -> None:
    metrics.SESSIONS.labels("open").inc()
    metrics.FIRST_DELTA.observe(0.25)
    text = telemetry.render().decode()
    assert 'bridge_relay_voice_sessions_total{result="open"}' in text
    assert "bridge_relay_first_delta_seconds_bucket" in text
