"""The log says "ready" when /readyz does."""

from __future__ import annotations

import asyncio

import pytest

from bridge_common.service import readiness
from bridge_common.service.readiness import log_when_ready


async def test_ready_is_logged_when_the_reason_is_gone(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readiness, "_AGAIN_S", 0.0)
    caplog.set_level("INFO", logger=readiness.__name__)
    reasons = ["no token for ai", "Redis does not answer", "Redis does not answer", ""]

    async def waiting() -> str:
        return reasons.pop(0)

    await asyncio.wait_for(log_when_ready(waiting, 8080), 5)
    assert [record.message for record in caplog.records] == ["not ready", "not ready", "ready"]
    assert reasons == []
