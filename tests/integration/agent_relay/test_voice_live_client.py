from __future__ import annotations

import asyncio
import time

import pytest

from agent_relay.core.connection import ConnectRequest
from agent_relay.voice_live_client import CLOSE_S, VoiceSocket, connect
from bridge_common.errors import AuthError, BridgeError, OutsideError
from eventually import eventually
from scripted_voice_live import Script, ScriptedVoiceLive, created, scripted
from voice_socket import listening


async def _connect(service: ScriptedVoiceLive, path: str = "/voice-live/realtime?model=m") -> VoiceSocket:
    request = ConnectRequest(service.url + path, {"api-key": "k", "x-ms-client-request-id": "req-1"})
    return await connect(request, open_timeout_s=2.0, ping_interval_s=20.0)


async def test_a_socket_carries_our_headers_and_no_deflate() -> None:
    async with scripted(Script(greets=[created()])) as service:
        socket = await _connect(service)
        assert b"session.created" in (await listening(socket).until_heard())[0]
        headers = service.sessions[0].headers
        assert headers["api-key"] == "k"
        assert headers["x-ms-client-request-id"] == "req-1"
        assert "Sec-WebSocket-Extensions" not in headers
        await socket.close()


@pytest.mark.parametrize(
    ("status", "kind", "retry"),
    [
        (401, AuthError, None),
        (403, OutsideError, False),
        (404, OutsideError, False),
        (429, OutsideError, True),
        (500, OutsideError, True),
        (503, OutsideError, True),
    ],
)
async def test_refusals_are_told_apart(status: int, kind: type[BridgeError], retry: bool | None) -> None:
    async with scripted(Script(refuses=status)) as service:
        with pytest.raises(kind) as caught:
            await _connect(service)
        assert str(status) in caught.value.message
        assert "scripted refusal" in caught.value.message
        assert getattr(caught.value, "retry", None) is retry


async def test_nobody_there() -> None:
    with pytest.raises(OutsideError) as caught:
        await connect(ConnectRequest("ws://127.0.0.1:1/x", {}), open_timeout_s=1.0, ping_interval_s=20.0)
    assert caught.value.retry


async def test_a_service_that_never_answers_the_handshake() -> None:
    loop = asyncio.get_running_loop()
    async with await loop.create_server(asyncio.Protocol, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(OutsideError, match="in time") as caught:
            await connect(ConnectRequest(f"ws://127.0.0.1:{port}/", {}), open_timeout_s=0.2, ping_interval_s=20.0)
        assert caught.value.retry


@pytest.mark.parametrize("url", ["http://127.0.0.1/x", "nonsense"])
async def test_what_is_no_address(url: str) -> None:
    with pytest.raises(OutsideError) as caught:
        await connect(ConnectRequest(url, {}), open_timeout_s=1.0, ping_interval_s=20.0)
    assert not caught.value.retry


@pytest.mark.parametrize("code", [1000, 1001, 1011, 4001])
async def test_every_close_is_a_loss(code: int) -> None:
    async with scripted(Script()) as service:
        socket = await _connect(service)
        await eventually(lambda: service.sessions and service.sessions[0].connection)
        await service.sessions[0].close(code, "session_expired")
        lost = await listening(socket).until_lost()
        assert lost.close_code == code
        assert "session_expired" in lost.message
        assert lost.retry
        socket.send(b"{}")
        await socket.close()


async def test_a_cut_line_is_1006() -> None:
    async with scripted(Script()) as service:
        socket = await _connect(service)
        await eventually(lambda: service.sessions and service.sessions[0].connection)
        service.sessions[0].drop()
        assert (await listening(socket).until_lost()).close_code == 1006
        await socket.close()


async def test_large_messages_pass() -> None:
    big = {"type": "response.audio.delta", "delta": "A" * 3_000_000}
    async with scripted(Script(greets=[big])) as service:
        socket = await _connect(service)
        assert len((await listening(socket).until_heard())[0]) > 3_000_000
        await socket.close()


async def test_a_close_that_nobody_answers_is_cut_short() -> None:
    async with scripted(Script()) as service:
        socket = await _connect(service)
        await eventually(lambda: service.sessions and service.sessions[0].connection)
        connection = service.sessions[0].connection
        assert connection is not None
        connection.transport.pause_reading()
        began = time.monotonic()
        await socket.close()
        assert time.monotonic() - began < CLOSE_S + 0.5
        connection.transport.abort()
