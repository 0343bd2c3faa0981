from __future__ import annotations

from bridge_common.observability import telemetry
from media_gateway import metrics


def test_dashboards_find_every_figure() -> None:
    metrics.FRAMES.received += 1
    metrics.SOCKETS.labels("1000").inc()
    shown = telemetry.render()[0].decode()
    for name in (
        'bridge_gateway_frames_total{direction="in"}',
        'bridge_gateway_frames_total{direction="out"}',
        "bridge_gateway_bad_frames_total",
        "bridge_gateway_foreign_frames_total",
        "bridge_gateway_clears_total",
        'bridge_gateway_sockets_total{code="1000"}',
        "bridge_gateway_late_bytes_total",
        "bridge_gateway_refused_bytes_total",
        "bridge_gateway_playout_waiting_seconds",
        "bridge_active_calls",
    ):
        assert f"\n{name} " in shown
