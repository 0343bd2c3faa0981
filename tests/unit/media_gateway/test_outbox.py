from __future__ import annotations

import asyncio

import pytest

from eventually import eventually
from media_gateway.outbox import LIMIT, Outbox


async def test_messages_are_sent_in_order_as_they_come() -> None:
    outbox, sent = Outbox(), list[str]()

    async def send(message: str) -> None:
        sent.append(message)

    sending = asyncio.create_task(outbox.send_all(send))
    outbox.put("a")
    outbox.put("b")
    await eventually(lambda: sent == ["a", "b"])
    outbox.put("c")
    await eventually(lambda: sent == ["a", "b", "c"])
    sending.cancel()
    await asyncio.wait([sending])


async def test_put_instead_overtakes_what_waits() -> None:
    outbox, sent, gate = Outbox(), list[str](), asyncio.Event()

    async def send(message: str) -> None:
        await gate.wait()
        sent.append(message)

    for message in ("a", "b", "c"):
        outbox.put(message)
    outbox.put_instead("stop")
    outbox.put("d")
    sending = asyncio.create_task(outbox.send_all(send))
    gate.set()
    await eventually(lambda: len(sent) == 2)
    sending.cancel()
    await asyncio.wait([sending])
    assert sent == ["stop", "d"]


async def test_a_broken_connection_ends_the_sending() -> None:
    outbox = Outbox()

    async def send(_: str) -> None:
        raise ConnectionResetError

    outbox.put("a")
    with pytest.raises(ConnectionResetError):
        await outbox.send_all(send)


def test_a_peer_that_does_not_read_is_noticed() -> None:
    outbox = Outbox()
    for _ in range(LIMIT):
        outbox.put("frame")
    assert not outbox.overfull
    outbox.put("frame")
    assert outbox.overfull
