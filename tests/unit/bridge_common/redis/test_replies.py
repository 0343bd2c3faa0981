"""Bytes of a server in, replies and told messages out."""

from __future__ import annotations

from typing import Any

import hiredis
import pytest

from bridge_common.redis.replies import Replies

MESSAGE = b">3\r\n$7\r\nmessage\r\n$1\r\ns\r\n$3\r\n1-1\r\n"
SHARDED = b">3\r\n$8\r\nsmessage\r\n$1\r\ns\r\n$3\r\n1-2\r\n"
SUBSCRIBED = b">3\r\n$9\r\nsubscribe\r\n$1\r\ns\r\n:1\r\n"
UNSUBSCRIBED = b">3\r\n$11\r\nunsubscribe\r\n$1\r\ns\r\n:0\r\n"


class Heard:
    def __init__(self) -> None:
        self.replies: list[Any] = []
        self.told: list[tuple[bytes, bytes]] = []
        self.awaits_leaving: list[bytes] = []
        self.from_server = Replies(
            self.replies.append, lambda channel, message: self.told.append((channel, message)), self.left
        )

    def left(self, channel: bytes) -> bool:
        return channel in self.awaits_leaving


def test_replies_are_handed_out_in_order_and_counted() -> None:
    heard = Heard()
    heard.from_server.due = 3
    heard.from_server.take(b"+OK\r\n:5\r\n$3\r\nab")
    assert heard.replies == [b"OK", 5]
    assert heard.from_server.due == 1
    heard.from_server.take(b"c\r\n")
    assert heard.replies[2:] == [b"abc"]
    assert heard.from_server.due == 0


def test_what_is_told_is_no_reply_and_a_subscribing_has_one() -> None:
    heard = Heard()
    heard.from_server.due = 2
    heard.from_server.take(SUBSCRIBED + MESSAGE + UNSUBSCRIBED + SHARDED + b"+PONG\r\n")
    assert heard.told == [(b"s", b"1-1"), (b"s", b"1-2")]
    assert [type(reply) for reply in heard.replies] == [hiredis.PushNotification, bytes]
    assert heard.from_server.due == 0


def test_an_unsubscribing_is_counted_if_it_was_asked_for() -> None:
    heard = Heard()
    heard.from_server.due = 1
    heard.from_server.take(UNSUBSCRIBED)
    assert heard.from_server.due == 1, "a cluster moved the slot of the channel"
    heard.awaits_leaving = [b"s"]
    heard.from_server.take(UNSUBSCRIBED)
    assert heard.from_server.due == 0
    assert heard.replies == []


def test_nothing_is_handed_out_once_it_is_closed() -> None:
    heard = Heard()

    def close(reply: Any) -> None:
        heard.replies.append(reply)
        closing.closed = True

    closing = Replies(close, lambda *_: None, lambda _: False)
    closing.take(b"+OK\r\n+OK\r\n" + MESSAGE)
    closing.take(b"+OK\r\n")
    assert heard.replies == [b"OK"]


def test_what_is_no_redis_says_so() -> None:
    with pytest.raises(hiredis.ProtocolError):
        Heard().from_server.take(b"HTTP/1.1 400 Bad Request\r\n\r\n")
