"""A Redis server that announces maintenance to clients that request it, as Redis Software does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.integration.support.tcp_proxy import TcpProxy

_REQUEST = b"MAINT_NOTIFICATIONS"
_ACCEPTED_BY_ECHO = b"*2\r\n$4\r\nECHO\r\n$2\r\nOK\r\n"
"""Command that is forwarded instead, because the real server does not know MAINT_NOTIFICATIONS. Its reply is `OK`, too.
"""
_TTL_S = 8


class MovingRedis(TcpProxy):
    """A proxy that announces maintenance. `asked`: number of connections that requested maintenance notifications."""

    def __init__(self, target_port: int) -> None:
        super().__init__(target_port)
        self.asked = 0

    def announce_move(self, to: str) -> None:
        """Push MOVING to every connection. The old address continues to answer, as it does during maintenance."""
        push = b">4\r\n$6\r\nMOVING\r\n:1\r\n:%d\r\n$%d\r\n%b\r\n" % (_TTL_S, len(to), to.encode())
        for writer in self._open:
            writer.write(push)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            if _REQUEST in data:
                self.asked += 1
                data = _ACCEPTED_BY_ECHO
            writer.write(data)
            await writer.drain()


@asynccontextmanager
async def moving_redis(target_port: int) -> AsyncIterator[MovingRedis]:
    proxy = MovingRedis(target_port)
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()
        await proxy.close()
        await server.wait_closed()
