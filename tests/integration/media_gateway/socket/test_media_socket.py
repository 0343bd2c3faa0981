"""Admission: tokens, JWTs, live calls, capacity. The secret in the path is not logged."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from functools import partial

import httpx
import jwt
import pytest
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm
from websockets.exceptions import InvalidStatus

from bridge_common.base.ids import call_id_of
from bridge_common.base.log import setup_logging
from bridge_common.service.readiness import Readiness
from bridge_common.wire import media_token
from bridge_common.wire.call_record import Status
from bridge_common.wire.entries import Audio, MediaAttached, MediaLost
from media_gateway.socket_context import SocketLimits
from tests.integration.support.acs_media_peer import dial
from tests.integration.support.echo_sockets import FIN, TEXT, raw_peer
from tests.integration.support.gateway_under_test import TOKEN_KEY, Gateway, Line, OpenLine, StartGateway
from tests.support.eventually import eventually

ISSUER = "http://acs.test"
AUDIENCE = "resource-id"


class Signer:
    """The signing key of ACS and the URL of its public key."""

    def __init__(self) -> None:
        self.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.jwks_url = ""

    def bearer(self, **claims: object) -> str:
        body = {"iss": ISSUER, "aud": AUDIENCE, "exp": int(time.time()) + 300, **claims}
        return "Bearer " + jwt.encode(body, self.key, algorithm="RS256", headers={"kid": "k1"})


@pytest.fixture
async def signer() -> AsyncIterator[Signer]:
    signer = Signer()
    public = {**RSAAlgorithm.to_jwk(signer.key.public_key(), as_dict=True), "kid": "k1", "alg": "RS256", "use": "sig"}

    async def jwks(_: web.Request) -> web.Response:
        return web.json_response({"keys": [public]})

    app = web.Application()
    app.router.add_get("/calling/keys", jwks)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    signer.jwks_url = f"http://127.0.0.1:{runner.addresses[0][1]}/calling/keys"
    yield signer
    await runner.cleanup()


@pytest.mark.parametrize(
    "token",
    [
        "wrong",
        "9999999999.",
        media_token.mint(["another key that is not ours"], call_id_of("correlation-1"), 9_999_999_999),
        media_token.mint([TOKEN_KEY], call_id_of("another call"), 9_999_999_999),
        media_token.mint([TOKEN_KEY], call_id_of("correlation-1"), 1_000_000_000),
    ],
    ids=["nonsense", "no signature", "another key", "another call's", "expired"],
)
async def test_a_wrong_token_is_refused(gateway: Gateway, line: Line, token: str) -> None:
    async with dial(gateway.url(line.call_id, token)) as acs:
        assert await acs.closed() == 1008
    record = await line.store.load(line.call_id)
    assert record is not None
    assert record.uplink_epoch == 0, "a refused peer does not affect the call"


async def test_the_path_takes_websockets_only(gateway: Gateway) -> None:
    async with httpx.AsyncClient(trust_env=False) as client:
        reply = await client.get(f"http://127.0.0.1:{gateway.running.port}/ws/call_x/token")
    assert (reply.status_code, reply.json()["error"]["code"]) == (400, "bad_request")


async def test_what_is_no_call_id_is_refused(gateway: Gateway) -> None:
    async with dial(gateway.url("call_x")) as acs:
        assert await acs.closed() == 1008


async def test_an_unknown_call_is_refused(gateway: Gateway) -> None:
    async with dial(gateway.url(call_id_of("nobody rang"))) as acs:
        assert await acs.closed() == 1008


async def test_an_ended_call_is_refused(gateway: Gateway, line: Line) -> None:
    record = await line.store.load(line.call_id)
    assert record is not None
    assert await line.store.save(record, replace(record, status=Status.ENDED))
    async with gateway.dial(line.call_id) as acs:
        assert await acs.closed() == 1008


@pytest.mark.parametrize("mode", ["enforce", "log"])
async def test_the_jwt_of_acs_is_checked(start_gateway: StartGateway, line: Line, signer: Signer, mode: str) -> None:
    settings = {
        "acs_jwt_mode": mode,
        "acs_jwt_audience": AUDIENCE,
        "acs_jwt_issuer": ISSUER,
        "acs_jwks_url": signer.jwks_url,
    }
    good = signer.bearer()
    bad = [None, "Bearer x", signer.bearer(aud="other"), signer.bearer(iss="other"), signer.bearer(exp=1)]
    attached = 0
    async with start_gateway(**settings) as gateway:
        for authorization in [*bad, good]:
            async with gateway.dial(line.call_id, authorization) as acs:
                if mode == "enforce" and authorization != good:
                    assert await acs.closed() == 1008
                    continue
                attached += 1
                await acs.metadata()
                await eventually(partial(line.has_said, MediaAttached, attached))
    assert attached == (1 if mode == "enforce" else 6)


async def test_a_full_gateway_sends_to_another_but_lets_a_call_come_back(
    start_gateway: StartGateway, open_line: OpenLine
) -> None:
    async with start_gateway(gateway_capacity=1) as gateway, open_line("a") as one, open_line("b") as two:

        async def is_ready() -> bool:
            return (await gateway.service.ready()).reason == ""

        await eventually(is_ready, what="the first heartbeat")
        async with gateway.dial(one.call_id) as first:
            await first.metadata()
            await eventually(lambda: one.said(MediaAttached))
            assert await gateway.service.ready() == Readiness(degraded="at capacity")
            with pytest.raises(InvalidStatus) as refused:
                await gateway.dial(two.call_id).__aenter__()
            response = refused.value.response
            assert (response.status_code, response.headers["Retry-After"]) == (503, "1")
            assert json.loads(response.body or b"")["code"] == "unavailable"
            assert two.said(MediaAttached) == []
            async with gateway.dial(one.call_id) as again:
                await again.metadata()
                assert await first.closed() == 4001
                await eventually(lambda: len(one.said(MediaAttached)) == 2)
        async with gateway.dial(two.call_id) as acs:
            await acs.metadata()
            await eventually(lambda: two.said(MediaAttached))


async def test_who_says_nothing_is_closed(start_gateway: StartGateway, open_line: OpenLine) -> None:
    limits = SocketLimits(first_message_s=0.1, idle_s=0.3)
    async with start_gateway(limits=limits) as gateway, open_line("a") as one, open_line("b") as two:
        async with gateway.dial(one.call_id) as mute, gateway.dial(two.call_id) as idle:
            await idle.metadata()
            assert await mute.closed() == 1008
            assert await idle.closed() == 1008
        await one.await_told(MediaLost, 2)


async def test_who_does_not_read_is_closed(start_gateway: StartGateway, open_line: OpenLine) -> None:
    limits = SocketLimits(send_buffer_bytes=4096, waiting_messages=5)
    async with (
        start_gateway(limits=limits, playout_lead_ms=5000) as gateway,
        open_line("a") as deaf,
        open_line("b") as other,
        gateway.dial(other.call_id) as acs,
        raw_peer(gateway.running.port, receives_bytes=4096) as peer,
    ):
        await acs.metadata(24_000)
        await peer.request(gateway.url(deaf.call_id).removeprefix(f"ws://127.0.0.1:{gateway.running.port}"))
        peer.send(FIN | TEXT, b'{"kind":"AudioMetadata","audioMetadata":{"sampleRate":24000}}')
        await eventually(lambda: deaf.said(MediaAttached) and other.said(MediaAttached))
        peer.reads(False)
        deaf.downlink.append(Audio("item", bytes(48_000 * 10)))
        lost = await eventually(lambda: deaf.told(MediaLost))
        assert [entry.close_code for entry in lost if isinstance(entry, MediaLost)] == [1008]
        other.downlink.append(Audio("item", bytes(9600)))
        await eventually(lambda: len(acs.pcm) == 9600)


async def test_the_token_is_never_logged(gateway: Gateway, line: Line, capfd: pytest.CaptureFixture[str]) -> None:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    setup_logging("media-gateway", "DEBUG", "json")
    try:
        url = gateway.url(line.call_id)
        async with dial(url) as acs:
            await acs.metadata()
            await eventually(lambda: line.said(MediaAttached))
            await acs.socket.send("no json")
        async with dial(url + "x") as acs:
            assert await acs.closed() == 1008
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
    said = capfd.readouterr().err
    assert line.call_id in said, "the captured log has the lines of the call"
    assert url.rsplit("/", 1)[1] not in said
