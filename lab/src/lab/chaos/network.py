"""The network of a fleet: an ingress in front of the replicas of a service, and links that can be cut or partitioned.
It has its own thread and event loop, so that code that injects faults may block.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, Final, TypeVar

T = TypeVar("T")

PROBE_S: Final = 0.1
"""Interval of the ingress's readiness probes."""
_PROBE_TIMEOUT_S: Final = 0.5
_CONNECT_TIMEOUT_S: Final = 0.5
_HIGH_WATER_BYTES: Final = 1 << 20
_LIMIT_S: Final = 10.0


class Passage:
    """A port that forwards each connection to one of `targets`.

    If `probe` is a path, targets that are ready are preferred. Established connections are not moved: a replica that is
    no longer ready keeps its connections.
    """

    def __init__(self, targets: list[int], probe: str = "") -> None:
        self.targets = targets
        self.port = 0
        self._probe = probe
        self._ready: set[int] = set()
        self._turn = 0
        self._pairs: set[_Pair] = set()
        self._silent = False
        self._refusing = False
        self._server: asyncio.Server | None = None
        self._probing: asyncio.Task[None] | None = None

    async def open(self, port: int) -> None:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._enter, "127.0.0.1", port, backlog=1024)
        self.port = self._server.sockets[0].getsockname()[1]
        if self._probe:
            self._probing = asyncio.create_task(self._keep_probing())

    async def close(self) -> None:
        if self._probing is not None:
            self._probing.cancel()
            await asyncio.gather(self._probing, return_exceptions=True)
        if self._server is not None:
            self._server.close()
        await self.cut()

    async def cut(self) -> None:
        """Reset all open connections now."""
        for pair in list(self._pairs):
            pair.abort()

    async def silence(self, silent: bool) -> None:
        """Simulate a network partition: delay every byte in both directions, also of new connections, without a reset.
        All bytes arrive when the partition ends, as with TCP retransmissions.
        """
        self._silent = silent
        for pair in list(self._pairs):
            pair.hold(silent)

    async def refuse(self, refusing: bool) -> None:
        """Reset new connections."""
        self._refusing = refusing

    async def add(self, target: int) -> None:
        self.targets = [*self.targets, target]

    async def remove(self, target: int) -> None:
        """Forward no new connections to the target. Established ones stay."""
        self.targets = [one for one in self.targets if one != target]

    def chosen(self) -> list[int]:
        """Return the targets in the order of attempts: round robin, ready ones first."""
        self._turn += 1
        first = self._turn % max(len(self.targets), 1)
        around = self.targets[first:] + self.targets[:first]
        return sorted(around, key=lambda port: bool(self._probe) and port not in self._ready)

    def _enter(self) -> _Near:
        pair = _Pair(self)
        self._pairs.add(pair)
        if self._silent:
            pair.hold(True)
        return pair.near

    @property
    def refusing(self) -> bool:
        return self._refusing

    def forget(self, pair: _Pair) -> None:
        self._pairs.discard(pair)

    async def _keep_probing(self) -> None:
        while True:
            await asyncio.gather(*(self._ask(port) for port in self.targets))
            await asyncio.sleep(PROBE_S)

    async def _ask(self, port: int) -> None:
        try:
            async with asyncio.timeout(_PROBE_TIMEOUT_S):
                ready = await _is_ready(port, self._probe)
        except (OSError, TimeoutError):
            ready = False
        (self._ready.add if ready else self._ready.discard)(port)


async def _is_ready(port: int, path: str) -> bool:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode())
        return b" 200 " in await reader.readline()
    finally:
        writer.transport.abort()


class _Pair:
    """A connection from a client and the matching connection to the target."""

    def __init__(self, passage: Passage) -> None:
        self._passage = passage
        self.near = _Near(self)
        self.far = _End(self)
        self._joined = asyncio.Event()
        self._joining: asyncio.Task[None] | None = None
        self._free = asyncio.Event()
        self._free.set()

    def entered(self) -> None:
        if self._passage.refusing:
            self.abort()
            return
        self._joining = asyncio.create_task(self._join())

    async def _join(self) -> None:
        await self._free.wait()
        loop = asyncio.get_running_loop()
        for port in self._passage.chosen():
            try:
                async with asyncio.timeout(_CONNECT_TIMEOUT_S):
                    await loop.create_connection(lambda: self.far, "127.0.0.1", port)
            except (OSError, TimeoutError):
                continue
            self.far.peer, self.near.peer = self.near, self.far
            self.near.flush()
            if not self._free.is_set():
                self.hold(True)
            return
        self.abort()

    def hold(self, held: bool) -> None:
        (self._free.clear if held else self._free.set)()
        for end in (self.near, self.far):
            end.hold(held)

    def abort(self) -> None:
        if self._joining is not None:
            self._joining.cancel()
        self._passage.forget(self)
        for end in (self.near, self.far):
            if end.transport is not None:
                end.transport.abort()


class _End(asyncio.Protocol):
    """One socket of a pair. It forwards received data to the other socket."""

    def __init__(self, pair: _Pair) -> None:
        self.pair = pair
        self.peer: _End | None = None
        self.transport: asyncio.Transport | None = None
        self._early: list[bytes] = []
        self._held = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        transport.set_write_buffer_limits(high=_HIGH_WATER_BYTES)

    def data_received(self, data: bytes) -> None:
        if self.peer is None or self.peer.transport is None:
            self._early.append(data)
        else:
            self.peer.transport.write(data)

    def flush(self) -> None:
        early, self._early = self._early, []
        for data in early:
            self.data_received(data)

    def hold(self, held: bool) -> None:
        self._held = held
        if self.transport is not None and not self.transport.is_closing():
            (self.transport.pause_reading if held else self.transport.resume_reading)()

    def pause_writing(self) -> None:
        if self.peer is not None and self.peer.transport is not None:
            self.peer.transport.pause_reading()

    def resume_writing(self) -> None:
        if self.peer is not None and self.peer.transport is not None and not self.peer._held:
            self.peer.transport.resume_reading()

    def connection_lost(self, error: Exception | None) -> None:
        """Forward the end of the connection: a reset as a reset, a regular close as a close."""
        peer = self.peer
        if error is not None or peer is None or peer.transport is None:
            self.pair.abort()
        else:
            peer.transport.close()
            self.pair._passage.forget(self.pair)


class _Near(_End):
    """The socket to the client."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.hold(self._held)
        self.pair.entered()


class Network:
    """A thread with its own event loop. `run` runs a coroutine in it and returns the result."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="network", daemon=True)
        self._passages: list[Passage] = []

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        for passage in self._passages:
            self.run(passage.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_LIMIT_S)
        self._loop.close()

    def passage(self, targets: list[int], *, probe: str = "", port: int = 0) -> Passage:
        """Open a passage. With `port` 0, any free port is used."""
        passage = Passage(targets, probe)
        self.run(passage.open(port))
        self._passages.append(passage)
        return passage

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(_LIMIT_S)


@contextmanager
def network(started: Callable[[], Network] = Network) -> Iterator[Network]:
    net = started()
    net.start()
    try:
        yield net
    finally:
        net.stop()
