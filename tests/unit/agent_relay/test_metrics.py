from __future__ import annotations

import subprocess
import sys

from agent_relay import metrics
from bridge_common.observability import telemetry


def test_metrics_are_exported_with_their_labels() -> None:
    metrics.SESSIONS.labels("open").inc()
    metrics.FIRST_DELTA.observe(0.25)
    text = telemetry.render()[0].decode()
    assert 'bridge_relay_voice_sessions_total{result="open"}' in text
    assert "bridge_relay_first_delta_seconds_bucket" in text


def test_renamed_metrics_keep_their_old_names() -> None:
    metrics.set_muted_calls(2)
    metrics.count_announcement("spoken")
    samples = {sample.name: sample for family in telemetry.REGISTRY.collect() for sample in family.samples}
    metrics.set_muted_calls(0)
    assert samples["bridge_relay_muted_calls"].value == samples["bridge_relay_silenced_calls"].value == 2
    old, new = samples["bridge_relay_says_told_total"], samples["bridge_relay_announcements_total"]
    assert (old.labels, old.value) == (new.labels, new.value)


def test_without_a_file_the_profiles_count_as_loaded() -> None:
    """An alert on 0 must not fire where there is nothing to reload. In a new process: other tests reload files."""
    name = "bridge_relay_profiles_last_reload_successful"
    program = f"from agent_relay.metrics import telemetry; print(telemetry.REGISTRY.get_sample_value('{name}'))"
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "1.0"
