"""The parser of Redis data: replies and published messages in the bytes of a server."""

from __future__ import annotations

from typing import Any

import hiredis
import pytest

from bridge_common.redis.replies import Replies

MESSAGE = b">3\r\n$7\r\nmessage\r\n$1\r\ns\r\n$3\r\n1-1\r\n"
SHARDED = b">3\r\n$8\r\nsmessage\r\n$1\r\ns\r\n$3\r\n1-2\r\n"
SUBSCRIBED = b">3\r\n$9\r\nsubscribe\r\n$1\r\ns\r\n:1\r\n"
UNSUBSCRIBED = b">3\r\n$11\r\nunsubscribe\r\n$1\r\ns\r\n:0\r\n"


class Recorded:
    def __init__(self) -> None:
        self.replies: list[Any] = []
        self.messages: list[tuple[bytes, bytes]] = []
        self.pending_unsubscribes: list[bytes] = []
        self.from_server = Replies(
            self.replies.append, lambda channel, message: self.messages.append((channel, message)), self.on_unsubscribed
        )

    def on_unsubscribed(self, channel: bytes) -> bool:
        return channel in self.pending_unsubscribes


def test_replies_are_dispatched_in_order_and_counted() -> None:
    recorded = Recorded()
    recorded.from_server.due = 3
    recorded.from_server.take(b"+OK\r\n:5\r\n$3\r\nab")
    assert recorded.replies == [b"OK", 5]
    assert recorded.from_server.due == 1
    recorded.from_server.take(b"c\r\n")
    assert recorded.replies[2:] == [b"abc"]
    assert recorded.from_server.due == 0


def test_a_message_is_no_reply_and_a_subscribe_has_one() -> None:
    recorded = Recorded()
    recorded.from_server.due = 2
    recorded.from_server.take(SUBSCRIBED + MESSAGE + UNSUBSCRIBED + SHARDED + b"+PONG\r\n")
    assert recorded.messages == [(b"s", b"1-1"), (b"s", b"1-2")]
    assert [type(reply) for reply in recorded.replies] == [hiredis.PushNotification, bytes]
    assert recorded.from_server.due == 0


def test_an_unsubscribe_is_a_reply_only_if_it_was_sent() -> None:
    recorded = Recorded()
    recorded.from_server.due = 1
    recorded.from_server.take(UNSUBSCRIBED)
    assert recorded.from_server.due == 1, "a cluster moved the slot of the channel"
    recorded.pending_unsubscribes = [b"s"]
    recorded.from_server.take(UNSUBSCRIBED)
    assert recorded.from_server.due == 0
    assert recorded.replies == []


def test_nothing_is_dispatched_after_closing() -> None:
    recorded = Recorded()

    def close(reply: Any) -> None:
        recorded.replies.append(reply)
        closing.closed = True

    closing = Replies(close, lambda *_: None, lambda _: False)
    closing.take(b"+OK\r\n+OK\r\n" + MESSAGE)
    closing.take(b"+OK\r\n")
    assert recorded.replies == [b"OK"]


def test_other_protocols_are_an_error() -> None:
    with pytest.raises(hiredis.ProtocolError):
        Recorded().from_server.take(b"HTTP/1.1 400 Bad Request\r\n\r\n")
