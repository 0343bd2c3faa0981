"""The console script: a process with an environment, signals and an exit code."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from bridge_common.redis.clients import RedisClients
from bridge_common.wire.call_record import Status
from bridge_common.wire.keys import FLEET, INBOX_GROUP
from lab.ports import free_port
from tests.integration.support.redis_stats import forget_scripts, unknown_scripts
from tests.support.eventually import eventually
from tests.support.scripted_acs import ScriptedAcs, Twist
from tests.support.switchboard import PhoneCall, Switchboard, environment, switchboard

COMMAND = Path(sys.executable).with_name("call-control")


@asynccontextmanager
async def process(variables: dict[str, str]) -> AsyncIterator[Process]:
    keep = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    started = await asyncio.create_subprocess_exec(COMMAND, env=keep | variables, stdout=PIPE, stderr=PIPE)
    try:
        yield started
    finally:
        with contextlib.suppress(ProcessLookupError):
            started.kill()
        await started.communicate()


@asynccontextmanager
async def ready(variables: dict[str, str]) -> AsyncIterator[tuple[Process, httpx.AsyncClient]]:
    port = free_port()
    async with (
        process(variables | {"PORT": str(port)}) as started,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as http,
    ):

        async def is_ready() -> bool:
            with contextlib.suppress(httpx.TransportError):
                return (await http.get("/readyz")).status_code == 200
            return False

        await eventually(is_ready, within_s=20)
        yield started, http


async def test_no_call_waits_for_a_script_to_be_loaded(redis_url: str, clients: RedisClients, acs: ScriptedAcs) -> None:
    port = urlsplit(redis_url).port
    assert port is not None
    forget_scripts(port)
    async with switchboard(redis_url, clients, acs) as board:
        call = PhoneCall()
        connection_id = await board.connect(call)
        await board.call_back(call, call.callback("CallDisconnected", connection_id))
        await board.reaches(call, Status.ENDED)
        await eventually(board.idle)
    assert unknown_scripts(port) == 0


async def test_missing_settings_exit_2_and_are_all_named() -> None:
    async with process({}) as started:
        _, said = await started.communicate()
    assert started.returncode == 2
    for name in ("REDIS_URL", "BASE_URL", "MEDIA_TOKEN_KEYS", "ACS_CONNECTION_STRING", "ACS_JWT_AUDIENCE"):
        assert name in said.decode()


async def test_no_secret_is_in_the_log(acs: ScriptedAcs) -> None:
    """No secret is logged, even at DEBUG, without Redis, and with requests that contain the secrets."""
    secrets = {
        "MEDIA_TOKEN_KEYS": "hidden-key-of-media-tokens",
        "EVENT_GRID_SECRETS": "hidden-secret-of-the-webhook",
        "API_KEYS": "hidden-key-of-operators",
        "LOG_PHONE_KEY": "hidden-key-of-phone-numbers",
        "ROUTING_KEY": "hidden-key-of-shares-of-calls",
    }
    port = free_port()
    url = "redis://user:hidden-password@127.0.0.1:1/0"
    variables = environment(url, acs, LOG_LEVEL="DEBUG", PORT=str(port), **secrets)
    call, http_url = PhoneCall(), f"http://127.0.0.1:{port}"
    async with process(variables) as started, httpx.AsyncClient(base_url=http_url, trust_env=False) as http:

        async def answers() -> bool:
            with contextlib.suppress(httpx.TransportError):
                return (await http.get("/livez")).status_code == 200
            return False

        await eventually(answers, within_s=20)
        for code in ("hidden-secret-of-the-webhook", "hidden-wrong-secret"):
            await http.post("/api/incomingCall", json=[call.incoming()], params={"code": code})
        for key in ("hidden-key-of-operators", "hidden-wrong-key-of-operators"):
            await http.get("/api/calls", headers={"X-Api-Key": key})
        started.terminate()
        _, log = await asyncio.wait_for(started.communicate(), 30)
    text = log.decode()
    assert '"status": 503' in text, "the requests are in the log"
    assert "hidden" not in text
    assert acs.connection_string.partition("accesskey=")[2] not in text


async def test_it_stops_on_sigterm_and_leaves_the_fleet(
    redis_url: str, clients: RedisClients, acs: ScriptedAcs
) -> None:
    async with ready(environment(redis_url, acs)) as (started, http):
        assert "bridge_active_calls" in (await http.get("/metrics")).text
        started.send_signal(signal.SIGTERM)
        _, said = await asyncio.wait_for(started.communicate(), 10)
    assert started.returncode == 0
    lines = [json.loads(line) for line in said.decode().splitlines()]
    assert [line["message"] for line in lines][-2:] == ["draining", "stopped"]
    assert await clients.control.hgetall(FLEET) == {}


async def test_the_replica_that_answers_is_killed(redis_url: str, clients: RedisClients, acs: ScriptedAcs) -> None:
    """One of two processes is killed during its answer request. The other repeats it with the same request id."""
    variables = environment(redis_url, acs, ANSWER_WHEN="at_once")
    acs.script("answer", Twist(delay_s=2))
    async with ready(variables) as (one, http), ready(variables) as (two, _):
        board = Switchboard(acs, clients, http)
        call = PhoneCall()
        await board.ring(call)
        await eventually(lambda: len(acs.of("answer")) == 1)
        pending = await clients.control.xpending_range(
            board.keys.inbox(board.keys.tag(call.call_id)), INBOX_GROUP, "-", "+", 10
        )
        [consumer] = {row["consumer"] for row in pending}
        assert isinstance(consumer, bytes)
        victim = one if int(consumer.rsplit(b"-", 2)[1]) == one.pid else two
        victim.kill()
        await eventually(lambda: len(acs.of("answer")) == 2, within_s=4)
        connection_id = await board.answered(call)
    assert connection_id == acs.connections[call.context]
    assert acs.done["answer"] == 1
    assert len({asked.request_id for asked in acs.of("answer")}) == 1
