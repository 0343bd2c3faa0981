"""Attacks by unauthenticated peers. Each attack runs at the full speed of one thread, against the service and, for
comparison, against a sink that only reads: the difference is the load that the service adds to the machine.
"""

from __future__ import annotations

import contextlib
import json
import selectors
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import product
from statistics import fmean
from typing import Final
from urllib.parse import urlsplit

import psutil

from lab.chaos.call_evidence import CallEvidence
from lab.chaos.crowd import Crowd
from lab.chaos.local_fleet import CONTROL, GATEWAY, LocalFleet
from lab.chaos.process_faults import busiest
from lab.chaos.row import Facts, Scene
from lab.mark_report import percentile
from lab.wire import call_json

SLOW: Final = 500
WRONG: Final = 50
BAD: Final = 2
"""Number of additional calls whose media socket sends messages that ACS never sends, such as invalid base64."""
CLOSED_S: Final = 8.0
PHASE_S: Final = 1.5
"""Duration of one attack on one target."""
ROUNDS: Final = 2
PAUSE_S: Final = 0.3
SOCKET_ATTACKS: Final = (
    *("small-frames", "pings", "empty-frames", "fragments"),
    *("connect-and-leave", "ask-and-leave", "half-heads", "after-the-end"),
)
"""Kinds of attacks on the gateway; in `ask-and-leave` the token is wrong."""
REQUEST_ATTACKS: Final = ("half-heads", "large-heads", "bodies", "unread", "connect-and-leave", "ask-and-leave")
_AFTER: Final = "after-the-end"
_SINK: Final = "sink"
_HALF: Final = b"GET /ws/call_0 HTTP/1.1\r\nHost: gateway\r\nUpgrade: websocket\r\n"
_UPGRADE: Final = (
    "Host: gateway\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
)
_WRONG: Final = f"GET /ws/call_{1:024x}/1.nonsense HTTP/1.1\r\n{_UPGRADE}\r\n".encode()
_METADATA: Final = b'{"kind":"AudioMetadata","audioMetadata":{"encoding":"PCM","sampleRate":16000,"channels":1}}'
_CALLBACK: Final = b"POST /api/callbacks/none HTTP/1.1\r\nHost: control\r\n\r\n"
_FLOOD: Final = b"\x81\xff" + (1 << 20).to_bytes(8, "big") + b"mask" + bytes(64 * 1024)
"""The header of a text message of 1 MB, and the first 64 KB of its payload."""
_OUTSIDERS: Final = 41_000
_ODD: Final = (
    {"text": '{"kind": "AudioData", "audioData": {"data": "not base64!", "silent": false}}'},
    {"text": '{"kind": "AudioData", "audioData": {"data": "' + "A" * 64 * 1024 + '"}}'},
    {"text": "{" * 1000},
    {"binary_base64": "AAECAw=="},
)


def hostile_sockets(scene: Scene) -> Facts:
    """Attack the gateway that serves the calls, directly and not through the ingress."""
    fleet = scene.fleet
    name = busiest(scene, GATEWAY)
    with memory_of(fleet, name) as memory:
        fleet.inject("acs", {"media": {"odd_frames": _ODD, "times": BAD}})
        odd = Crowd(fleet, first=_OUTSIDERS + scene.turn * (BAD + ROUNDS), count=BAD)
        odd.dial_at_risk()
        closed = _slow_and_wrong(fleet.replica_port(name))
        odd.hang_up()
        made = attack_alternately(scene, name, SOCKET_ATTACKS, _WRONG)
    return {"attackers_closed_s": closed, "connections": made, **memory()}


def hostile_requests(scene: Scene) -> Facts:
    """Attack one call-control process directly, while it still serves the other services and the probes."""
    name = busiest(scene, CONTROL)
    with memory_of(scene.fleet, name) as memory, answers_of(scene.fleet.replica_port(name)) as slowest_s:
        made = attack_alternately(scene, name, REQUEST_ATTACKS, _CALLBACK)
    return {"ready_s": slowest_s(), "connections": made, **memory()}


def attack_alternately(scene: Scene, name: str, kinds: Sequence[str], head: bytes) -> float:
    """Run all attacks on the sink, all on the service, then again in reverse order, so that slow changes of the machine
    cancel out. Return the number of connections that the attacker opened to the service.
    """
    made = 0
    with attacker() as attack, sink_port() as sink:
        for turn in range(ROUNDS):
            targets = (_SINK, name) if turn % 2 == 0 else (name, _SINK)
            for target, kind in product(targets, kinds):
                own = _own_call(scene, turn) if kind == _AFTER and target == name else None
                scene.moments[f"{target} {kind} {turn}"] = time.monotonic()
                if target == _SINK:
                    attack(kind, sink, head, None)
                elif own is None:
                    made += attack(kind, scene.fleet.replica_port(name), head, None)
                else:
                    made += attack(kind, scene.fleet.replica_port(name), _own_head(own), own.hang_up)
                time.sleep(PAUSE_S)
    return float(made)


