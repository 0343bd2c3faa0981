"""What a WebSocket library costs for one frame of audio: servers that do nothing but send each message back.

Each server is a process of its own; its CPU is measured, not that of the peers that feed it. What our services do with
a frame is no part of this: it is the floor beneath them, by library.
"""

from __future__ import annotations

import argparse
import asyncio
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Final

import psutil
import uvicorn
from picows import WSFrame, WSListener, WSMsgType, WSTransport, WSUpgradeRequest, ws_create_server
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect
from websockets.asyncio.server import ServerConnection, serve

from bench.event_loop import new_event_loop
from bench.table import Cell, Table
from lab.acs.media_socket_client import MediaSocketClient, SocketRefusedError, open_media_socket
from lab.orphans import guard
from lab.ports import free_port

CONNECTIONS: Final = 40
SECONDS: Final = 3.0
_BEAT_S: Final = 0.02
_STEPS: Final = 4
"""The peers send in so many bursts a beat, as independent callers would."""
_MESSAGE: Final = b'{"kind":"AudioData","audioData":{"data":"' + b"A" * 900 + b'"}}'
_START_S: Final = 15.0
_ROOT: Final = Path(__file__).resolve().parents[1]


def measure(repeats: int) -> list[Table]:
    rounds = max(1, min(3, repeats))
    rows: list[list[Cell]] = [[name, min([_cpu_us(name) for _ in range(rounds)])] for name in SERVERS]
    note = (
        f"CPU µs of the server for one message of {len(_MESSAGE)} bytes in and out: {CONNECTIONS} connections, 50 a "
        f"second on each, the best of {rounds} rounds."
    )
    return [Table("WebSocket servers", ["", "µs"], rows, (note,))]


def _cpu_us(name: str) -> float:
    port = free_port()
    process = subprocess.Popen([sys.executable, "-m", "bench.sockets", name, str(port)], cwd=_ROOT)
    guard().watch(process.pid)
    try:
        with asyncio.Runner(loop_factory=new_event_loop) as runner:
            return runner.run(_feed(process.pid, f"ws://127.0.0.1:{port}/"))
    finally:
        process.terminate()
        process.wait()


async def _feed(pid: int, url: str) -> float:
    answered = 0

    def count(_message: bytes, _now: float) -> None:
        nonlocal answered
        answered += 1

    peers = [await _open(url, count) for _ in range(CONNECTIONS)]
    groups = [peers[step::_STEPS] for step in range(_STEPS)]
    before, due, sent = psutil.Process(pid).cpu_times(), time.monotonic(), 0
    for _ in range(int(SECONDS / _BEAT_S)):
        for group in groups:
            for peer in group:
                sent += peer.send_text(_MESSAGE)
            due += _BEAT_S / _STEPS
            await asyncio.sleep(max(0.0, due - time.monotonic()))
    await asyncio.sleep(10 * _BEAT_S)
    after = psutil.Process(pid).cpu_times()
    for peer in peers:
        peer.cut()
    if answered != sent:
        raise RuntimeError(f"{answered} of {sent} messages came back")
    return (after.user + after.system - before.user - before.system) / sent * 1e6


async def _open(url: str, count: Callable[[bytes, float], None]) -> MediaSocketClient:
    """Once the server has started."""
    deadline = time.monotonic() + _START_S
    while True:
        try:
            return await open_media_socket(url, {}, count, lambda _: None, _START_S)
        except SocketRefusedError:
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(0.05)


# -- the servers
async def _starlette(port: int) -> None:
    async def echo(websocket: WebSocket) -> None:
        await websocket.accept()
        try:
            while True:
                await websocket.send_text(await websocket.receive_text())
        except WebSocketDisconnect:
            return

    config = uvicorn.Config(
        Starlette(routes=[WebSocketRoute("/", echo)]),
        port=port,
        ws="websockets-sansio",
        ws_per_message_deflate=False,
        log_level="error",
        timeout_keep_alive=65,
    )
    await uvicorn.Server(config).serve()


async def _websockets(port: int) -> None:
    async def echo(connection: ServerConnection) -> None:
        async for message in connection:
            await connection.send(message)

    async with serve(echo, "127.0.0.1", port, compression=None) as server:
        await server.serve_forever()


async def _picows(port: int) -> None:
    class Echo(WSListener):
        def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
            if frame.msg_type == WSMsgType.TEXT:
                transport.send(WSMsgType.TEXT, frame.get_payload_as_bytes())

    def answer(_request: WSUpgradeRequest) -> WSListener:
        return Echo()

    server = await ws_create_server(answer, "127.0.0.1", port)
    await server.serve_forever()


SERVERS: Final[Mapping[str, Callable[[int], Awaitable[None]]]] = {
    "picows": _picows,
    "websockets": _websockets,
    "starlette-uvicorn": _starlette,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("server", choices=list(SERVERS))
    parser.add_argument("port", type=int)
    chosen = parser.parse_args()

    async def program() -> None:
        await SERVERS[chosen.server](chosen.port)

    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(program())


if __name__ == "__main__":
    main()
