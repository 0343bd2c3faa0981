"""Calls with numbered frames (marks), as the load tool and the benchmark place and evaluate them."""

from __future__ import annotations

import time

import pytest

from lab.stack import Stack
from lab.traffic import await_talking, collect, cpu_s, directions, hang_up, place_calls, rss_bytes
from lab.wire import call_json
from tests.support.eventually import eventually

FRAMES = 50
"""Number of marks in one second of each call."""


@pytest.mark.timeout(90)
async def test_marks_of_each_call_are_found_at_both_ends(stack: Stack) -> None:
    call_json("PUT", f"{stack.url('voice-live')}/lab/agent", {"mode": "marks"})
    placed = place_calls(stack, (501, 502))
    assert await_talking(stack, placed) == 2
    began = time.monotonic()
    await eventually(lambda: _least_heard(stack, placed, began) >= FRAMES, every_s=0.1)
    ended = time.monotonic()
    hang_up(stack, placed)
    calls = collect(stack, placed)
    assert [call.number for call in calls] == [501, 502]
    for direction in directions(calls, (began, ended - 0.5)):
        assert direction.clean
        assert direction.sent > 2 * 20
    for call in calls:
        assert 1.0 < call.uplink_shift_ms < 2.0
        assert 1.0 < call.downlink_shift_ms < 2.0
        assert call.interrupted_at == []
    assert set(cpu_s(stack)) == set(rss_bytes(stack)) == {process.name for process in stack.processes}
    assert min(rss_bytes(stack).values()) > 1_000_000


def _least_heard(stack: Stack, placed: dict[int, str], began: float) -> int:
    """Return the smallest number of frames that arrived since then, in any call and direction."""
    calls = collect(stack, placed)
    return min(
        sum(at >= began for _, _, at in heard) for call in calls for heard in (call.uplink_heard, call.downlink_heard)
    )