def added_delay(scene: Scene, traces: Sequence[CallEvidence]) -> Facts:
    """Return by how many ms attacks on the service delay frames (p99) more than attacks on the sink.

    Each round is compared by itself: delays that a service has not recovered from are part of the next round on the
    sink.
    """
    of_service: dict[str, list[float]] = {}
    of_sink: dict[str, list[float]] = {}
    of_kind: dict[str, list[float]] = {}
    for moment, began in scene.moments.items():
        target, kind, turn = moment.split(" ")
        delays = _delays(traces, began, began + PHASE_S)
        (of_sink if target == _SINK else of_service).setdefault(turn, []).extend(delays)
        if target != _SINK:
            of_kind.setdefault(kind, []).extend(delays)
    p99_sink = {turn: percentile(delays, 0.99) for turn, delays in of_sink.items()}
    added = [percentile(delays, 0.99) - p99_sink[turn] for turn, delays in of_service.items()]
    each = {f"p99_{kind}_ms": percentile(delays, 0.99) for kind, delays in sorted(of_kind.items())}
    return {"added_p99_ms": max(0.0, fmean(added)), "sink_p99_ms": fmean(p99_sink.values()), **each}


Attack = Callable[[str, int, bytes, Callable[[], None] | None], int]


@contextlib.contextmanager
def attacker() -> Iterator[Attack]:
    """Return a function that attacks for `PHASE_S` and returns the number of connections it opened. Its arguments:
    kind, port, request head, and a function that is called during the attack.
    """
    command = [sys.executable, "-m", "lab.chaos.attackers"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        orders, results = process.stdin, process.stdout

        def attack(kind: str, port: int, head: bytes, meanwhile: Callable[[], None] | None) -> int:
            order = {"kind": kind, "port": port, "seconds": PHASE_S, "head": head.hex()}
            print(json.dumps(order), file=orders, flush=True)
            if meanwhile is not None:
                time.sleep(PHASE_S / 5)
                meanwhile()
            return int(results.readline())

        try:
            yield attack
        finally:
            process.kill()


@contextlib.contextmanager
def sink_port() -> Iterator[int]:
    command = [sys.executable, "-m", "lab.chaos.attackers", _SINK]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield int(process.stdout.readline())
        finally:
            process.kill()


@contextlib.contextmanager
def memory_of(fleet: LocalFleet, name: str) -> Iterator[Callable[[], Facts]]:
    """Sample the resident memory of a replica. Return its maximum, and the growth up to it."""
    process = psutil.Process(fleet.process(name).pid)
    before = most = process.memory_info().rss
    over = threading.Event()

    def watch() -> None:
        nonlocal most
        while not over.wait(0.05):
            most = max(most, process.memory_info().rss)

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        yield lambda: {"memory_mb": (most - before) / 2**20, "rss_mb": most / 2**20}
    finally:
        over.set()
        watching.join()


@contextlib.contextmanager
def answers_of(port: int) -> Iterator[Callable[[], float]]:
    """Poll /readyz. Return the longest response time, infinite if a response is missing."""
    slowest = 0.0
    over = threading.Event()

    def ask() -> None:
        nonlocal slowest
        while not over.wait(0.1):
            began = time.monotonic()
            try:
                call_json("GET", f"http://127.0.0.1:{port}/readyz", timeout_s=5)
                slowest = max(slowest, time.monotonic() - began)
            except RuntimeError:
                slowest = float("inf")

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        yield lambda: slowest
    finally:
        over.set()
        asking.join()


def _own_call(scene: Scene, turn: int) -> Crowd:
    """Return a request head for the media socket of a call that the attacker placed: its URL and its token are
    valid.
    """
    first = _OUTSIDERS + BAD + scene.turn * (BAD + ROUNDS) + turn
    own = Crowd(scene.fleet, first=first, count=1)
    own.dial()
    own.await_talking()
    return own


def _own_head(own: Crowd) -> bytes:
    [lab_id] = own.placed.values()
    media = call_json("GET", f"{own.stack.url('acs')}/lab/calls/{lab_id}/media")
    headers = "".join(f"{name}: {value}\r\n" for name, value in media["headers"].items())
    metadata = b"\x81" + bytes([0x80 | len(_METADATA)]) + bytes(4) + _METADATA  # The masking key is zero.
    return f"GET {urlsplit(media['url']).path} HTTP/1.1\r\n{_UPGRADE}{headers}\r\n".encode() + metadata


def _slow_and_wrong(port: int) -> float:
    """Open handshakes that are never completed, then send floods with a wrong token. Return the seconds until all were
    closed.
    """
    with contextlib.ExitStack() as open_ones:
        slow = [open_ones.enter_context(_connect(port, _HALF)) for _ in range(SLOW)]
        wrong = [open_ones.enter_context(_connect(port, _WRONG + _FLOOD)) for _ in range(WRONG)]
        return until_closed([*slow, *wrong], CLOSED_S)


def until_closed(sockets: Iterable[socket.socket], within_s: float) -> float:
    """Return the seconds until the peer has closed all connections; infinite if it has not."""
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


def _connect(port: int, sent: bytes) -> socket.socket:
    line = socket.create_connection(("127.0.0.1", port), timeout=5)
    with contextlib.suppress(OSError):
        line.sendall(sent)
    return line


def _delays(traces: Sequence[CallEvidence], began: float, ended: float) -> list[float]:
    """Return the delays in ms of the frames sent in this period, in both directions."""
    found: list[float] = []
    for trace in traces:
        sent = [mark for session in trace.sessions for mark in session.sent]
        heard_by_agent = [mark for session in trace.sessions for mark in session.heard]
        for marks, heard in ((sent, trace.heard), (trace.sent, heard_by_agent)):
            arrived = {seq: t for call, seq, t in reversed(heard) if call == trace.number}
            found += [(arrived[seq] - t) * 1000 for seq, t in marks if began <= t < ended and seq in arrived]
    return found
