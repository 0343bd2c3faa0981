"""/readyz of all services with a Redis that rejects commands: status, reason and recovery."""

from __future__ import annotations

import pytest

from tests.integration.support.redis_stats import forget_scripts
from tests.integration.support.services import Start, agent_relay, await_readiness, call_control, media_gateway
from tests.support.redis_user import port_of, redis_user

pytestmark = pytest.mark.timeout(60)


@pytest.fixture(params=[call_control, media_gateway, agent_relay], ids=lambda start: start.__name__)
def start(request: pytest.FixtureRequest) -> Start:
    service: Start = request.param
    return service


async def test_a_user_who_may_load_no_script(start: Start, redis_url: str) -> None:
    with redis_user(port_of(redis_url), "~*", "&*", "+@all", "-script|load") as user:
        forget_scripts(user.port)
        async with start(user.url) as address:
            await await_readiness(address, 503, "NOPERM")
            user.set("+script|load")
            await await_readiness(address, 200, "")
            user.set("resetkeys")
            await await_readiness(address, 503, "NOPERM")


async def test_a_password_that_is_refused(start: Start, redis_url: str) -> None:
    with redis_user(port_of(redis_url), "~*", "&*", "+@all") as user:
        async with start(user.url.replace("password", "other")) as address:
            await await_readiness(address, 503, "WRONGPASS")


@pytest.mark.parametrize(("service", "command"), [(call_control, "xreadgroup"), (agent_relay, "zrangebyscore")])
async def test_a_user_who_may_not_do_what_takes_a_call(service: Start, command: str, redis_url: str) -> None:
    with redis_user(port_of(redis_url), "~*", "&*", "+@all", f"-{command}") as user:
        async with service(user.url) as address:
            await await_readiness(address, 503, "Redis rejected ")
            user.set(f"+{command}")
            await await_readiness(address, 200, "")
