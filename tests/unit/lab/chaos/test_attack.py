"""Detection of closed connections, and the effect of attacks on calls."""

from __future__ import annotations

import os
import socket
from unittest.mock import Mock

import pytest

from lab.chaos.attack import PHASE_S, added_delay, answers_of, memory_of, until_closed
from lab.chaos.call_evidence import CallEvidence, SeenVoiceSession
from lab.chaos.row import Scene
from tests.support.eventually import eventually


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


def test_the_added_delay_compares_the_slowest_frames_with_the_same_load_on_a_sink() -> None:
    phases = {"sink pings 0": 2.0, "gateway-1 pings 0": 52.0, "gateway-1 bodies 1": 22.0, "sink bodies 1": 12.0}
    moments = {name: 1.0 + 3.0 * number for number, name in enumerate(phases)}

    def delay_s(t: float) -> float:
        return next((phases[name] / 1000 for name, began in moments.items() if began <= t < began + PHASE_S), 5.0)

    sent = [(seq, 0.5 + seq * 0.02) for seq in range(650)]
    heard = [(3, seq, t + delay_s(t)) for seq, t in sent]
    session = SeenVoiceSession(0.0, float("inf"), sent, [(3, seq, t + 0.001) for seq, t in sent])
    trace = CallEvidence(3, True, sent, heard, [session])
    found = added_delay(Scene(Mock(), Mock(), moments=moments), [trace])
    assert found == {
        "added_p99_ms": pytest.approx((50 + 10) / 2),
        "sink_p99_ms": pytest.approx((2 + 12) / 2),
        "p99_pings_ms": pytest.approx(52.0),
        "p99_bodies_ms": pytest.approx(22.0),
    }


async def test_the_maximum_of_memory_is_measured() -> None:
    fleet = Mock()
    fleet.process.return_value.pid = os.getpid()
    with memory_of(fleet, "x") as memory:
        used = bytearray(b"x") * (60 * 2**20)
        await eventually(lambda: memory()["memory_mb"] > 40)
        del used
    assert 40 < memory()["memory_mb"] < memory()["rss_mb"]


async def test_a_missing_answer_is_detected() -> None:
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        port = nobody.getsockname()[1]
    with answers_of(port) as slowest_s:
        await eventually(lambda: slowest_s() == float("inf"))
