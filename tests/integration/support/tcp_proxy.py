"""A TCP proxy in front of a server, for network faults: reset connections, lost replies."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class TcpProxy:
    """A proxy that forwards bytes in both directions. `silent`: delay replies of the server until it is unset."""

    def __init__(self, target_port: int) -> None:
        self._target_port = target_port
        self._open: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._replies_to_lose = 0
        self._forwards_replies = asyncio.Event()
        self._forwards_replies.set()
        self.port = 0
        self.refusing = False
        self.lost_replies = 0

    @property
    def silent(self) -> bool:
        return not self._forwards_replies.is_set()

    @silent.setter
    def silent(self, silent: bool) -> None:
        if silent:
            self._forwards_replies.clear()
        else:
            self._forwards_replies.set()

    def cut(self) -> None:
        """Reset every connection."""
        for writer in list(self._open):
            writer.transport.abort()

    def lose_replies(self, count: int = 1) -> None:
        """Forward the next requests to the server, and reset the connection instead of forwarding its replies."""
        self._replies_to_lose = count

    async def close(self) -> None:
        self.cut()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._open.add(writer)
        try:
            if not self.refusing:
                await self._pass_both_ways(reader, writer)
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            writer.transport.abort()
            self._open.discard(writer)
            self._tasks.discard(task)

    async def _pass_both_ways(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        from_server, to_server = await asyncio.open_connection("127.0.0.1", self._target_port)
        requests = asyncio.create_task(self._pass(reader, to_server))
        replies = asyncio.create_task(self._pass_replies(from_server, writer))
        try:
            await asyncio.wait({requests, replies}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            to_server.transport.abort()
            for task in (requests, replies):
                task.cancel()
            await asyncio.gather(requests, replies, return_exceptions=True)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()

    async def _pass_replies(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            await self._forwards_replies.wait()
            if self._replies_to_lose:
                self._replies_to_lose -= 1
                self.lost_replies += 1
                return
            writer.write(data)
            await writer.drain()


@asynccontextmanager
async def tcp_proxy(target_port: int, encrypted: ssl.SSLContext | None = None) -> AsyncIterator[TcpProxy]:
    """Run a proxy on a free port. With `encrypted`, its clients use TLS."""
    proxy = TcpProxy(target_port)
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0, ssl=encrypted)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()
        await proxy.close()
        with contextlib.suppress(OSError):
            await server.wait_closed()
