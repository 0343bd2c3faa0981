from __future__ import annotations

import json

from bridge_common.service import probes


def test_a_process_that_answers_is_alive() -> None:
    assert (probes.livez().status, json.loads(probes.livez().body)) == (200, {"status": "alive"})


def test_a_process_with_a_dead_part_is_not() -> None:
    answer = probes.livez("reader has stopped")
    assert (answer.status, json.loads(answer.body)) == (503, {"status": "failed", "reason": "reader has stopped"})


def test_ready_without_a_reason_against_it() -> None:
    answer = probes.readyz("", redis_age_s=0.1)
    assert answer.status == 200
    assert json.loads(answer.body) == {"status": "ready", "redis_age_s": 0.1}


def test_not_ready_says_why() -> None:
    answer = probes.readyz("draining")
    assert answer.status == 503
    assert json.loads(answer.body) == {"status": "not ready", "reason": "draining"}
    assert answer.content_type == "application/json"


def test_metrics_have_the_form_that_prometheus_reads() -> None:
    assert probes.metrics().content_type.startswith("text/plain; version=0.0.4")
    assert b"bridge_active_calls" in probes.metrics().body
