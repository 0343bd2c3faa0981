from __future__ import annotations

import asyncio

import pytest

from media_gateway.admission import Admission
from media_gateway.drain import GOING_AWAY, drain


class FakeSocket:
    """Leaves when it is told to end, like a real one."""

    epoch = 1

    def __init__(self, admission: Admission, call_id: str) -> None:
        self._admission = admission
        self._call_id = call_id
        self.ended: list[int] = []
        admission.enter(call_id, self)

    def end(self, code: int, reason: str) -> None:
        self.ended.append(code)
        self._admission.leave(self._call_id, self)

    def displace(self) -> None:
        raise AssertionError("nobody displaces it")


async def test_calls_that_end_in_time_are_not_touched() -> None:
    admission = Admission(capacity=5)
    socket = FakeSocket(admission, "a")
    draining = asyncio.create_task(drain(admission, timeout_s=60))
    await asyncio.wait([draining], timeout=0.01)
    assert admission.draining
    assert not draining.done()
    admission.leave("a", socket)
    await asyncio.wait_for(draining, 10)
    assert socket.ended == []


async def test_the_others_are_closed_when_time_is_over() -> None:
    admission = Admission(capacity=5)
    sockets = [FakeSocket(admission, call_id) for call_id in "ab"]
    await asyncio.wait_for(drain(admission, timeout_s=0.05), 10)
    assert [socket.ended for socket in sockets] == [[GOING_AWAY], [GOING_AWAY]]


async def test_a_drain_that_is_cut_short_still_says_goodbye() -> None:
    admission = Admission(capacity=5)
    socket = FakeSocket(admission, "a")
    draining = asyncio.create_task(drain(admission, timeout_s=60))
    await asyncio.wait([draining], timeout=0.01)
    draining.cancel()
    with pytest.raises(asyncio.CancelledError):
        await draining
    assert socket.ended == [GOING_AWAY]


async def test_without_calls_it_is_over_at_once() -> None:
    await asyncio.wait_for(drain(Admission(capacity=1), timeout_s=60), 10)


@pytest.mark.parametrize(("timeout_s", "waits_s"), [(20, 19.0), (2, 1.5)])
async def test_time_is_kept_for_closing(monkeypatch: pytest.MonkeyPatch, timeout_s: float, waits_s: float) -> None:
    """Whoever drains the process ends it after `timeout_s`: the sockets have to be closed with 1001 before."""
    admission, waited, timeout = Admission(capacity=5), list[float](), asyncio.timeout

    def elapsed(delay_s: float) -> asyncio.Timeout:
        waited.append(delay_s)
        return timeout(0)

    socket = FakeSocket(admission, "a")
    monkeypatch.setattr(asyncio, "timeout", elapsed)
    await drain(admission, timeout_s)
    assert waited == [waits_s]
    assert socket.ended == [GOING_AWAY]
