"""Whether attackers are seen to be closed, and what the calls felt of them."""

from __future__ import annotations

import socket
from unittest.mock import Mock

import pytest

from lab.chaos.attack import added_delay, until_closed
from lab.chaos.call_trace import CallTrace, VoiceSession
from lab.chaos.row import Scene


def test_the_last_one_to_be_closed_counts() -> None:
    pairs = [socket.socketpair() for _ in range(3)]
    try:
        for _, theirs in pairs[:2]:
            theirs.close()
        assert until_closed([ours for ours, _ in pairs[:2]], 2.0) < 1.0
        pairs[2][1].sendall(b"HTTP/1.1 101 Switching Protocols")
        assert until_closed([pairs[2][0]], 0.15) == float("inf")
    finally:
        for pair in pairs:
            for end in pair:
                end.close()


def test_the_added_delay_is_that_of_the_slowest_frames() -> None:
    sent = [(seq, 1.0 + seq * 0.02) for seq in range(500)]
    heard = [(3, seq, t + (0.012 if t >= 5.0 else 0.002)) for seq, t in sent]
    trace = CallTrace(3, True, [], heard, [VoiceSession(0.0, float("inf"), sent, [])])
    found = added_delay(Scene(Mock(), Mock(), moments={"attack": 5.0}), [trace])
    assert found == {"added_p99_ms": pytest.approx(10.0)}
