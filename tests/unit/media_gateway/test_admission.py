from __future__ import annotations

import asyncio

import pytest

from media_gateway.admission import GOING_AWAY, Admission
from tests.support.virtual_time import run_in_virtual_time


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


@pytest.mark.parametrize(
    ("sockets", "timeout_s", "begins_s", "ends_s"),
    [(1, 20, 18.95, 18.95), (40, 20, 17.0, 19.0), (400, 20, 15.0, 19.0), (40, 2, 1.5, 1.5)],
)
def test_sockets_are_closed_one_by_one_before_the_process_ends(
    sockets: int, timeout_s: float, begins_s: float, ends_s: float
) -> None:
    """Each is dialed again at the same moment, so they must not all be closed in the same second."""
    admission, closed_at = Admission(capacity=sockets), list[float]()

    class Timed(DrainedSocket):
        def end(self, code: int, reason: str) -> None:
            super().end(code, reason)
            closed_at.append(asyncio.get_running_loop().time())

    async def drained() -> None:
        everybody = [Timed(admission, f"call-{number}") for number in range(sockets)]
        await admission.drain(timeout_s)
        assert [socket.ended for socket in everybody] == [[GOING_AWAY]] * sockets
        assert asyncio.get_running_loop().time() < timeout_s

    run_in_virtual_time(drained())
    pause_s = (ends_s - begins_s) / sockets
    assert closed_at == [pytest.approx(begins_s + number * pause_s) for number in range(sockets)]


async def test_a_drain_that_is_canceled_while_it_closes_closes_the_rest_at_once() -> None:
    admission = Admission(capacity=50)
    sockets = [DrainedSocket(admission, f"call-{number}") for number in range(50)]
    draining = asyncio.create_task(admission.drain(timeout_s=4.2))
    while not sockets[0].ended:  # noqa: ASYNC110  # the first is closed after a while
        await asyncio.sleep(0.01)
    assert not sockets[-1].ended
    draining.cancel()
    with pytest.raises(asyncio.CancelledError):
        await draining
    assert [socket.ended for socket in sockets] == [[GOING_AWAY]] * 50
