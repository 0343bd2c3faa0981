from __future__ import annotations

import asyncio
import json
import ssl
import time
from pathlib import Path

import pytest
from websockets.asyncio.server import ServerConnection

from agent_relay.core.protocol.voice_target import ConnectRequest
from agent_relay.voice.voice_live_client import (
    CLOSE_S,
    MAX_MESSAGE_BYTES,
    VoiceSocket,
    connect,
    trusted_certificates,
)
from bridge_common.base.errors import AuthError, BridgeError, OutsideError
from tests.integration.support.certificates import certified
from tests.integration.support.scripted_voice_live import Script, ScriptedVoiceLive, created, scripted
from tests.integration.support.voice_socket import RawService, listening, raw_service
from tests.support.eventually import eventually


async def _connect(service: ScriptedVoiceLive, path: str = "/voice-live/realtime?model=m") -> VoiceSocket:
    request = ConnectRequest(service.url + path, {"api-key": "k", "x-ms-client-request-id": "req-1"})
    return await connect(request, open_timeout_s=2.0, ping_interval_s=20.0)


async def _connected(service: ScriptedVoiceLive) -> tuple[VoiceSocket, ServerConnection]:
    socket = await _connect(service)
    await eventually(lambda: service.sessions and service.sessions[0].connection)
    connection = service.sessions[0].connection
    assert connection is not None
    return socket, connection


async def _connect_raw(service: RawService, ping_interval_s: float = 20.0) -> VoiceSocket:
    return await connect(ConnectRequest(service.url, {}), open_timeout_s=5.0, ping_interval_s=ping_interval_s)


async def test_the_handshake_has_our_headers_and_no_compression() -> None:
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
async def test_refusals_are_distinguished_by_their_status(
    status: int, kind: type[BridgeError], retry: bool | None
) -> None:
    async with scripted(Script(refuses=status)) as service:
        with pytest.raises(kind) as caught:
            await _connect(service)
        assert str(status) in caught.value.message
        assert "scripted refusal" in caught.value.message
        assert getattr(caught.value, "retry", None) is retry


async def test_an_unreachable_service() -> None:
    with pytest.raises(OutsideError) as caught:
        await connect(ConnectRequest("ws://127.0.0.1:1/x", {}), open_timeout_s=1.0, ping_interval_s=20.0)
    assert caught.value.retry


