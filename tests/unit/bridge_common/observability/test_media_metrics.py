"""Metrics that both media services have."""

from __future__ import annotations

import subprocess
import sys

import pytest

from bridge_common.observability.media_metrics import observe_stamp
from bridge_common.observability.telemetry import now_us
from tests.support.recorded_spans import Growth


def test_the_delay_of_a_probe_is_never_negative() -> None:
    grown = Growth()
    observe_stamp("uplink", now_us() - 50_000)
    observe_stamp("uplink", now_us() + 60_000_000)
    assert grown('bridge_frame_delay_seconds_count{direction="uplink"}') == 2
    assert grown('bridge_frame_delay_seconds_sum{direction="uplink"}') == pytest.approx(0.05, abs=0.02)


def test_call_control_does_not_have_them() -> None:
    """`bridge_capacity_calls 0` would be a full process."""
    program = "import sys, call_control.app; print('bridge_common.observability.media_metrics' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "False"
