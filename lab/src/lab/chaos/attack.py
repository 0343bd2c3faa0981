"""Strangers at a gateway's door: handshakes that never end, wrong tokens, and floods of bytes."""

from __future__ import annotations

import contextlib
import selectors
import socket
import time
from collections.abc import Iterable, Sequence
from typing import Final

import psutil

from lab.chaos.call_trace import CallTrace
from lab.chaos.crowd import Crowd
from lab.chaos.fleet import GATEWAY
from lab.chaos.process_faults import busiest
from lab.chaos.row import Facts, Scene
from lab.mark_report import percentile
from lab.wire import call_json

SLOW: Final = 500
KNOCK_EVERY_S: Final = 0.004
"""All of the slow ones are there after two seconds, before the first of them is closed."""
WRONG: Final = 50
BAD: Final = 2
"""Calls of their own whose media socket brings what ACS never sends."""
ATTACK_S: Final = 8.0
CALM_S: Final = 4.0
_HALF: Final = b"GET /ws/call_0 HTTP/1.1\r\nHost: gateway\r\nUpgrade: websocket\r\n"
_WRONG: Final = (
    b"GET /ws/call_%024x/1.nonsense HTTP/1.1\r\nHost: gateway\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
_FLOOD: Final = b"\x81\xff" + (1 << 20).to_bytes(8, "big") + b"mask" + bytes(64 * 1024)
"""The head of a text message of 1 MB, and 64 KB of it."""
_OUTSIDERS: Final = 41_000
_ODD: Final = (
    {"text": '{"kind": "AudioData", "audioData": {"data": "not base64!", "silent": false}}'},
    {"text": '{"kind": "AudioData", "audioData": {"data": "' + "A" * 64 * 1024 + '"}}'},
    {"text": "{" * 1000},
    {"binary_base64": "AAECAw=="},
)


def hostile_sockets(scene: Scene) -> Facts:
    """The calls' own gateway is attacked directly, without the ingress."""
    fleet = scene.fleet
    name = busiest(scene, GATEWAY)
    process = psutil.Process(fleet.process(name).pid)
    time.sleep(CALM_S)
    scene.moments["attack"] = time.monotonic()
    before = process.memory_info().rss
    call_json("PUT", f"{fleet.url('acs')}/lab/faults", {"media": {"odd_frames": _ODD, "times": BAD}})
    odd = Crowd(fleet, first=_OUTSIDERS + scene.turn * BAD, count=BAD)
    odd.dial_at_risk()
    with contextlib.ExitStack() as open_ones:
        slow = [open_ones.enter_context(_knock_slowly(fleet.replica_port(name))) for _ in range(SLOW)]
        wrong = [open_ones.enter_context(_knock(fleet.replica_port(name), _WRONG % n + _FLOOD)) for n in range(WRONG)]
        closed = until_closed([*slow, *wrong], ATTACK_S)
        most = process.memory_info().rss
    odd.hang_up()
    return {"attackers_closed_s": closed, "memory_mb": max(0.0, (most - before) / 2**20)}


def added_delay(scene: Scene, traces: Sequence[CallTrace]) -> Facts:
    """How much later the slowest hundredth of the frames came during the attack than before it."""
    attack = scene.moments["attack"]
    before = percentile(_delays(traces, attack - CALM_S, attack), 0.99)
    during = percentile(_delays(traces, attack, attack + ATTACK_S), 0.99)
    return {"added_p99_ms": max(0.0, during - before)}


def until_closed(sockets: Iterable[socket.socket], within_s: float) -> float:
    """Seconds until the other side had closed the last of them; infinite when it did not."""
    began = time.monotonic()
    last = 0.0
    with selectors.DefaultSelector() as waiting:
        for one in sockets:
            one.setblocking(False)
            waiting.register(one, selectors.EVENT_READ)
        while waiting.get_map() and time.monotonic() - began < within_s:
            for key, _ in waiting.select(0.1):
                if _is_over(key.fileobj):
                    waiting.unregister(key.fileobj)
                    last = time.monotonic() - began
        return float("inf") if waiting.get_map() else last


def _is_over(line: object) -> bool:
    assert isinstance(line, socket.socket)
    try:
        return not line.recv(65536)
    except BlockingIOError:
        return False
    except OSError:
        return True


def _knock_slowly(port: int) -> socket.socket:
    """Faster, and what is measured is how much of the shared cores the attacker takes from the callers."""
    time.sleep(KNOCK_EVERY_S)
    return _knock(port, _HALF)


def _knock(port: int, said: bytes) -> socket.socket:
    line = socket.create_connection(("127.0.0.1", port), timeout=5)
    with contextlib.suppress(OSError):
        line.sendall(said)
    return line


def _delays(traces: Sequence[CallTrace], began: float, ended: float) -> list[float]:
    """Of the frames that the callers heard, ms."""
    found: list[float] = []
    for trace in traces:
        heard = {seq: t for call, seq, t in reversed(trace.heard) if call == trace.number}
        sent = [mark for session in trace.sessions for mark in session.sent if began <= mark[1] < ended]
        found += [(heard[seq] - t) * 1000 for seq, t in sent if seq in heard]
    return found
