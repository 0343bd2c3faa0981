"""The server: valid, invalid and incomplete handshakes, HTTP pages, TLS, shutdown."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import gc
import ssl
import weakref
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from bridge_common.observability.telemetry import REGISTRY
from media_gateway.socket.gateway_server import GatewayConnection
from media_gateway.socket.picows_protocol import PicowsProtocol
from media_gateway.socket_context import SocketLimits
from tests.integration.support.echo_sockets import FIN, TEXT, Echoes, raw_peer, running_echoes
from tests.support.eventually import eventually


@pytest.fixture
async def echoes() -> AsyncIterator[Echoes]:
    async with running_echoes() as echoes:
        yield echoes


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A key and a certificate for 127.0.0.1, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    signed = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path / "certificate.pem"
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + signed.public_bytes(serialization.Encoding.PEM)
    )
    return path


def pending() -> float:
    """Connections that are not yet authenticated."""
    return REGISTRY.get_sample_value("bridge_pending_connections") or 0.0


async def test_the_path_and_the_headers_come_to_the_one_who_serves(echoes: Echoes) -> None:
    async with connect(echoes.url + "a%20b/c?d=e", additional_headers={"X-Leg": "leg-1"}, proxy=None) as client:
        await client.send("x")
        assert await client.recv() == "x"
        assert echoes.sockets[0].path == "a b/c"
        assert echoes.sockets[0].headers["x-leg"] == "leg-1"


async def test_a_socket_is_there_before_anybody_has_looked_at_it(echoes: Echoes) -> None:
    echoes.gate.clear()
    async with raw_peer(echoes.port) as peer:
        assert (await peer.request("/ws/refused")).startswith(b"HTTP/1.1 101 ")
        await eventually(lambda: echoes.sockets)
        echoes.gate.set()
        assert await peer.closed_with() == 1008


@pytest.mark.parametrize("connection", ["upgrade", "Upgrade", "keep-alive, Upgrade", "Upgrade,close"])
async def test_proxies_may_name_more_than_the_upgrade(echoes: Echoes, connection: str) -> None:
    async with raw_peer(echoes.port) as peer:
        assert (await peer.request(connection=connection)).startswith(b"HTTP/1.1 101 ")
        peer.send(FIN | TEXT, b"x")
        assert await peer.receive() == (FIN | TEXT, b"x")


@pytest.mark.parametrize(
    ("head", "status"),
    [
        ("GET /page/ HTTP/1.1\r\nHost: x\r\n\r\n", 404),
        ("GET /ws/x HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n", 426),
        ("GET /elsewhere HTTP/1.1\r\nHost: x\r\n\r\n", 404),
        ("POST /page HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi", 405),
        ("GET /page\r\n\r\n", 400),
        ("\x16\x03\x01\r\n\r\n", 400),
    ],
    ids=["slash", "no key", "no such page", "post", "no version", "no http"],
)
async def test_other_requests_get_an_answer_and_an_end(echoes: Echoes, head: str, status: int) -> None:
    async with raw_peer(echoes.port) as peer:
        peer.writer.write(head.encode())
        assert (await asyncio.wait_for(peer.reader.readline(), 5)).startswith(f"HTTP/1.1 {status} ".encode())
        if status in (400, 426):  # after a valid request the connection may be used again
            assert await peer.ended(within_s=3)
    assert echoes.sockets == []


@pytest.mark.parametrize("head", ["", "GET /ws/x HTTP/1.1\r\nHost: x\r\nUpgr"], ids=["nothing", "half a head"])
async def test_a_request_that_does_not_come_whole_is_closed(head: str, caplog: pytest.LogCaptureFixture) -> None:
    assert SocketLimits().head_s == 4
    async with running_echoes(limits=SocketLimits(head_s=0.2)) as echoes, raw_peer(echoes.port) as peer:
        peer.writer.write(head.encode())
        assert not await peer.ended(within_s=0.1)
        assert await peer.ended(within_s=10)
        assert echoes.sockets == []
    gc.collect()
    assert not caplog.records


@pytest.mark.parametrize(("most", "of_source"), [(8, 0), (100, 8)], ids=["total", "per source"])
async def test_unfinished_requests_make_room_for_others(most: int, of_source: int) -> None:
    async with contextlib.AsyncExitStack() as stack:
        echoes = await stack.enter_async_context(
            running_echoes(pending_connections=most, pending_connections_per_source=of_source)
        )
        slow = []
        for _ in range(20):
            slow.append(await stack.enter_async_context(raw_peer(echoes.port)))
            slow[-1].writer.write(b"GET /ws/x HTTP/1.1\r\n")
        genuine = await stack.enter_async_context(raw_peer(echoes.port))
        assert (await genuine.request()).startswith(b"HTTP/1.1 101 ")
        await eventually(lambda: echoes.sockets)
        echoes.sockets[0].socket.trust()
        for peer in slow[:12]:
            assert await peer.ended(within_s=2), "before the time for a handshake is over"
        assert pending() <= 8
        for _ in range(20):
            await stack.enter_async_context(raw_peer(echoes.port))
        await eventually(lambda: pending() == 8)
        genuine.send(FIN | TEXT, b"still here")
        assert await genuine.receive() == (FIN | TEXT, b"still here")


async def test_connections_that_come_and_go_leave_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """No reference cycles: the garbage collector runs too rarely for a flood (see `GarbageCollection`)."""
    gc.collect()
    gc.disable()
    try:
        async with running_echoes() as echoes:
            for number in range(60):
                async with raw_peer(echoes.port) as peer:
                    if number % 3 == 1:
                        await peer.request("/ws/refused")
                    elif number % 3 == 2:
                        peer.writer.write(b"nonsense\r\n\r\n")
                        await peer.ended()
            await eventually(lambda: pending() == 0)
            left = [weakref.ref(heard.socket) for heard in echoes.sockets]
            assert len(left) == 20
            echoes.sockets.clear()
            await eventually(lambda: not [one for one in left if one() is not None])
            kinds = (GatewayConnection, PicowsProtocol)
            await eventually(lambda: not [one for one in gc.get_objects() if type(one) in kinds])
    finally:
        gc.enable()
    assert {record.message for record in caplog.records} <= {"Invalid HTTP request received."}
    assert len(caplog.records) <= 5, "a flood of such requests must not become a flood of lines"


async def test_a_peer_that_breaks_the_protocol_writes_no_line(caplog: pytest.LogCaptureFixture, echoes: Echoes) -> None:
    async with raw_peer(echoes.port) as peer:
        await peer.request()
        peer.writer.write(b"\xff" * 10_000)
        assert await peer.ended()
    assert not caplog.records


async def test_a_head_without_an_end_is_closed_at_16_kb(echoes: Echoes) -> None:
    async with raw_peer(echoes.port) as peer:
        peer.writer.write(b"GET /ws/x HTTP/1.1\r\nX: " + b"x" * 40_000)
        assert await peer.ended(within_s=10)
    assert echoes.sockets == []


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [("/elsewhere", 404, "not_found"), ("/broken", 500, "internal")],
)
async def test_errors_have_the_documented_form(echoes: Echoes, path: str, status: int, code: str) -> None:
    async with httpx.AsyncClient(trust_env=False) as client:
        reply = await client.get(f"http://127.0.0.1:{echoes.port}{path}")
    assert (reply.status_code, reply.headers["content-type"]) == (status, "application/problem+json")
    assert reply.json()["code"] == code
    assert "secret" not in reply.text


async def test_pages_answer_as_they_are_at_the_moment(echoes: Echoes) -> None:
    async with httpx.AsyncClient(trust_env=False) as client:
        url = f"http://127.0.0.1:{echoes.port}/page"
        reply = await client.get(url + "?x=y")
        assert (reply.status_code, reply.text, reply.headers["content-type"]) == (
            200,
            "alive",
            "text/plain; charset=utf-8",
        )
        echoes.alive = False
        reply = await client.get(url)
        assert (reply.status_code, reply.text) == (503, "dead")


async def test_one_who_serves_and_fails_costs_one_socket(echoes: Echoes, caplog: pytest.LogCaptureFixture) -> None:
    async with raw_peer(echoes.port) as peer:
        await peer.request("/ws/broken")
        assert await peer.closed_with() == 1011
    assert "media socket failed" in caplog.messages
    async with connect(echoes.url + "x", proxy=None) as client:
        await client.send("fine")
        assert await client.recv() == "fine"


async def test_over_tls(certificate: Path) -> None:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate)
    trusted = ssl.create_default_context(cafile=certificate)
    async with running_echoes(tls) as echoes:
        url = f"wss://localhost:{echoes.port}/ws/x"
        async with connect(url, ssl=trusted, host="127.0.0.1", server_hostname="localhost", proxy=None) as client:
            for length in (5, 900, 100_000):
                await client.send("x" * length)
                assert await client.recv() == "x" * length
        await eventually(lambda: echoes.sockets[0].codes == [1000])


async def test_the_end_closes_what_is_open(echoes: Echoes) -> None:
    async with connect(echoes.url + "x", proxy=None) as client:
        await client.send("x")
        assert await client.recv() == "x"
        ending = asyncio.create_task(echoes.server.close())
        with pytest.raises(ConnectionClosed):
            await client.recv()
        assert client.close_code == 1001
        await asyncio.wait_for(ending, 5)
        assert echoes.sockets[0].codes == [1001]
        with pytest.raises(OSError, match="Connect"):
            await asyncio.open_connection("127.0.0.1", echoes.port)
