"""The opening handshake, with a service that responds in pieces."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from agent_relay.core.protocol.voice_target import ConnectRequest
from agent_relay.voice.voice_live_client import VoiceSocket, connect
from bridge_common.base.errors import AuthError, OutsideError
from tests.integration.support.scripted_voice_live import Script, scripted
from tests.integration.support.voice_socket import RawService, raw_service
from tests.support.eventually import eventually


async def _connect_raw(service: RawService) -> VoiceSocket:
    return await connect(ConnectRequest(service.url, {}), open_timeout_s=5.0, ping_interval_s=20.0)


async def test_a_refusal_in_pieces_is_read_completely() -> None:
    async with raw_service(answers=False) as service:
        connecting = asyncio.create_task(_connect_raw(service))
        await eventually(lambda: b"\r\n\r\n" in service.received)
        service.send(b"HTTP/1.1 401 Unauthor")
        await asyncio.sleep(0)
        service.send(b"ized\r\nContent-Length: 26\r\n\r\n")
        service.send(b"Access denied: ")
        service.send(b"expired key")
        with pytest.raises(AuthError, match="401 Access denied: expired key"):
            await connecting


async def test_a_refusal_whose_body_never_ends() -> None:
    async with raw_service(answers=False) as service:
        connecting = asyncio.create_task(_connect_raw(service))
        await eventually(lambda: b"\r\n\r\n" in service.received)
        service.send(b"HTTP/1.1 429 Too Many Requests\r\n\r\nslow")
        with pytest.raises(OutsideError, match="429 slow") as caught:
            await connecting
        assert caught.value.retry


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
        (
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: bm9uc2Vuc2U=\r\n\r\n"
        ),
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
        b"x" * 20_000,
    ],
)
async def test_a_server_without_websocket_is_unreachable(answer: bytes) -> None:
    async with raw_service(answers=False) as service:
        connecting = asyncio.create_task(_connect_raw(service))
        await eventually(lambda: b"\r\n\r\n" in service.received)
        service.send(answer)
        with pytest.raises(OutsideError, match="Voice Live is unreachable"):
            await connecting


async def test_redirects_are_not_followed_with_our_credentials() -> None:
    async with scripted(Script()) as elsewhere, raw_service(answers=False) as service:
        connecting = asyncio.create_task(_connect_raw(service))
        await eventually(lambda: b"\r\n\r\n" in service.received)
        head = f"HTTP/1.1 307 Temporary Redirect\r\nLocation: {elsewhere.url}/\r\nContent-Length: 0\r\n\r\n"
        service.send(head.encode())
        with pytest.raises(OutsideError, match="307") as caught:
            await connecting
        assert not caught.value.retry
        own = ConnectRequest(elsewhere.url, {})
        await (await connect(own, open_timeout_s=2.0, ping_interval_s=20.0)).close()
        assert len(elsewhere.sessions) == 1, "only ours"


async def test_a_canceled_handshake_leaves_no_connection() -> None:
    async with raw_service(answers=False) as service:
        connecting = asyncio.create_task(_connect_raw(service))
        await eventually(lambda: b"\r\n\r\n" in service.received)
        connecting.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await connecting
        await eventually(lambda: service.gone)


async def test_a_token_with_a_line_break_is_refused() -> None:
    request = ConnectRequest("ws://127.0.0.1:1/", {"Authorization": "Bearer abc\r\nX-Evil: 1"})
    with pytest.raises(OutsideError, match="Authorization") as caught:
        await connect(request, open_timeout_s=1.0, ping_interval_s=20.0)
    assert "abc" not in caught.value.message
