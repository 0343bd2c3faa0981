"""Consecutive sockets of a call: each displaces the previous one, within a limit."""

from __future__ import annotations

import contextlib

import pytest

from bridge_common.wire.entries import AudioFrame
from media_gateway.core.peer_limits import BURST
from media_gateway.socket_context import SocketLimits
from tests.integration.support.gateway_under_test import Line, StartGateway
from tests.support.eventually import eventually


async def test_a_holder_of_a_token_cannot_take_the_call_again_and_again(
    start_gateway: StartGateway, line: Line, caplog: pytest.LogCaptureFixture
) -> None:
    """Above the limit the newest socket is refused and the running one stays."""
    caplog.set_level("INFO")
    flood = 60
    limits = SocketLimits(attaches_per_s=0.0)
    async with start_gateway(limits=limits) as gateway, contextlib.AsyncExitStack() as sockets:
        dialled = [await sockets.enter_async_context(gateway.dial(line.call_id)) for _ in range(flood)]
        await eventually(lambda: sum(acs.closed_at > 0 for acs in dialled) == flood - 1)
        codes = [acs.close_code for acs in dialled if acs.closed_at]
        assert (codes.count(4001), codes.count(1013)) == (BURST - 1, flood - BURST)
        (running,) = (acs for acs in dialled if not acs.closed_at)
        await running.metadata(24_000)
        await running.frame(b"\x01\x00" * 480)
        await eventually(lambda: line.said(AudioFrame))
    lines = [record for record in caplog.records if record.name.startswith("media_gateway")]
    assert len(lines) < flood