async def test_a_service_that_never_answers_the_handshake() -> None:
    loop = asyncio.get_running_loop()
    async with await loop.create_server(asyncio.Protocol, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(OutsideError, match=r"did not answer the handshake within 0\.2 s") as caught:
            await connect(ConnectRequest(f"ws://127.0.0.1:{port}/", {}), open_timeout_s=0.2, ping_interval_s=20.0)
        assert caught.value.retry


@pytest.mark.parametrize("url", ["http://127.0.0.1/x", "nonsense"])
async def test_an_invalid_url(url: str) -> None:
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


async def test_an_aborted_connection_is_1006() -> None:
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


async def test_a_closing_handshake_without_answer_is_aborted() -> None:
    async with scripted(Script()) as service:
        socket = await _connect(service)
        await eventually(lambda: service.sessions and service.sessions[0].connection)
        connection = service.sessions[0].connection
        assert connection is not None
        connection.transport.pause_reading()
        began = time.monotonic()
        await socket.close()
        assert time.monotonic() - began < CLOSE_S + 4.0
        connection.transport.abort()


# -- features that picows does not have -------------------------------------------------------------------------------
async def test_a_message_in_fragments_is_one_message() -> None:
    async with scripted(Script()) as service:
        socket, connection = await _connected(service)
        ear = listening(socket)
        await connection.send(["{", '"type":', "1}"])
        await connection.send("whole")
        assert await ear.until_heard(2) == [b'{"type":1}', b"whole"]
        await socket.close()


async def test_messages_before_there_is_a_listener_are_kept() -> None:
    async with scripted(Script(greets=[created(), created("sess_2")])) as service:
        socket, connection = await _connected(service)
        await connection.ping()
        await eventually(lambda: socket.lost is None)
        heard = await listening(socket).until_heard(2)
        assert [b"sess_1" in heard[0], b"sess_2" in heard[1]] == [True, True]
        await socket.close()


@pytest.mark.parametrize(
    ("frames", "code"),
    [
        (b"\x80\x01x", 1002),  # continuation without a message
        (b"\x01\x01a\x81\x01b", 1002),  # a new message within a fragmented one
        (b"\xc1\x01x", 1002),  # compressed
        (b"\x83\x01x", 1002),  # unknown opcode
        (b"\x81\x7f" + (MAX_MESSAGE_BYTES + 1).to_bytes(8, "big"), 1009),
        (b"\x01\x7e\xff\xff" + bytes(65535) + (b"\x00\x7f" + (2**24 - 65536).to_bytes(8, "big")), None),
    ],
)
async def test_protocol_errors_close_the_socket(frames: bytes, code: int | None) -> None:
    async with raw_service() as service:
        socket = await _connect_raw(service)
        ear = listening(socket)
        service.send(frames)
        if code is None:
            # Only the complete message is too long.
            service.send(bytes(2**24 - 65536) + b"\x80\x02ab")
        assert (await ear.until_lost()).close_code == 1006
        close = await service.until_close_frame()
        assert close == (code or 1009)
        assert not ear.messages
        await socket.close()


async def test_a_peer_that_does_not_answer_pings_is_lost() -> None:
    async with raw_service() as service:
        socket = await _connect_raw(service, ping_interval_s=0.2)
        lost = await listening(socket).until_lost()
        assert b"\x89\x80" in bytes(service.received), "a ping was sent"
        assert lost.close_code == 1006
        assert "ping" in lost.message
        await socket.close()


async def test_pings_are_answered_in_both_directions() -> None:
    async with scripted(Script()) as service:
        request = ConnectRequest(service.url + "/voice-live/realtime", {})
        socket = await connect(request, open_timeout_s=2.0, ping_interval_s=0.05)
        await eventually(lambda: service.sessions[0].connection)
        connection = service.sessions[0].connection
        assert connection is not None
        for _ in range(4):
            await asyncio.wait_for(await connection.ping(), 10)
        assert socket.lost is None
        await socket.close()


async def test_a_peer_that_does_not_read_pauses_writing() -> None:
    async with scripted(Script()) as service:
        socket, connection = await _connected(service)
        ear = listening(socket)
        connection.transport.pause_reading()
        message = json.dumps({"type": "x", "fill": "x" * 100_000}).encode()
        sent = 0
        while socket.writable:
            socket.send(message)
            sent += 1
            assert sent < 1000
        connection.transport.resume_reading()
        await eventually(lambda: socket.writable)
        assert ear.writable_again == 1
        await eventually(lambda: len(service.sessions[0].sent) == sent)
        service.sessions[0].surprises.clear()
        await socket.close()


# -- TLS --------------------------------------------------------------------------------------------------------------
async def test_tls_with_a_trusted_certificate(tmp_path: Path) -> None:
    server, client = certified(tmp_path, "localhost")
    async with scripted(Script(greets=[created()]), tls=server) as service:
        request = ConnectRequest(
            service.url.replace("ws://127.0.0.1", "wss://localhost") + "/x?model=m", {"api-key": "k"}
        )
        socket = await connect(request, open_timeout_s=5.0, ping_interval_s=20.0, tls=client)
        ear = listening(socket)
        assert b"session.created" in (await ear.until_heard())[0]
        for _ in range(20):
            socket.send(json.dumps({"type": "input_audio_buffer.append", "audio": "AAAA" * 50_000}).encode())
        await eventually(lambda: len(service.sessions[0].audio) == 20 * 150_000)
        assert service.sessions[0].headers["api-key"] == "k"
        await service.sessions[0].close(1001, "session_expired")
        assert (await ear.until_lost()).close_code == 1001
        await socket.close()


@pytest.mark.parametrize("trusts", [False, True])
async def test_tls_with_a_certificate_of_another_server(tmp_path: Path, trusts: bool) -> None:
    """The certificate is not trusted, or is for another name."""
    server, client = certified(tmp_path, "other.example" if trusts else "localhost")
    async with scripted(tls=server) as service:
        request = ConnectRequest(service.url.replace("ws://127.0.0.1", "wss://localhost"), {})
        with pytest.raises(OutsideError, match="certificate"):
            await connect(
                request,
                open_timeout_s=5.0,
                ping_interval_s=20.0,
                tls=client if trusts else trusted_certificates(request.url),
            )


@pytest.mark.parametrize(("endpoint", "secure"), [("https://a", True), ("wss://a", True), ("http://a", False)])
def test_certificates_are_loaded_where_they_are_needed(endpoint: str, secure: bool) -> None:
    context = trusted_certificates(endpoint)
    assert (context is not None) is secure
    if context is not None:
        assert context.check_hostname
        assert context.verify_mode is ssl.CERT_REQUIRED
