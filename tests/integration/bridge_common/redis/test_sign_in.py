"""Redis over TLS, and Entra tokens as passwords: a simulated identity, a real server that requires a user, renewed and
refused tokens. A proxy terminates TLS in front of the server.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from pydantic import SecretStr
from redis.exceptions import AuthenticationError
from redis.exceptions import ConnectionError as RedisConnectionError

from bridge_common.redis.clients import RedisClients, clients_of, command, open_clients
from bridge_common.redis.credentials import EntraCredentials
from bridge_common.redis.pipeline import RedisPipeline, pack
from bridge_common.service.settings import ServiceSettings
from bridge_common.streams.reader import StreamReader
from bridge_common.streams.writer import StreamWriter
from bridge_common.wire.entries import AudioFrame, Entry
from lab.identity import DEFAULT_HEADER, SYSTEM_ASSIGNED, object_id
from lab.redis_line import ask
from tests.integration.support.certificates import certified
from tests.integration.support.tcp_proxy import tcp_proxy
from tests.support.eventually import eventually
from tests.support.simulators import Simulator, simulator

USER = object_id(SYSTEM_ASSIGNED)


@pytest.fixture
async def tls_url(redis_url: str, tmp_path: Path) -> AsyncIterator[str]:
    """The server behind TLS, as `localhost` with a certificate of its own."""
    encrypted, _ = certified(tmp_path, "localhost")
    async with tcp_proxy(int(redis_url.rsplit(":", 1)[1].split("/")[0]), encrypted) as proxy:
        yield f"rediss://localhost:{proxy.port}/0?ssl_ca_certs={tmp_path / 'certificate.pem'}"


async def test_commands_and_the_pipeline_use_tls(tls_url: str) -> None:
    clients = open_clients(tls_url)
    assert await clients.control.ping()
    replies: list[Any] = []
    wire = await RedisPipeline.open(clients.media, replies.append)
    wire.send(pack("SET", "a", b"x" * 100_000) + pack("GET", "a"), replies=2)
    await eventually(lambda: len(replies) == 2)
    assert replies == [b"OK", b"x" * 100_000]
    wire.abort()
    await clients.aclose()


async def test_a_certificate_of_an_unknown_authority_is_refused(tls_url: str) -> None:
    clients = open_clients(tls_url.partition("?")[0])
    with pytest.raises(RedisConnectionError, match=r"(?i)certificate"):
        await clients.media.ping()
    await clients.aclose()


async def test_a_certificate_of_another_host_is_refused(tls_url: str) -> None:
    clients = open_clients(tls_url.replace("localhost", "127.0.0.1"))
    with pytest.raises(RedisConnectionError, match=r"(?i)certificate"):
        await clients.media.ping()
    await clients.aclose()


class Guard:
    """Access control as in Azure: a token is the password of the user in it, as long as Redis admits it."""

    def __init__(self, port: int) -> None:
        self._port = port

    def admit(self, token: str) -> None:
        ask(self._port, "ACL", "SETUSER", USER, "reset", "on", f">{token}", "~*", "&*", "+@all")

    def admit_any(self) -> None:
        ask(self._port, "ACL", "SETUSER", USER, "reset", "on", "nopass", "~*", "&*", "+@all")

    def refuse_all(self) -> None:
        ask(self._port, "ACL", "SETUSER", USER, "resetpass")

    def end_connections(self) -> None:
        ask(self._port, "CLIENT", "KILL", "USER", USER)

    def dismiss(self) -> None:
        ask(self._port, "ACL", "DELUSER", USER)


@pytest.fixture
async def guard(redis_url: str) -> AsyncIterator[Guard]:
    guard = Guard(int(redis_url.rsplit(":", 1)[1].split("/")[0]))
    guard.refuse_all()
    yield guard
    guard.dismiss()


@pytest.fixture
async def identity(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Simulator]:
    async with simulator("identity") as running:
        monkeypatch.setenv("IDENTITY_ENDPOINT", f"{running.url}/msi/token")
        monkeypatch.setenv("IDENTITY_HEADER", DEFAULT_HEADER)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
        yield running


Known: TypeAlias = tuple[RedisClients, EntraCredentials]


@pytest.fixture
async def known(redis_url: str, identity: Simulator, guard: Guard) -> AsyncIterator[Known]:
    """Clients as a service opens them from its settings. The server admits their first token."""
    clients = clients_of(ServiceSettings(redis_url=SecretStr(redis_url), redis_entra=True, port=0))
    assert isinstance(clients.credentials, EntraCredentials)
    _, token = await clients.credentials.get()
    guard.admit(token)
    yield clients, clients.credentials
    await clients.aclose()


async def test_the_user_is_the_object_id_in_the_token(known: Known, identity: Simulator) -> None:
    clients, _ = known
    assert await command(clients.control, "ACL", "WHOAMI") == USER.encode()
    counts: Any = (await identity.get("/lab/tokens"))["minted"]
    assert [count["resource"] for count in counts] == ["https://redis.azure.com"]


async def test_connections_that_redis_closed_open_again_with_the_new_token(known: Known, guard: Guard) -> None:
    """Close the connections, as Azure does when their token has expired."""
    clients, credentials = known
    await clients.control.ping()
    wire = await RedisPipeline.open(clients.media, print)
    guard.admit(await credentials.renew())
    guard.end_connections()
    await eventually(lambda: not wire.is_open)
    assert await command(clients.control, "ACL", "WHOAMI") == USER.encode()


async def test_open_connections_get_the_new_token_before_the_old_one_expires(known: Known, redis_url: str) -> None:
    clients, credentials = known
    port = int(redis_url.rsplit(":", 1)[1].split("/")[0])
    before = await clients.control.client_id()
    wire = await RedisPipeline.open(clients.media, print)
    lost = asyncio.create_task(wire.until_lost(5))
    first, renewed = credentials.token, await credentials.renew()
    ask(port, "ACL", "SETUSER", USER, f">{renewed}")
    assert await asyncio.wait_for(lost, 5) == "the token was renewed"
    ask(port, "ACL", "SETUSER", USER, f"<{first}")
    after = await clients.control.client_id()
    assert after != before, "a pooled connection opens again before its next command"
    assert await clients.control.client_id() == after, "once"
    wire = await RedisPipeline.open(clients.media, print)
    assert wire.is_open
    wire.abort()


async def test_a_stream_loses_nothing_when_the_token_is_renewed(known: Known, redis_url: str) -> None:
    clients, credentials = known
    port = int(redis_url.rsplit(":", 1)[1].split("/")[0])
    await clients.control.xadd("stream", {"e": b""}, id="0-1")
    heard: list[Entry] = []
    reader, writer = StreamReader(clients.blocking), StreamWriter(clients.media)
    reader.add("stream", "0-1", lambda _, entry: heard.append(entry))
    outlet = writer.outlet("stream", 1, lambda: pytest.fail("the stream is ours"))
    working = [asyncio.create_task(reader.run()), asyncio.create_task(writer.run())]
    for number in range(60):
        outlet.append(AudioFrame(b"%d" % number))
        if number in (20, 40):
            ask(port, "ACL", "SETUSER", USER, f">{await credentials.renew()}")
        await asyncio.sleep(0.02)
    await eventually(lambda: len(heard) >= 60)
    assert heard == [AudioFrame(b"%d" % number) for number in range(60)]
    for task in working:
        task.cancel()
    await asyncio.gather(*working, return_exceptions=True)


async def test_a_token_that_is_refused_is_replaced(known: Known, guard: Guard) -> None:
    clients, credentials = known
    await clients.control.ping()
    first = credentials.token
    guard.refuse_all()
    await clients.control.connection_pool.disconnect()
    with pytest.raises(AuthenticationError):
        await RedisPipeline.open(clients.media, print)
    with pytest.raises(AuthenticationError):
        await RedisPipeline.open(clients.media, print)
    assert credentials.token != first
    guard.admit(credentials.token)
    assert await clients.control.ping()


async def test_a_canceled_authentication_leaves_no_connection_behind(
    redis_url: str, identity: Simulator, guard: Guard
) -> None:
    """A connection that is left open without HELLO answers in RESP2: HGETALL returns a list then."""
    guard.admit_any()
    await identity.put("/lab/faults", {"delay_s": 0.4})
    clients = clients_of(ServiceSettings(redis_url=SecretStr(redis_url), redis_entra=True, port=0))
    for client in (clients.control, clients.blocking):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await client.ping()
    wire = asyncio.create_task(RedisPipeline.open(clients.media, print))
    await asyncio.sleep(0.05)
    wire.cancel()
    await asyncio.gather(wire, return_exceptions=True)
    await clients.control.hset("hash", "field", "1")
    for client in (clients.control, clients.blocking):
        assert await client.hgetall("hash") == {b"field": b"1"}
    await clients.aclose()


async def test_a_connection_authenticates_with_hello_alone(known: Known, redis_url: str) -> None:
    """The user therefore needs no permission for AUTH."""
    clients, credentials = known
    port = int(redis_url.rsplit(":", 1)[1].split("/")[0])
    ask(port, "CONFIG", "RESETSTAT")
    await clients.warm_up()
    ask(port, "ACL", "SETUSER", USER, f">{await credentials.renew()}")
    await clients.control.ping()
    assert not re.search(r"cmdstat_auth:", str(ask(port, "INFO", "commandstats")))


async def test_a_token_that_is_renewed_during_the_handshake_makes_the_connection_outdated(
    known: Known, monkeypatch: pytest.MonkeyPatch, redis_url: str
) -> None:
    clients, _ = known
    port = int(redis_url.rsplit(":", 1)[1].split("/")[0])
    get = EntraCredentials.get

    async def get_and_renew(self: EntraCredentials) -> tuple[str, str]:
        sent = await get(self)
        ask(port, "ACL", "SETUSER", USER, f">{await self.renew()}")
        return sent

    monkeypatch.setattr(EntraCredentials, "get", get_and_renew)
    wire = await RedisPipeline.open(clients.media, print)
    async with asyncio.timeout(5):
        assert await wire.until_lost(5) == "the token was renewed"


async def test_a_renewed_token_that_is_refused_is_replaced(known: Known, guard: Guard, redis_url: str) -> None:
    clients, credentials = known
    port = int(redis_url.rsplit(":", 1)[1].split("/")[0])
    await clients.media.ping()
    refused = await credentials.renew()
    with pytest.raises(AuthenticationError):
        await clients.media.ping()
    with pytest.raises(AuthenticationError):
        await clients.media.ping()
    assert credentials.token != refused
    ask(port, "ACL", "SETUSER", USER, f">{credentials.token}")
    assert await clients.media.ping()


async def test_without_a_token_commands_fail_at_once(redis_url: str, identity: Simulator, guard: Guard) -> None:
    await identity.put("/lab/faults", {"status": 400})
    clients = clients_of(ServiceSettings(redis_url=SecretStr(redis_url), redis_entra=True, port=0))
    with pytest.raises(RedisConnectionError, match=r"no token for https://redis\.azure\.com"):
        await clients.media.ping()
    await clients.aclose()
