"""docs/redis.md: users of sentinels, and a password that is replaced while a service is running."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import aclosing, suppress
from functools import partial

import pytest
from redis.exceptions import AuthenticationError, RedisError

from bridge_common.redis.clients import RedisClients, open_clients
from bridge_common.streams.reader import StreamReader
from bridge_common.streams.writer import StreamWriter
from bridge_common.wire.entries import Dtmf
from lab.redis_group import RedisGroup, redis_group
from lab.redis_line import ask
from tests.integration.support.stream_peers import Fences, Listener, make_stream, running, tones
from tests.support.eventually import eventually
from tests.support.redis_docs import make_user
from tests.support.redis_user import NAME, PASSWORD, port_of, redis_user

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def group(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisGroup]:
    with redis_group(tmp_path_factory.mktemp("redis")) as group:
        yield group


async def test_a_user_of_sentinels_follows_a_failover(group: RedisGroup) -> None:
    for port in group.sentinel_ports:
        user = make_user(port, "Sentinels", password=PASSWORD)
        ask(port, "ACL", "LOG", "RESET")
    async with aclosing(open_clients(f"{group.url}?sentinel_username={user}&sentinel_password={PASSWORD}")) as clients:
        await clients.control.ping()
        await asyncio.to_thread(group.fail_over)

        async def written() -> bool:
            with suppress(RedisError):
                await clients.control.set("key", "1")
                return bool(ask(group.primary(), "EXISTS", "key"))
            return False

        await eventually(written)
    assert [ask(port, "ACL", "LOG") for port in group.sentinel_ports] == [[], [], []]


async def test_a_password_is_replaced_while_a_stream_is_read_and_written(clients: RedisClients, redis_url: str) -> None:
    with redis_user(port_of(redis_url), "~*", "&*", "+@all") as user:
        old, new = user.url, user.url.replace(PASSWORD, "new-password")
        async with aclosing(open_clients(old)) as before, aclosing(open_clients(new)) as after:
            key = await make_stream(clients.control)
            reader, writer, listener = StreamReader(before.blocking), StreamWriter(before.media), Listener()
            reader.add(key, "0-1", listener.sink(key))
            outlet = Fences().outlet(writer, key, 1)
            async with running(reader), running(writer):
                outlet.append(Dtmf("0"))
                await eventually(partial(listener.has, key, 1))
                with pytest.raises(AuthenticationError):
                    await after.media.ping()
                user.set(">new-password")
                assert await after.media.ping(), "a new pod"
                await before.media.ping()
                await before.media.connection_pool.disconnect()
                assert await before.media.ping(), "an old one connects again"
                user.set(f"<{PASSWORD}")
                outlet.append(Dtmf("1"))
                await eventually(partial(listener.has, key, 2))
                assert await before.media.ping(), "connections that are open stay open"
            with pytest.raises(AuthenticationError):
                await open_clients(old).media.ping()
        assert listener.heard[key] == tones(2)
        assert NAME in user.url
