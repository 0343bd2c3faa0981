from __future__ import annotations

from media_gateway.socket.send_buffer import LIMIT, SendBuffer


class Connection:
    """Takes messages, and pauses the outbox after so many."""

    def __init__(self, takes: int = 1_000_000) -> None:
        self.sent: list[bytes] = []
        self.takes = takes
        self.overfull = 0
        self.outbox = SendBuffer(self.write, self.on_overfull)

    def write(self, message: bytes) -> None:
        self.sent.append(message)
        self.takes -= 1
        if self.takes == 0:
            self.outbox.paused(True)

    def on_overfull(self) -> None:
        self.overfull += 1


def test_messages_go_out_as_they_come() -> None:
    connection = Connection()
    connection.outbox.put(b"a")
    assert connection.sent == [b"a"]
    connection.outbox.put(b"b")
    assert connection.sent == [b"a", b"b"]


def test_while_paused_they_wait_in_order() -> None:
    connection = Connection(takes=1)
    for message in (b"a", b"b", b"c", b"d"):
        connection.outbox.put(message)
    assert connection.sent == [b"a"]
    connection.takes = 2
    connection.outbox.paused(False)
    assert connection.sent == [b"a", b"b", b"c"], "paused again in the middle"
    connection.outbox.paused(False)
    assert connection.sent == [b"a", b"b", b"c", b"d"]


def test_put_instead_overtakes_what_waits() -> None:
    connection = Connection()
    connection.outbox.paused(True)
    for message in (b"a", b"b", b"c"):
        connection.outbox.put(message)
    connection.outbox.put_instead(b"stop")
    connection.outbox.put(b"d")
    connection.outbox.paused(False)
    assert connection.sent == [b"stop", b"d"]


def test_a_peer_that_does_not_read_is_noticed() -> None:
    connection = Connection()
    connection.outbox.paused(True)
    for _ in range(LIMIT):
        connection.outbox.put(b"frame")
    assert not connection.overfull
    connection.outbox.put(b"frame")
    assert connection.overfull
