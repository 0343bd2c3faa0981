"""Runs simulators with real sockets: one process for many tests, or a thread for the settings of one test."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from pathlib import Path
from threading import Thread
from typing import Final

import httpx
import uvicorn

from lab.identity import IdentitySettings
from lab.identity import server_config as identity_config
from lab.orphans import guard
from lab.ports import free_port
from lab.voice_live.app import server_config as voice_live_config
from lab.voice_live.settings import VoiceLiveSettings
from tests.support.eventually import eventually


class Simulator:
    """A simulator process and its control API."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        self.http = httpx.AsyncClient(base_url=self.url, timeout=5, trust_env=False)

    async def get(self, path: str) -> dict[str, object]:
        answer = (await self.http.get(path)).raise_for_status().json()
        assert isinstance(answer, dict)
        return answer

    async def put(self, path: str, body: Mapping[str, object]) -> None:
        (await self.http.put(path, json=body)).raise_for_status()

    async def post(self, path: str, body: Mapping[str, object] | None = None) -> None:
        (await self.http.post(path, json=body or {})).raise_for_status()

    async def alive(self) -> bool:
        with contextlib.suppress(httpx.TransportError):
            return (await self.http.get("/healthz")).status_code == 200
        return False


@contextlib.contextmanager
def simulator_process(name: str, **settings: str) -> Iterator[int]:
    """Start a simulator. Yields its port, on which it may not listen yet."""
    port = free_port()
    environment = {**os.environ, "PORT": str(port), "HOST": "127.0.0.1", **settings}
    process = subprocess.Popen(
        [Path(sys.executable).with_name("lab"), name],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    guard().watch(process.pid)
    try:
        yield port
    finally:
        process.terminate()
        process.wait()


@contextlib.asynccontextmanager
async def control_of(port: int) -> AsyncIterator[Simulator]:
    """Return the client of a simulator's control API when it responds."""
    running = Simulator(port)
    try:
        await eventually(running.alive, within_s=15, what="the simulator answers")
        yield running
    finally:
        await running.http.aclose()


@contextlib.asynccontextmanager
async def simulator(name: str, **settings: str) -> AsyncIterator[Simulator]:
    """A simulator of its own with these settings, in a thread: a new process would import for half a second of CPU."""
    port = free_port()
    server = uvicorn.Server(_CONFIGS[name]({**settings, "PORT": str(port)}))
    thread = Thread(target=server.run, name=name)
    thread.start()
    try:
        async with control_of(port) as running:
            yield running
    finally:
        server.should_exit = True
        await asyncio.to_thread(thread.join)


_CONFIGS: Final[Mapping[str, Callable[[Mapping[str, str]], uvicorn.Config]]] = {
    "voice-live": lambda environment: voice_live_config(VoiceLiveSettings.from_env(environment)),
    "identity": lambda environment: identity_config(IdentitySettings.from_env(environment)),
}
