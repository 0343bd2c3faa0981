"""/readyz of all services with a Redis that rejects commands or does not answer."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from subprocess import Popen

import pytest

from lab.ports import free_port
from lab.redis_server import start_server
from tests.integration.support.redis_stats import forget_scripts
from tests.integration.support.services import Start, agent_relay, await_readiness, call_control, media_gateway
from tests.support.redis_user import port_of, redis_user

pytestmark = pytest.mark.timeout(60)


@pytest.fixture(params=[call_control, media_gateway, agent_relay], ids=lambda start: start.__name__)
def start(request: pytest.FixtureRequest) -> Start:
    service: Start = request.param
    return service


@pytest.fixture
def server() -> Iterator[tuple[Popen[bytes], str]]:
    port = free_port()
    server = start_server(port)
    yield server, f"redis://127.0.0.1:{port}/0"
    server.kill()
    server.wait()


def statuses(seen: list[tuple[int, str]]) -> set[int]:
    return {status for status, _ in seen}


async def test_a_user_who_may_load_no_script(start: Start, redis_url: str) -> None:
    with redis_user(port_of(redis_url), "~*", "&*", "+@all", "-script|load") as user:
        forget_scripts(user.port)
        async with start(user.url) as address:
            assert statuses(await await_readiness(address, 503, "NOPERM")) == {503}, "it was never ready"
            user.set("+script|load")
            await await_readiness(address, 200)
            user.set("resetkeys")
            seen = await await_readiness(address, 503, "NOPERM")
            assert any(status == 200 and "NOPERM" in limit for status, limit in seen), "it is degraded at first"


async def test_a_password_that_is_refused(start: Start, redis_url: str) -> None:
    with redis_user(port_of(redis_url), "~*", "&*", "+@all") as user:
        async with start(user.url.replace("password", "other")) as address:
            assert statuses(await await_readiness(address, 503, "WRONGPASS")) == {503}


@pytest.mark.parametrize(("service", "command"), [(call_control, "xreadgroup"), (agent_relay, "zrangebyscore")])
async def test_a_user_who_may_not_do_what_takes_a_call(service: Start, command: str, redis_url: str) -> None:
    """The heartbeat is stored, but the process would take no call: a roll-out with this user must not continue."""
    with redis_user(port_of(redis_url), "~*", "&*", "+@all", f"-{command}") as user:
        async with service(user.url) as address:
            assert statuses(await await_readiness(address, 503, "Redis rejected ")) == {503}
            user.set(f"+{command}")
            await await_readiness(address, 200)
            user.set(f"-{command}")
            seen = await await_readiness(address, 503, "Redis rejected ")
            assert any(status == 200 and "Redis rejected " in limit for status, limit in seen)


async def test_a_failover_changes_no_readiness_and_a_long_outage_does(
    start: Start, server: tuple[Popen[bytes], str]
) -> None:
    redis, url = server
    async with start(url) as address:
        await await_readiness(address, 200)
        redis.send_signal(signal.SIGSTOP)
        try:
            assert statuses(await await_readiness(address, 200, "Redis")) == {200}, "the process is degraded, and ready"
            await await_readiness(address, 503, "Redis")
        finally:
            redis.send_signal(signal.SIGCONT)
        await await_readiness(address, 200)
