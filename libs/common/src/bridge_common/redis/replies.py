"""Parses the data of one Redis connection and dispatches replies and published messages. No I/O."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeAlias

import hiredis

OnMessage: TypeAlias = Callable[[bytes, bytes], None]
"""Called with the channel and the message; must not block."""
OnUnsubscribed: TypeAlias = Callable[[bytes], bool]
"""Called with a channel on which the subscription has ended. Returns whether this is the reply to a pending
UNSUBSCRIBE. A server also ends subscriptions on its own, when its cluster moves the slot.
"""
_PUSH: Final = hiredis.PushNotification
_MESSAGES: Final = (b"message", b"smessage")
_SUBSCRIBED: Final = (b"subscribe", b"ssubscribe")
_UNSUBSCRIBED: Final = (b"unsubscribe", b"sunsubscribe")
_PASSING: Final = frozenset(
    {
        *("READONLY", "OOM", "CLUSTERDOWN", "MASTERDOWN", "TRYAGAIN", "MISCONF", "NOREPLICAS", "LOADING", "BUSY"),
        *("MOVED", "ASK"),
    }
)


def refusal_is_passing(text: str) -> bool:
    """Whether an error is temporary: due to the state of the server (failover, full memory), not to the command.

    `text`: an error reply, whose first word is Redis's error code.
    """
    return text.partition(" ")[0] in _PASSING


class Replies:
    """Parser and dispatcher of one connection's data.

    `on_reply` is called with each reply: bytes, int, None, list, dict, or a `hiredis.ReplyError`. The reply to a
    subscribe is a `hiredis.PushNotification`. An unsubscribe leads to a call of `on_unsubscribed`, or to an error
    reply.
    """

    def __init__(self, on_reply: Callable[[Any], None], on_message: OnMessage, on_unsubscribed: OnUnsubscribed) -> None:
        self.due = 0
        """Number of pending replies; the sender of commands increases it."""
        self.closed = False
        """Whether the connection has ended; the remaining data is not dispatched."""
        parser = hiredis.Reader()
        self._feed, self._next = parser.feed, parser.gets
        self._on_reply = on_reply
        self._on_message = on_message
        self._on_unsubscribed = on_unsubscribed

    def take(self, data: bytes) -> None:
        """Parse data from the server and dispatch all complete replies. Raises `hiredis.ProtocolError`."""
        self._feed(data)
        while not self.closed:
            reply = self._next()
            if reply is False:
                return
            if type(reply) is _PUSH:
                if reply[0] in _MESSAGES:
                    self._on_message(reply[1], reply[2])
                    continue
                if reply[0] not in _SUBSCRIBED:
                    if reply[0] in _UNSUBSCRIBED and self._on_unsubscribed(reply[1]):
                        self.due -= 1
                    continue
            self.due -= 1
            self._on_reply(reply)
