from __future__ import annotations

import asyncio

import pytest

from media_gateway.admission import GOING_AWAY, Admission


class FakeSocket:
    def __init__(self, epoch: int) -> None:
        self.epoch = epoch
        self.displaced = False
        self.ended: list[int] = []

    def end(self, code: int, reason: str) -> None:
        self.ended.append(code)

    def displace(self) -> None:
        self.displaced = True


def test_capacity_counts_sockets_that_are_being_opened() -> None:
    admission = Admission(capacity=2)
    admission.enter("a", FakeSocket(1))
    with admission.opening():
        assert admission.refusal("b") == "at capacity"
        assert admission.refusal("a") == "", "a call may always replace its own socket"
    assert admission.refusal("b") == ""
    admission.enter("b", FakeSocket(1))
    assert admission.refusal("c") == "at capacity"
    assert admission.full() == "at capacity"
    assert admission.full("b") == "", "the call may replace its socket"


def test_draining_refuses_everybody() -> None:
    admission = Admission(capacity=2)
    admission.enter("a", FakeSocket(1))
    admission.draining = True
    assert admission.refusal("a") == "draining"


@pytest.mark.parametrize("order", [(1, 2), (2, 1)])
def test_the_newest_socket_stays_in_whatever_order_they_enter(order: tuple[int, int]) -> None:
    admission = Admission(capacity=5)
    sockets = {epoch: FakeSocket(epoch) for epoch in order}
    for epoch in order:
        admission.enter("a", sockets[epoch])
    assert sockets[1].displaced
    assert not sockets[2].displaced
    assert admission.sockets() == [sockets[2]]
    admission.leave("a", sockets[1])
    assert admission.active == 1, "leaving of a displaced socket does not remove the newer one"


async def test_empty_waits_for_the_last_one() -> None:
    admission = Admission(capacity=2)
    await asyncio.wait_for(admission.empty(), 10)
    socket = FakeSocket(1)
    admission.enter("a", socket)
    waiting = asyncio.create_task(admission.empty())
    await asyncio.wait([waiting], timeout=0.01)
    assert not waiting.done()
    admission.leave("a", socket)
    await asyncio.wait_for(waiting, 10)


class DrainedSocket:
    """A socket that leaves the admission when it is closed, like a real one."""

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
    socket = DrainedSocket(admission, "a")
    draining = asyncio.create_task(admission.drain(timeout_s=60))
    await asyncio.wait([draining], timeout=0.01)
    assert admission.draining
    assert not draining.done()
    admission.leave("a", socket)
    await asyncio.wait_for(draining, 10)
    assert socket.ended == []


async def test_the_others_are_closed_when_time_is_over() -> None:
    admission = Admission(capacity=5)
    sockets = [DrainedSocket(admission, call_id) for call_id in "ab"]
    await asyncio.wait_for(admission.drain(timeout_s=0.05), 10)
    assert [socket.ended for socket in sockets] == [[GOING_AWAY], [GOING_AWAY]]


async def test_a_canceled_drain_closes_the_sockets() -> None:
    admission = Admission(capacity=5)
    socket = DrainedSocket(admission, "a")
    draining = asyncio.create_task(admission.drain(timeout_s=60))
    await asyncio.wait([draining], timeout=0.01)
    draining.cancel()
    with pytest.raises(asyncio.CancelledError):
        await draining
    assert socket.ended == [GOING_AWAY]


async def test_without_calls_it_is_over_at_once() -> None:
    await asyncio.wait_for(Admission(capacity=1).drain(60), 10)


@pytest.mark.parametrize(("timeout_s", "waits_s"), [(20, 19.0), (2, 1.5)])
async def test_time_is_kept_for_closing(monkeypatch: pytest.MonkeyPatch, timeout_s: float, waits_s: float) -> None:
    """The process ends after `timeout_s`: the sockets must be closed with 1001 before."""
    admission, waited, timeout = Admission(capacity=5), list[float](), asyncio.timeout

    def elapsed(delay_s: float) -> asyncio.Timeout:
        waited.append(delay_s)
        return timeout(0)

    socket = DrainedSocket(admission, "a")
    monkeypatch.setattr(asyncio, "timeout", elapsed)
    await admission.drain(timeout_s)
    assert waited == [waits_s]
    assert socket.ended == [GOING_AWAY]
