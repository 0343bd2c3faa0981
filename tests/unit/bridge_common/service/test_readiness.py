"""The log reports readiness as /readyz does."""

from __future__ import annotations

import asyncio

import pytest

from bridge_common.service import readiness
from bridge_common.service.readiness import log_readiness
from tests.support.eventually import eventually


async def _logged(reasons: list[str]) -> None:
    """Return each of `reasons` once, and then the last one."""

    async def answer() -> str:
        return reasons.pop(0) if len(reasons) > 1 else reasons[0]

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
