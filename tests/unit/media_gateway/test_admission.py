from __future__ import annotations

import asyncio

import pytest

from media_gateway.admission import Admission


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
    assert admission.refusal() == "at capacity"


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
    assert admission.active == 1, "a displaced socket takes nobody with it"


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
