"""The name for which the certificate of an announced server is checked. One rule for clusters and sentinels: an
announced name as it is, an announced address for the host of REDIS_URL. Proxies terminate TLS in front of the server.
"""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, aclosing
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError

from bridge_common.redis.clients import RedisLimits, open_client, open_clients
from bridge_common.redis.endpoint import SentinelEndpoint
from lab.ports import free_port
from lab.redis_line import ask, becomes_true
from lab.redis_server import start_server
from tests.integration.support.certificates import certified
from tests.integration.support.tcp_proxy import tcp_proxy
from tests.support.redis_user import port_of

URL_HOST = "redis.test"
NODE = "node-1.test"
ADDRESS = "127.0.0.1"
CASES = [
    pytest.param(URL_HOST, NODE, NODE, "", id="an announced name is checked"),
    pytest.param(URL_HOST, NODE, URL_HOST, NODE, id="and not the host of the URL"),
    pytest.param(URL_HOST, ADDRESS, URL_HOST, "", id="an announced address: the host of the URL is checked"),
    pytest.param(URL_HOST, ADDRESS, NODE, URL_HOST, id="and no other name"),
    pytest.param(ADDRESS, ADDRESS, ADDRESS, "", id="without any name: the address"),
    pytest.param(ADDRESS, ADDRESS, NODE, ADDRESS, id="and no other certificate"),
]
"""Host of REDIS_URL, announced host, name in the node's certificate, name that the check misses in it."""


@pytest.fixture(autouse=True)
def names(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both hosts are this machine."""
    resolve = socket.getaddrinfo

    def of_this_machine(host: Any, *args: Any, **kwargs: Any) -> Any:
        return resolve(ADDRESS if host in (URL_HOST, NODE) else host, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", of_this_machine)


@pytest.fixture
async def tls() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as proxies:
        yield proxies


async def encrypted(proxies: AsyncExitStack, target: int, folder: Path, name: str) -> int:
    """The port of a proxy with a certificate for `name`."""
    folder /= name
    folder.mkdir(exist_ok=True)
    server, _ = certified(folder, name)
    return (await proxies.enter_async_context(tcp_proxy(target, server))).port


def trusted(folder: Path) -> str:
    """The option of REDIS_URL that trusts all of these certificates."""
    together = folder / "ca.pem"
    together.write_bytes(b"".join(one.read_bytes() for one in folder.glob("*/certificate.pem")))
    return f"?ssl_ca_certs={together}"


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[int]:
    """The only server of a cluster."""
    port = free_port()
    cluster = ("--cluster-enabled", "yes", "--cluster-config-file", str(tmp_path / "nodes.conf"))
    process = start_server(port, *cluster, "--cluster-port", str(free_port()))
    ask(port, "CLUSTER", "ADDSLOTSRANGE", 0, 16383)
    assert becomes_true(lambda: "cluster_state:ok" in ask(port, "CLUSTER", "INFO"), 10)
    yield port
    process.kill()
    process.wait()


async def use(client: Redis, missed: str) -> None:
    if not missed:
        assert await client.set("key", "1")
        return
    with pytest.raises(RedisConnectionError, match=rf"(?i)certificate is not valid for '{missed}'"):
        await client.set("key", "1")


@pytest.mark.parametrize(("url_host", "announced", "certificate", "missed"), CASES)
async def test_nodes_of_a_cluster(
    node: int, tls: AsyncExitStack, tmp_path: Path, url_host: str, announced: str, certificate: str, missed: str
) -> None:
    port = await encrypted(tls, node, tmp_path, url_host)
    announced_port = port if certificate == url_host else await encrypted(tls, node, tmp_path, certificate)
    ask(node, "CONFIG", "SET", "cluster-announce-port", announced_port)
    if announced == NODE:
        ask(node, "CONFIG", "SET", "cluster-announce-hostname", NODE)
        ask(node, "CONFIG", "SET", "cluster-preferred-endpoint-type", "hostname")
    async with aclosing(open_clients(f"rediss://{url_host}:{port}/0{trusted(tmp_path)}", cluster=True)) as clients:
        await use(clients.media, missed)


class Sentinel(Redis):
    """A sentinel that announces one primary."""

    def __init__(self, host: str, port: int) -> None:
        super().__init__()
        self._primary = {b"ip": host.encode(), b"port": b"%d" % port, b"flags": b"master", b"config-epoch": b"1"}

    async def execute_command(self, *_: Any, **__: Any) -> Any:
        return self._primary


@pytest.mark.parametrize(("url_host", "announced", "certificate", "missed"), CASES)
async def test_a_primary_that_sentinels_announce(
    redis_url: str, tls: AsyncExitStack, tmp_path: Path, url_host: str, announced: str, certificate: str, missed: str
) -> None:
    port = await encrypted(tls, port_of(redis_url), tmp_path, certificate)
    async with aclosing(SentinelEndpoint([Sentinel(announced, port)], "lab", url_host)) as endpoint:
        url = f"rediss://{url_host}:{port}/0{trusted(tmp_path)}"
        async with aclosing(open_client(url, endpoint, None, RedisLimits(timeout_s=1))) as client:
            await use(client, missed)
