"""Which faults make a process unready, and the log lines about it."""

from __future__ import annotations

import asyncio
import math

import pytest

from bridge_common.base.refusals import Fault
from bridge_common.service import readiness
from bridge_common.service.readiness import Readiness, ReadinessGate, log_readiness
from tests.support.eventually import eventually


async def _logged(reasons: list[str]) -> None:
    """Return each of `reasons` once, and then the last one."""

    async def answer() -> Readiness:
        return Readiness(reasons.pop(0) if len(reasons) > 1 else reasons[0])

    logging = asyncio.create_task(log_readiness(answer, 8080, poll_s=0.0))
    await eventually(lambda: len(reasons) == 1, within_s=5)
    await asyncio.sleep(0)
    logging.cancel()
    await asyncio.wait({logging})


@pytest.fixture(autouse=True)
def info_lines(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", logger=readiness.__name__)


async def test_at_the_start_every_new_reason_is_logged_until_the_service_is_ready(
    caplog: pytest.LogCaptureFixture,
) -> None:
    reasons = ["no token for ai", "no answer for 1.6 s", "no answer for 2.6 s", "", ""]
    await _logged(reasons)
    assert caplog.messages == ["not ready", "not ready", "ready"]


async def test_an_outage_is_two_lines_and_the_second_has_its_duration(caplog: pytest.LogCaptureFixture) -> None:
    reasons = ["", "no answer for 1.6 s", "no answer for 2.6 s", "connection refused", "", "", "full", "", ""]
    await _logged(reasons)
    assert caplog.messages == ["ready", "not ready", "ready again", "not ready", "ready again"]
    told = [vars(record)["bridge_fields"] for record in caplog.records]
    assert [one.get("reason") for one in told] == [None, "no answer for 1.6 s", None, "full", None]
    assert all(one["lasted_s"] >= 0 for one in (told[2], told[4]))
    assert [record.levelname for record in caplog.records] == ["INFO", *["WARNING"] * 4]


def test_until_it_was_ready_a_process_tolerates_no_fault() -> None:
    gate = ReadinessGate(15.0)
    assert gate.judge(faults=[Fault("no heartbeat", math.inf)], at_start="no token") == Readiness("no heartbeat")
    assert gate.judge(faults=[Fault("NOPERM", 0.1)]) == Readiness("NOPERM")
    assert gate.judge(faults=[None], at_start="no token") == Readiness("no token")
    assert gate.judge(faults=[None], degraded="at capacity") == Readiness(degraded="at capacity")


def test_after_that_a_fault_must_last() -> None:
    gate = ReadinessGate(15.0)
    assert gate.judge() == Readiness()
    assert gate.judge(faults=[Fault("no heartbeat", 14.9)]) == Readiness(degraded="no heartbeat")
    assert gate.judge(faults=[Fault("no heartbeat", 15.0)], degraded="at capacity") == Readiness("no heartbeat")
    assert gate.judge(faults=[Fault("no heartbeat", 2.0)], at_start="no token", degraded="at capacity") == Readiness(
        degraded="no heartbeat; no token; at capacity"
    )


def test_a_process_that_is_blocked_is_never_ready() -> None:
    gate = ReadinessGate(15.0)
    assert gate.judge(blocked="starting") == Readiness("starting")
    assert gate.judge(at_start="no token") == Readiness("no token"), "a blocked process was not ready"
    assert gate.judge() == Readiness()
    assert gate.judge(blocked="draining", degraded="at capacity") == Readiness("draining")
