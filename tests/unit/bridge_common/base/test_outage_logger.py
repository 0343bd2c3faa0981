"""An outage is two log lines: begun and over."""

from __future__ import annotations

import logging

import pytest

from bridge_common.base.outage_logger import OutageLogger


def test_however_often_it_fails_it_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    outage = OutageLogger(logging.getLogger("x"), "renewing leases")
    outage.worked()
    for _ in range(100):
        outage.failed(error="Redis is unavailable", calls=3)
    assert caplog.messages == ["renewing leases fails"]
    assert vars(caplog.records[0])["bridge_fields"] == {"error": "Redis is unavailable", "calls": 3}
    outage.worked()
    outage.worked()
    assert caplog.messages == ["renewing leases fails", "renewing leases works again"]
    told = vars(caplog.records[1])["bridge_fields"]
    assert told["failures"] == 100
    assert told["lasted_s"] >= 0


def test_the_next_outage_is_told_again(caplog: pytest.LogCaptureFixture) -> None:
    outage = OutageLogger(logging.getLogger("x"), "the heartbeat")
    for _ in range(2):
        outage.failed()
        outage.worked()
    assert caplog.messages == ["the heartbeat fails", "the heartbeat works again"] * 2
    assert vars(caplog.records[3])["bridge_fields"]["failures"] == 1


def test_messages_clock_and_fields_of_the_end_can_be_given(caplog: pytest.LogCaptureFixture) -> None:
    now = 100.0
    outage = OutageLogger(logging.getLogger("x"), begun="not ready", over="ready again", clock=lambda: now)
    lasts = [outage.lasts]
    assert [outage.failed(reason="draining") for _ in range(2)] == [True, False], "the first failure begins the outage"
    lasts.append(outage.lasts)
    assert outage.failures == 2
    now = 102.5
    outage.worked(port=8080)
    assert [*lasts, outage.lasts] == [False, True, False]
    assert caplog.messages == ["not ready", "ready again"]
    assert vars(caplog.records[1])["bridge_fields"] == {"lasted_s": 2.5, "failures": 2, "port": 8080}


def test_an_outage_of_several_tasks_is_over_when_each_of_them_works(caplog: pytest.LogCaptureFixture) -> None:
    outage = OutageLogger(logging.getLogger("x"), "working off the inbox")
    outage.failed(task="read", error="Redis is unavailable")
    outage.failed(task="beat", error="Redis is unavailable")
    outage.worked(task="timers")
    outage.worked(task="read")
    assert caplog.messages == ["working off the inbox fails"]
    outage.worked(task="beat")
    assert caplog.messages == ["working off the inbox fails", "working off the inbox works again"]
    assert vars(caplog.records[1])["bridge_fields"]["failures"] == 2
