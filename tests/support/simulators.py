"""Runs the simulators as separate processes."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path

import httpx

from lab.orphans import guard
from lab.ports import free_port
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
    with simulator_process(name, **settings) as port:
        async with control_of(port) as running:
            yield running
