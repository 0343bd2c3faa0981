"""Redis over TLS, and Entra tokens for passwords: the simulated identity, a real server that demands a user, tokens
that are renewed and refused. The server has no TLS of its own: a proxy in front of it ends the encryption.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from pydantic import SecretStr
from redis.asyncio.connection import SSLConnection
from redis.exceptions import AuthenticationError
from redis.exceptions import ConnectionError as RedisConnectionError

from bridge_common.redis.clients import RedisClients, clients_of, command, open_clients
from bridge_common.redis.connections import OwnConnection
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


async def test_commands_and_the_lean_connection_go_through_tls(tls_url: str) -> None:
    clients = open_clients(tls_url)
    assert await clients.control.ping()
    replies: list[Any] = []
    wire = await RedisPipeline.open(clients.media, replies.append)
    assert isinstance(wire._connection, SSLConnection)
    wire.send(pack("SET", "a", b"x" * 100_000) + pack("GET", "a"), replies=2)
    await eventually(lambda: len(replies) == 2)
    assert replies == [b"OK", b"x" * 100_000]
    wire.abort()
    await clients.aclose()


async def test_a_certificate_that_nobody_vouches_for_is_refused(tls_url: str) -> None:
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
    """Redis as Azure has it: a token is the password of the user that it names, and only as long as it is admitted."""

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
    """Clients as a service makes them from its settings, whose first token the server admits."""
    clients = clients_of(ServiceSettings(redis_url=SecretStr(redis_url), redis_entra=True, port=0))
    assert isinstance(clients.credentials, EntraCredentials)
    _, token = await clients.credentials.get_credentials_async()
    guard.admit(token)
    yield clients, clients.credentials
    await clients.aclose()


async def another(credentials: EntraCredentials) -> str:
    """The token as it is when its time has come."""
    return await credentials._tokens.fresh("redis", credentials.token)


async def test_a_process_is_the_user_that_its_token_names(known: Known, identity: Simulator) -> None:
    clients, _ = known
    assert await command(clients.control, "ACL", "WHOAMI") == USER.encode()
    counts: Any = (await identity.get("/lab/tokens"))["minted"]
    assert [count["resource"] for count in counts] == ["https://redis.azure.com"]


async def test_connections_that_ended_with_their_token_come_back_with_the_new_one(known: Known, guard: Guard) -> None:
    """As Azure ends them when a token has run out that nobody replaced."""
    clients, credentials = known
    await clients.control.ping()
    wire = await RedisPipeline.open(clients.media, print)
    guard.admit(await another(credentials))
    guard.end_connections()
    await eventually(lambda: not wire.is_open)
    assert await command(clients.control, "ACL", "WHOAMI") == USER.encode()


async def test_connections_that_stand_are_signed_in_anew_before_the_old_token_runs_out(
    known: Known, redis_url: str
) -> None:
    clients, credentials = known
    port = int(redis_url.rsplit(":", 1)[1].split("/")[0])
    await clients.control.ping()
    (pooled,) = clients.control.connection_pool._available_connections
    writer = pooled._writer
    wire = await RedisPipeline.open(clients.media, print)
    lost = asyncio.create_task(wire.until_lost(5))
    renewed = await another(credentials)
    ask(port, "ACL", "SETUSER", USER, f">{renewed}")
    assert await asyncio.wait_for(lost, 5) == "the token was renewed"
    assert await clients.control.ping()
    assert pooled._writer is writer, "a pooled connection stays and signs in again"
    assert isinstance(pooled, OwnConnection)
    assert not pooled.outdated
    wire = await RedisPipeline.open(clients.media, print)
    assert wire._connection is not None
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
            ask(port, "ACL", "SETUSER", USER, f">{await another(credentials)}")
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


async def test_a_sign_in_that_is_given_up_leaves_no_connection_behind(
    redis_url: str, identity: Simulator, guard: Guard
) -> None:
    """One that is left open without HELLO answers in RESP2 as soon as there is a token: HGETALL is a list then."""
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


def auth_calls(port: int) -> int:
    """AUTH commands since the statistics were reset."""
    found = re.search(r"cmdstat_auth:calls=(\d+)", str(ask(port, "INFO", "commandstats")))
    return int(found[1]) if found else 0


async def test_a_new_connection_signs_in_once(known: Known, redis_url: str) -> None:
    clients, credentials = known
    port = int(redis_url.rsplit(":", 1)[1].split("/")[0])
    ask(port, "CONFIG", "RESETSTAT")
    await clients.warm_up()
    assert auth_calls(port) == 0, "HELLO does it"
    ask(port, "ACL", "SETUSER", USER, f">{await another(credentials)}")
    await clients.control.ping()
    assert auth_calls(port) == 1, "with the next token"


async def test_a_token_that_is_renewed_during_the_handshake_is_not_taken_for_the_one_that_was_sent(
    known: Known, monkeypatch: pytest.MonkeyPatch, redis_url: str
) -> None:
    clients, _ = known
    port = int(redis_url.rsplit(":", 1)[1].split("/")[0])
    ask_for = EntraCredentials.get_credentials_async

    async def ask_and_renew(self: EntraCredentials) -> tuple[str, str]:
        sent = await ask_for(self)
        ask(port, "ACL", "SETUSER", USER, f">{await another(self)}")
        return sent

    monkeypatch.setattr(EntraCredentials, "get_credentials_async", ask_and_renew)
    wire = await RedisPipeline.open(clients.media, print)
    assert isinstance(wire._connection, OwnConnection)
    assert wire._connection.outdated, "it has to sign in again before its token runs out"
    wire.abort()


async def test_a_renewed_token_that_is_refused_is_replaced(known: Known, guard: Guard, redis_url: str) -> None:
    clients, credentials = known
    port = int(redis_url.rsplit(":", 1)[1].split("/")[0])
    await clients.media.ping()
    refused = await another(credentials)
    with pytest.raises(AuthenticationError):
        await clients.media.ping()
    with pytest.raises(AuthenticationError):
        await clients.media.ping()
    assert credentials.token != refused
    ask(port, "ACL", "SETUSER", USER, f">{credentials.token}")
    assert await clients.media.ping()


async def test_without_an_identity_there_is_no_redis_and_no_hang(
    redis_url: str, identity: Simulator, guard: Guard
) -> None:
    await identity.put("/lab/faults", {"status": 400})
    clients = clients_of(ServiceSettings(redis_url=SecretStr(redis_url), redis_entra=True, port=0))
    with pytest.raises(RedisConnectionError, match=r"no token for https://redis\.azure\.com"):
        await clients.media.ping()
    await clients.aclose()
