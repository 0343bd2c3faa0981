"""Runs an ASGI application of the simulators on a real socket with a free port."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import uvicorn

from lab.simulator import KEEP_ALIVE_S


async def no_server(_: uvicorn.Server) -> None:
    """Test double for `uvicorn.Server.serve` that returns immediately."""


@asynccontextmanager
async def running(config: uvicorn.Config) -> AsyncIterator[str]:
    """Serve `config` (with port 0). Yields `host:port`."""
    config.timeout_keep_alive = KEEP_ALIVE_S
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())
    try:
        while not server.started:
            if serving.done():
                await serving
                raise RuntimeError("the server stopped before it was ready")
            await asyncio.sleep(0.005)
        host, port = server.servers[0].sockets[0].getsockname()[:2]
        yield f"{host}:{port}"
    finally:
        server.should_exit = True
        await serving
