"""The official SDK with our deadlines, retries and errors, against a scripted server."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from call_control.acs_client import AcsClient, AcsError, AcsRefusal, MediaFormat
from call_control.core.connection_string import AcsAddress, parse_connection_string
from tests.support.lab_server import running
from tests.support.recorded_spans import Growth
from tests.support.scripted_acs import STALE_CONTEXT, ScriptedAcs, Twist

MEDIA = MediaFormat("pcm16k", "mixed")


@asynccontextmanager
async def _identity(*, broken: bool = False) -> AsyncIterator[str]:
    async def token(request: Request) -> Response:
        if broken:
            return JSONResponse({"statusCode": 400, "message": "no such identity"}, 400)
        resource = request.query_params["resource"]
        assert resource == "https://communication.azure.com/"
        expires_on = str(int(time.time()) + 3600)
        return JSONResponse(
            {"access_token": "a-token", "expires_on": expires_on, "resource": resource, "token_type": "Bearer"}
        )

    app = Starlette(routes=[Route("/msi/token", token)])
    config = uvicorn.Config(app, host="127.0.0.1", port=0, lifespan="off", access_log=False, log_config=None)
    async with running(config) as address:
        yield f"http://{address}/msi/token"


@pytest.fixture
async def client(acs: ScriptedAcs) -> AsyncIterator[AcsClient]:
    client = AcsClient(parse_connection_string(acs.connection_string), MEDIA, deadline_s=2)
    yield client
    await client.aclose()


async def answer(client: AcsClient, request_id: str = "11111111-0000-4000-8000-000000000000") -> str:
    connection = await client.answer(
        "context",
        callback_url="http://c/cb",
        media_url="ws://m/ws",
        operation_context="Answer-1",
        request_id=request_id,
    )
    return connection.connection_id


@pytest.mark.parametrize(
    ("twist", "refusal", "gone"),
    [
        (Twist(400, "400", STALE_CONTEXT), AcsRefusal.STALE_CONTEXT, True),
        (Twist(404, "8522", "Call not found."), AcsRefusal.GONE, True),
        (Twist(400, "8528", "Call was terminated."), AcsRefusal.GONE, True),
        (Twist(400, "8501", "Call is not established."), AcsRefusal.REFUSED, False),
        (Twist(409, "8519", "Conflict."), AcsRefusal.REFUSED, False),
        (Twist(401, "7509", "HMAC invalid."), AcsRefusal.AUTH, False),
        (Twist(403, "7504", "No permission."), AcsRefusal.AUTH, False),
    ],
)
async def test_permanent_errors_are_not_retried(
    client: AcsClient, acs: ScriptedAcs, twist: Twist, refusal: AcsRefusal, gone: bool
) -> None:
    acs.script("answer", twist)
    with pytest.raises(AcsError) as caught:
        await answer(client)
    assert (caught.value.refusal, caught.value.gone, caught.value.acs_code) == (refusal, gone, twist.code)
    assert len(acs.asked) == 1


async def test_secrets_in_error_texts_of_acs_are_redacted(client: AcsClient, acs: ScriptedAcs) -> None:
    """Error texts of ACS are written to the log and the trace and, as the end reason, are returned by the API."""
    key = acs.connection_string.partition("accesskey=")[2]
    quoted = f"Number +14255550100 is not owned; endpoint=https://r/;accesskey={key}; Bearer abcdefghijklmnopqrst"
    acs.script("answer", Twist(400, "+14255550100", quoted))
    with pytest.raises(AcsError) as caught:
        await answer(client)
    assert caught.value.acs_code == "400"
    message = caught.value.message
    assert "Number [number] is not owned; endpoint=https://r/;accesskey=[secret]; Bearer [token]" in message
    assert not [secret for secret in ("4255550100", key, "abcdefghijklmnopqrst") if secret in message]


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
async def test_temporary_errors_are_retried(client: AcsClient, acs: ScriptedAcs, status: int) -> None:
    acs.script("answer", Twist(status, "x"), Twist())
    await answer(client)
    assert len({asked.request_id for asked in acs.of("answer")}) == 1
    assert len(acs.asked) == 2


async def test_retry_after_is_respected(client: AcsClient, acs: ScriptedAcs) -> None:
    acs.script("answer", Twist(429, "8516", "slow down", headers={"Retry-After": "1"}))
    started = time.monotonic()
    await answer(client)
    assert time.monotonic() - started >= 1
    acs.script("answer", Twist(429, "8516", "slow down", headers={"Retry-After": "30"}))
    with pytest.raises(AcsError) as caught:
        await answer(client)
    assert caught.value.refusal is AcsRefusal.THROTTLED


async def test_no_reply_within_the_deadline(client: AcsClient, acs: ScriptedAcs) -> None:
    acs.script("answer", Twist(delay_s=2.5))  # a valid response, half a second after the deadline
    with pytest.raises(AcsError) as caught:
        await answer(client)
    assert caught.value.refusal is AcsRefusal.UNAVAILABLE


async def test_no_server_at_all() -> None:
    client = AcsClient(AcsAddress("http://127.0.0.1:1", "a2V5"), MEDIA, deadline_s=0.3)
    with pytest.raises(AcsError) as caught:
        await answer(client)
    assert caught.value.refusal is AcsRefusal.UNAVAILABLE
    await client.aclose()


async def test_a_managed_identity_signs_for_an_http_simulator(
    acs: ScriptedAcs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Uses the real `DefaultAzureCredential`, with an App Service identity endpoint in its environment."""
    async with _identity() as endpoint:
        monkeypatch.setenv("IDENTITY_ENDPOINT", endpoint)
        monkeypatch.setenv("IDENTITY_HEADER", "secret")
        client = AcsClient(AcsAddress(acs.endpoint), MEDIA)
        await answer(client)
        connection = acs.connections["context"]
        await client.start_media_streaming(connection, operation_context="x")
        await client.aclose()
    assert [asked.headers["authorization"] for asked in acs.asked] == ["Bearer a-token"] * 2


async def test_an_identity_without_a_token_is_counted(acs: ScriptedAcs, monkeypatch: pytest.MonkeyPatch) -> None:
    grown = Growth()
    async with _identity(broken=True) as endpoint:
        monkeypatch.setenv("IDENTITY_ENDPOINT", endpoint)
        monkeypatch.setenv("IDENTITY_HEADER", "secret")
        client = AcsClient(AcsAddress(acs.endpoint), MEDIA, deadline_s=2)
        with pytest.raises(AcsError):
            await answer(client)
        await client.aclose()
    assert grown('bridge_token_failures_total{scope="acs"}') > 0
    assert acs.asked == []


async def test_a_proxy_of_the_environment_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bytes] = []

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readline())
        writer.close()
        await writer.wait_closed()

    async with await asyncio.start_server(refuse, "127.0.0.1", 0) as proxy:
        port = proxy.sockets[0].getsockname()[1]
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{port}")
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)
        client = AcsClient(AcsAddress("http://acs.invalid", "a2V5"), MEDIA, deadline_s=0.3)
        with pytest.raises(AcsError):
            await answer(client)
        await client.aclose()
    assert asked[0].startswith(b"POST http://acs.invalid/calling/")


async def test_without_a_proxy_no_netrc_file_is_read(acs: ScriptedAcs, monkeypatch: pytest.MonkeyPatch) -> None:
    def look(*_: object) -> None:
        pytest.fail("~/.netrc was read")

    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr("aiohttp.client.netrc_from_env", look)
    client = AcsClient(parse_connection_string(acs.connection_string), MEDIA, deadline_s=2)
    await answer(client)
    await client.aclose()
