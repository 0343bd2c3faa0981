"""Lifecycle of a service: signals, drain, clean-up, exit."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import AsyncIterator, Sequence

import aiohttp
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics_families
from prometheus_client.parser import text_string_to_metric_families as text_families
from pydantic import SecretStr
from starlette.responses import PlainTextResponse
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from bridge_common.observability.telemetry import REGISTRY
from bridge_common.service.background_tasks import BackgroundTasks
from bridge_common.service.lifecycle import LifecycleTiming, RunningService
from bridge_common.service.readiness import Readiness
from bridge_common.service.settings import ServiceSettings
from lab.ports import free_port
from tests.support.eventually import eventually


class Echo:
    """A service with an echoing WebSocket and a drain that the test ends."""

    def __init__(self) -> None:
        self.draining = False
        self.parts = BackgroundTasks()
        self.reason = ""
        self.life: list[str] = []
        self.failing_start = False
        self.slow_start = False
        self.failing_drain = False
        self.drained = asyncio.Event()

    def routes(self) -> Sequence[BaseRoute]:
        return [WebSocketRoute("/ws", self._echo), Route("/hello", lambda _: PlainTextResponse("hello"))]

    async def ready(self) -> Readiness:
        return Readiness(self.reason)

    async def start(self) -> None:
        self.life.append("start")
        if self.failing_start:
            raise RuntimeError("no such thing")
        if self.slow_start:
            await asyncio.Event().wait()

    async def drain(self) -> None:
        self.life.append("drain")
        if self.failing_drain:
            raise RuntimeError("cannot drain")
        await self.drained.wait()
        self.life.append("drained")

    async def stop(self) -> None:
        self.life.append("stop")
        await self.parts.stop()

    async def _echo(self, ws: WebSocket) -> None:
        await ws.accept()
        try:
            while True:
                await ws.send_text(await ws.receive_text())
        except WebSocketDisconnect as closed:
            self.life.append(f"closed {closed.code}")


def settings_of(port: int = 0, drain_timeout_s: float = 20.0) -> ServiceSettings:
    return ServiceSettings(
        redis_url=SecretStr("redis://127.0.0.1:1/0"), host="127.0.0.1", port=port, drain_timeout_s=drain_timeout_s
    )


@pytest.fixture
def echo() -> Echo:
    return Echo()


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.fixture(autouse=True)
async def signals_as_before() -> AsyncIterator[None]:
    yield
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.remove_signal_handler(number)


def url_of(running: RunningService, path: str) -> str:
    return f"http://127.0.0.1:{running.port}{path}"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_drains_while_the_sockets_are_still_open(
    echo: Echo, http: aiohttp.ClientSession, number: signal.Signals
) -> None:
    async with RunningService(echo, settings_of()) as running:
        ending = asyncio.create_task(running.until_exit())
        async with http.ws_connect(url_of(running, "/ws")) as ws:
            await asyncio.sleep(0)
            os.kill(os.getpid(), number)
            await eventually(lambda: "drain" in echo.life)
            await ws.send_str("still there?")
            assert (await ws.receive(timeout=5)).data == "still there?"
            async with http.get(url_of(running, "/readyz")) as reply:
                assert reply.status == 503
            async with http.get(url_of(running, "/metrics")) as reply:
                assert "bridge_draining 1.0" in await reply.text()
            assert not ending.done()
            echo.drained.set()
            await ending
            assert "stop" not in echo.life
            leaving = asyncio.create_task(running.__aexit__())
            assert (await ws.receive(timeout=5)).type is aiohttp.WSMsgType.CLOSE
            assert ws.close_code == 1012
        await leaving
    assert echo.life[:4] == ["start", "drain", "drained", "closed 1012"]


async def test_the_metric_of_readiness_follows_readyz(echo: Echo, http: aiohttp.ClientSession) -> None:
    async with RunningService(echo, settings_of()) as running:

        async def shown(ready: int) -> bool:
            async with http.get(url_of(running, "/metrics")) as reply:
                return f"bridge_ready {ready}.0" in await reply.text()

        await eventually(lambda: shown(1))
        echo.reason = "Redis is away"
        await eventually(lambda: shown(0))
        echo.reason = ""
        await eventually(lambda: shown(1))
        ending = asyncio.create_task(running.until_exit())
        await asyncio.sleep(0)
        os.kill(os.getpid(), signal.SIGTERM)
        await eventually(lambda: shown(0))
        echo.drained.set()
        await ending


async def test_metrics_are_sent_in_the_format_that_the_client_accepts(echo: Echo, http: aiohttp.ClientSession) -> None:
    async with RunningService(echo, settings_of()) as running:
        url = url_of(running, "/metrics")
        accept = {"Accept": "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.4"}
        async with http.get(url, headers=accept) as reply:
            assert reply.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
            found = openmetrics_families(await reply.text())  # type: ignore[no-untyped-call]  # left bare there
            assert len(list(found)) > 10
        async with http.get(url) as reply:
            assert reply.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
            assert len(list(text_families(await reply.text()))) > 10


async def test_a_signal_drains_from_the_moment_the_port_answers(echo: Echo) -> None:
    async with RunningService(echo, settings_of(drain_timeout_s=0.1)) as running:
        os.kill(os.getpid(), signal.SIGINT)
        assert await asyncio.wait_for(running.until_exit(), 5) == 0
    assert echo.life == ["start", "drain", "stop"]


async def test_a_second_signal_ends_the_drain(echo: Echo) -> None:
    async with RunningService(echo, settings_of()) as running:
        ending = asyncio.create_task(running.until_exit())
        await asyncio.sleep(0)
        os.kill(os.getpid(), signal.SIGTERM)
        await eventually(lambda: "drain" in echo.life)
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.wait_for(ending, 5)
    assert echo.life == ["start", "drain", "stop"]


async def test_the_drain_has_a_deadline(echo: Echo) -> None:
    async with RunningService(echo, settings_of(drain_timeout_s=0.1)) as running:
        ending = asyncio.create_task(running.until_exit())
        await asyncio.sleep(0)
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.wait_for(ending, 5)
    assert echo.life == ["start", "drain", "stop"]


async def test_a_drain_that_fails_still_ends_in_order(echo: Echo, caplog: pytest.LogCaptureFixture) -> None:
    echo.failing_drain = True
    async with RunningService(echo, settings_of()) as running:
        ending = asyncio.create_task(running.until_exit())
        await asyncio.sleep(0)
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.wait_for(ending, 5)
    assert echo.life == ["start", "drain", "stop"]
    assert "drain failed" in caplog.messages


async def test_a_drain_that_is_cancelled_leaves_no_task_behind(echo: Echo) -> None:
    async with RunningService(echo, settings_of()) as running:
        ending = asyncio.create_task(running.until_exit())
        await asyncio.sleep(0)
        os.kill(os.getpid(), signal.SIGTERM)
        await eventually(lambda: "drain" in echo.life)
        ending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await ending


async def test_a_dead_part_fails_livez_and_ends_the_process_without_a_drain(
    echo: Echo, http: aiohttp.ClientSession
) -> None:
    async def die() -> None:
        await ripe.wait()
        raise RuntimeError("broken")

    ripe = asyncio.Event()
    async with RunningService(echo, settings_of()) as running:
        echo.parts.start("reader", die())
        ending = asyncio.create_task(running.until_exit())
        async with http.get(url_of(running, "/livez")) as reply:
            assert reply.status == 200
        ripe.set()
        assert await asyncio.wait_for(ending, 10) == 1
        async with http.get(url_of(running, "/livez")) as reply:
            assert reply.status == 503
            assert await reply.json() == {"status": "failed", "reason": "reader has stopped"}
    assert echo.life == ["start", "stop"]


async def test_the_lag_of_the_loop_is_watched_while_the_service_runs(
    echo: Echo,
) -> None:
    before = looks_at_the_lag()
    async with RunningService(echo, settings_of(), timing=LifecycleTiming(lag_period_s=0.01)):
        await eventually(lambda: looks_at_the_lag() > before + 2)


def looks_at_the_lag() -> float:
    return REGISTRY.get_sample_value("bridge_event_loop_lag_seconds_count") or 0.0


async def test_a_start_that_fails_releases_the_port_and_the_service(echo: Echo) -> None:
    echo.failing_start = True
    port = free_port()
    with pytest.raises(RuntimeError, match="no such thing"):
        async with RunningService(echo, settings_of(port)):
            pytest.fail("it started")
    assert echo.life == ["start", "stop"]
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", port))


async def test_a_start_that_takes_too_long_is_given_up(echo: Echo) -> None:
    echo.slow_start = True
    with pytest.raises(TimeoutError):
        async with RunningService(echo, settings_of(), timing=LifecycleTiming(start_s=0.05)):
            pytest.fail("it started")
    assert echo.life == ["start", "stop"]


async def test_a_taken_port_ends_before_the_service_starts(echo: Echo) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(SystemExit, match=r"cannot listen on .*: Address already in use"):
            async with RunningService(echo, settings_of(taken.getsockname()[1])):
                pytest.fail("it started")
    assert echo.life == []


PROCESS = textwrap.dedent(
    """
    import asyncio, sys
    from bridge_common.service.background_tasks import BackgroundTasks
    from bridge_common.service.lifecycle import serve
    from bridge_common.service.readiness import Readiness
    from bridge_common.service.settings import ServiceSettings, load_settings

    class Silent:
        draining = False
        parts = BackgroundTasks()
        def routes(self): return []
        async def ready(self): return Readiness()
        async def start(self): print("started", flush=True)
        async def drain(self): print("draining", flush=True); await asyncio.sleep(0.05)
        async def stop(self): print("stopped", flush=True)

    sys.exit(serve(Silent(), load_settings(ServiceSettings)))
    """
)


def test_a_process_ends_with_code_0_after_a_signal() -> None:
    port = free_port()
    environment = {**os.environ, "REDIS_URL": "redis://127.0.0.1:1/0", "HOST": "127.0.0.1", "PORT": str(port)}
    process = subprocess.Popen([sys.executable, "-c", PROCESS], env=environment, stdout=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                break
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=20)
    assert out.split() == ["started", "draining", "stopped"]
    assert process.returncode == 0


def test_a_process_ends_with_code_1_when_a_part_dies() -> None:
    """The exit code must distinguish a failure from a normal stop."""
    dies = PROCESS.replace('print("started", flush=True)', 'self.parts.start("deaf", asyncio.sleep(0.01))')
    assert dies != PROCESS
    environment = {**os.environ, "REDIS_URL": "redis://127.0.0.1:1/0", "HOST": "127.0.0.1", "PORT": str(free_port())}
    ended = subprocess.run([sys.executable, "-c", dies], env=environment, capture_output=True, timeout=50, check=False)
    assert ended.returncode == 1
