"""Bearer tokens against real RS256 keys and a JWKS endpoint on this machine."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import jwt
import pytest
import uvicorn
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from bridge_common import acs_jwt
from bridge_common.acs_jwt import JwtMode, JwtVerifier
from bridge_common.errors import AuthError, OutsideError
from eventually import eventually
from lab.ports import free_port
from lab_server import running

ISSUER = "https://acscallautomation.communication.azure.com"
AUDIENCE = "6c5b0a52-93f2-4a0b-9c39-6f7a1d1b1a11"
KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
OTHER_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)


def jwk(key: rsa.RSAPrivateKey, kid: str) -> dict[str, Any]:
    public: dict[str, Any] = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key()))
    return {**public, "kid": kid, "use": "sig", "alg": "RS256"}


class KeyServer:
    """A JWKS endpoint that counts, and answers what it is told to."""

    def __init__(self) -> None:
        self.url = ""
        self.asked = 0
        self.status = 200
        self.body = b""
        self.in_pieces = False
        self.go_on = asyncio.Event()
        self.go_on.set()
        self.offer({"k1": KEY})

    def offer(self, keys: dict[str, rsa.RSAPrivateKey], *others: object) -> None:
        self.body = json.dumps({"keys": [*others, *(jwk(key, kid) for kid, key in keys.items())]}).encode()

    async def answer(self, _: Request) -> Response:
        self.asked += 1
        await self.go_on.wait()
        if self.in_pieces:
            return StreamingResponse(self._pieces())
        return Response(self.body, self.status, media_type="application/json")

    async def _pieces(self) -> AsyncIterator[bytes]:
        for start in range(0, len(self.body), 100):
            yield self.body[start : start + 100]
            await asyncio.sleep(0.002)


@pytest.fixture
async def server() -> AsyncIterator[KeyServer]:
    server = KeyServer()
    app = Starlette(routes=[Route("/calling/keys", server.answer)])
    async with running(uvicorn.Config(app, port=0, lifespan="off", log_config=None)) as address:
        server.url = f"http://{address}/calling/keys"
        yield server


@pytest.fixture
def verifier(server: KeyServer) -> JwtVerifier:
    return JwtVerifier(server.url, [ISSUER], AUDIENCE, mode=JwtMode.ENFORCE)


def claims(**changes: object) -> dict[str, Any]:
    now = int(time.time())
    found = {"iss": ISSUER, "aud": AUDIENCE, "iat": now, "nbf": now, "exp": now + 300, **changes}
    return {name: value for name, value in found.items() if value is not None}


def bearer(key: rsa.RSAPrivateKey = KEY, kid: str = "k1", **changes: Any) -> str:
    return "Bearer " + jwt.encode(claims(**changes), key, algorithm="RS256", headers={"kid": kid})


def encoded(part: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()


async def test_a_good_token_gives_its_claims(verifier: JwtVerifier, server: KeyServer) -> None:
    assert (await verifier.check(bearer(sub="call")))["sub"] == "call"
    await verifier.check(bearer().replace("Bearer", "bearer"))
    await verifier.check(bearer(aud=["other", AUDIENCE]))
    assert server.asked == 1


async def test_the_audience_may_come_from_several_issuers(server: KeyServer) -> None:
    verifier = JwtVerifier(server.url, ["https://a", "https://b"], AUDIENCE, mode=JwtMode.ENFORCE)
    await verifier.check(bearer(iss="https://a"))
    await verifier.check(bearer(iss="https://b"))
    with pytest.raises(AuthError):
        await verifier.check(bearer())


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": "another resource"},
        {"aud": None},
        {"aud": {"of": "a strange kind"}},
        {"iss": ISSUER + "/"},
        {"iss": None},
        {"exp": None},
        {"exp": 1_700_000_000},
        {"exp": "tomorrow"},
        {"exp": float("inf")},
        {"nbf": 4_000_000_000},
        {"iat": 4_000_000_000},
    ],
)
async def test_a_wrong_claim_is_refused(verifier: JwtVerifier, changes: dict[str, Any]) -> None:
    with pytest.raises(AuthError, match="the token is not valid"):
        await verifier.check(bearer(**changes))


async def test_the_clocks_may_differ_by_the_leeway(server: KeyServer) -> None:
    verifier = JwtVerifier(server.url, [ISSUER], AUDIENCE, mode=JwtMode.ENFORCE, leeway_s=300)
    now = int(time.time())
    await verifier.check(bearer(exp=now - 290))
    with pytest.raises(AuthError):
        await verifier.check(bearer(exp=now - 310))


async def test_a_token_signed_with_another_key_is_refused(verifier: JwtVerifier) -> None:
    with pytest.raises(AuthError):
        await verifier.check(bearer(OTHER_KEY))


async def test_a_changed_token_is_refused(verifier: JwtVerifier) -> None:
    header, _, signature = bearer().split(".")
    with pytest.raises(AuthError):
        await verifier.check(f"{header}.{encoded(claims(sub='somebody else'))}.{signature}")


async def test_a_token_without_signature_is_refused(verifier: JwtVerifier) -> None:
    for alg in ("none", "None", "NONE"):
        with pytest.raises(AuthError):
            await verifier.check(f"Bearer {encoded({'alg': alg, 'kid': 'k1'})}.{encoded(claims())}.")


async def test_a_token_signed_with_the_public_key_as_a_secret_is_refused(verifier: JwtVerifier) -> None:
    secret = KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    for alg, digest in (("HS256", hashlib.sha256), ("HS512", hashlib.sha512)):
        signed = f"{encoded({'alg': alg, 'typ': 'JWT', 'kid': 'k1'})}.{encoded(claims())}"
        signature = base64.urlsafe_b64encode(hmac.new(secret, signed.encode(), digest).digest()).rstrip(b"=").decode()
        with pytest.raises(AuthError):
            await verifier.check(f"Bearer {signed}.{signature}")


@pytest.mark.parametrize("algorithm", ["RS384", "RS512", "PS256"])
async def test_no_other_algorithm_is_accepted(verifier: JwtVerifier, algorithm: str) -> None:
    token = jwt.encode(claims(), KEY, algorithm=algorithm, headers={"kid": "k1"})
    with pytest.raises(AuthError):
        await verifier.check(f"Bearer {token}")


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer ", "Basic dXNlcjpwdw==", "Token x", "Bearer a.b.c"])
async def test_a_missing_or_other_credential_is_refused(verifier: JwtVerifier, header: str | None) -> None:
    with pytest.raises(AuthError):
        await verifier.check(header)


@pytest.mark.parametrize(
    "header",
    [
        {"alg": "RS256"},
        {"alg": "RS256", "kid": 7},
        {"alg": "RS256", "kid": ["k1"]},
        {"alg": None, "kid": "k1"},
        {"kid": "k1"},
        {"alg": "RS256", "kid": "k1", "crit": ["b64"]},
        ["alg"],
        "alg",
        None,
    ],
)
async def test_a_strange_header_is_refused(verifier: JwtVerifier, header: object) -> None:
    with pytest.raises(AuthError):
        await verifier.check(f"Bearer {encoded(header)}.{encoded(claims())}.c2ln")


async def test_a_header_of_nested_brackets_or_huge_numbers_is_refused(verifier: JwtVerifier) -> None:
    for header in (b"[" * 40_000, b'{"kid":' * 9000, b"1" * 9000, b"\xff\xfe", b""):
        part = base64.urlsafe_b64encode(header).rstrip(b"=").decode()
        with pytest.raises(AuthError):
            await verifier.check(f"Bearer {part}.e30.c2ln")


# -- keys -----------------------------------------------------------------------------------------------------------
async def test_keys_are_fetched_early_and_once(verifier: JwtVerifier, server: KeyServer) -> None:
    await verifier.fetch()
    await verifier.fetch()
    await asyncio.gather(*(verifier.check(bearer()) for _ in range(20)))
    assert server.asked == 1


async def test_many_first_tokens_at_once_ask_once(verifier: JwtVerifier, server: KeyServer) -> None:
    server.go_on.clear()
    checks = [asyncio.create_task(verifier.check(bearer())) for _ in range(20)]
    while not server.asked:  # noqa: ASYNC110  # the server counts
        await asyncio.sleep(0.005)
    server.go_on.set()
    await asyncio.gather(*checks)
    assert server.asked == 1


async def test_an_unknown_key_asks_again_once_in_the_cooldown(
    verifier: JwtVerifier, server: KeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(acs_jwt, "COOLDOWN_S", 0.2)
    await verifier.check(bearer())
    for _ in range(5):
        with pytest.raises(AuthError, match="unknown key"):
            await verifier.check(bearer(OTHER_KEY, kid="k2"))
    assert server.asked == 1
    server.offer({"k1": KEY, "k2": OTHER_KEY})
    await asyncio.sleep(0.2)
    for _ in range(5):
        await verifier.check(bearer(OTHER_KEY, kid="k2"))
    await verifier.check(bearer())
    assert server.asked == 2


async def test_a_key_that_was_withdrawn_is_not_accepted_after_the_next_fetch(
    verifier: JwtVerifier, server: KeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(acs_jwt, "COOLDOWN_S", 0.0)
    await verifier.check(bearer())
    server.offer({"k2": OTHER_KEY})
    await verifier.check(bearer(OTHER_KEY, kid="k2"))
    with pytest.raises(AuthError, match="unknown key"):
        await verifier.check(bearer())


async def test_a_key_set_that_comes_in_pieces_is_read_whole(verifier: JwtVerifier, server: KeyServer) -> None:
    server.in_pieces = True
    server.offer({"k1": KEY, **{f"more{n}": OTHER_KEY for n in range(5)}})
    await verifier.check(bearer())


async def test_keys_we_cannot_use_are_left_out(verifier: JwtVerifier, server: KeyServer) -> None:
    curve = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(ec.generate_private_key(ec.SECP256R1()).public_key()))
    server.offer({"k1": KEY}, {"kty": "unknown", "kid": "x"}, {**curve, "kid": "ec"}, 7, {"kty": "RSA"}, {})
    await verifier.check(bearer())
    with pytest.raises(AuthError):
        await verifier.check(bearer(kid="ec"))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b"null",
        b"{}",
        b'{"keys": []}',
        b'{"keys": "k1"}',
        b'{"keys": [{}]}',
        b"\xff",
        b"[" * 9999,
    ],
)
async def test_what_is_no_key_set_is_an_outside_error(verifier: JwtVerifier, server: KeyServer, body: bytes) -> None:
    """The sender's fault it is not: a 401 would make Event Grid drop the event for good."""
    server.body = body
    with pytest.raises(OutsideError) as caught:
        await verifier.check(bearer())
    assert caught.value.retry


async def test_a_huge_key_set_is_refused(verifier: JwtVerifier, server: KeyServer) -> None:
    server.body = b" " * 300_000 + server.body
    with pytest.raises(OutsideError, match="more than"):
        await verifier.check(bearer())


async def test_a_failed_fetch_is_not_repeated_at_once_but_soon(
    verifier: JwtVerifier, server: KeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(acs_jwt, "RETRY_S", 0.2)
    server.status = 500
    for _ in range(5):
        with pytest.raises(OutsideError):
            await verifier.check(bearer())
    assert server.asked == 1
    server.status = 200
    await asyncio.sleep(0.2)
    await verifier.check(bearer())
    assert server.asked == 2


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


async def test_a_key_that_left_the_key_set_is_trusted_for_the_maximum_age_only(server: KeyServer) -> None:
    """Without a token of another key nobody asked for the key set again: a withdrawn key was good for ever."""
    clock = Clock()
    verifier = JwtVerifier(server.url, [ISSUER], AUDIENCE, mode=JwtMode.ENFORCE, max_age_s=3600, clock=clock)
    await verifier.check(bearer())
    server.offer({"k2": OTHER_KEY})
    clock.now += 3599
    await verifier.check(bearer())
    assert server.asked == 1
    clock.now += 1
    with pytest.raises(AuthError, match="unknown key"):
        await verifier.check(bearer())
    await verifier.check(bearer(OTHER_KEY, kid="k2"))
    assert server.asked == 2


async def test_keys_that_cannot_be_confirmed_are_not_trusted_after_the_maximum_age(server: KeyServer) -> None:
    clock = Clock()
    verifier = JwtVerifier(server.url, [ISSUER], AUDIENCE, mode=JwtMode.ENFORCE, max_age_s=3600, clock=clock)
    await verifier.check(bearer())
    server.status = 503
    clock.now += 3599
    await verifier.check(bearer())
    clock.now += 1
    for _ in range(3):
        with pytest.raises(OutsideError, match="cannot be had"):
            await verifier.check(bearer())
        clock.now += 60
    server.status = 200
    await verifier.check(bearer())


async def test_keys_are_fetched_again_while_nobody_asks(server: KeyServer) -> None:
    verifier = JwtVerifier(server.url, [ISSUER], AUDIENCE, mode=JwtMode.ENFORCE, max_age_s=0.2)
    fresh = asyncio.create_task(verifier.keep_fresh())
    await eventually(lambda: server.asked >= 4)
    fresh.cancel()


async def test_fetching_goes_on_until_the_keys_are_there(
    verifier: JwtVerifier, server: KeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(acs_jwt, "RETRY_S", 0.01)
    server.status = 503
    fresh = asyncio.create_task(verifier.keep_fresh())
    await eventually(lambda: server.asked >= 3)
    server.status = 200
    await eventually(lambda: verifier._keys)
    asked = server.asked
    await verifier.check(bearer())
    assert server.asked == asked
    fresh.cancel()


async def test_known_keys_serve_while_the_endpoint_is_down(
    verifier: JwtVerifier, server: KeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(acs_jwt, "COOLDOWN_S", 0.0)
    await verifier.check(bearer())
    server.status = 503
    for _ in range(3):
        with pytest.raises(OutsideError):
            await verifier.check(bearer(OTHER_KEY, kid="k2"))
        await verifier.check(bearer())


async def test_an_endpoint_that_is_not_there_is_an_outside_error() -> None:
    verifier = JwtVerifier(f"http://127.0.0.1:{free_port()}/keys", [ISSUER], AUDIENCE, mode=JwtMode.ENFORCE)
    with pytest.raises(OutsideError, match="cannot be had"):
        await verifier.fetch()


async def test_a_silent_endpoint_is_given_up_in_time(
    verifier: JwtVerifier, server: KeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(acs_jwt, "_FETCH_TIMEOUT_S", 0.1)
    server.go_on.clear()
    began = time.monotonic()
    with pytest.raises(OutsideError):
        await verifier.check(bearer())
    assert time.monotonic() - began < 2
    server.go_on.set()


async def test_a_cancelled_fetch_does_not_start_the_cooldown(verifier: JwtVerifier, server: KeyServer) -> None:
    server.go_on.clear()
    check = asyncio.create_task(verifier.check(bearer()))
    while not server.asked:  # noqa: ASYNC110  # the server counts
        await asyncio.sleep(0.005)
    check.cancel()
    with pytest.raises(asyncio.CancelledError):
        await check
    server.go_on.set()
    await verifier.check(bearer())


# -- modes ----------------------------------------------------------------------------------------------------------
async def test_off_checks_nothing(server: KeyServer) -> None:
    verifier = JwtVerifier(server.url, [ISSUER], AUDIENCE, mode=JwtMode.OFF)
    assert await verifier.check(None) == {}
    assert await verifier.check(bearer()) == {}
    assert server.asked == 0


async def test_log_reports_and_lets_pass(server: KeyServer, caplog: pytest.LogCaptureFixture) -> None:
    verifier = JwtVerifier(server.url, [ISSUER], AUDIENCE, mode=JwtMode.LOG)
    assert (await verifier.check(bearer()))["iss"] == ISSUER
    assert caplog.messages == []
    assert await verifier.check(bearer(aud="another resource")) == {}
    assert await verifier.check(None) == {}
    assert caplog.messages == ["bearer token not valid; accepted"] * 2


async def test_enforce_leaves_the_log_to_whoever_refuses_the_request(
    verifier: JwtVerifier, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(AuthError):
        await verifier.check(bearer(aud="another resource"))
    assert caplog.messages == []


async def test_log_lets_pass_when_there_are_no_keys(server: KeyServer) -> None:
    server.status = 500
    verifier = JwtVerifier(server.url, [ISSUER], AUDIENCE, mode=JwtMode.LOG)
    assert await verifier.check(bearer()) == {}


async def test_a_refused_token_is_not_written_to_the_log(
    verifier: JwtVerifier, caplog: pytest.LogCaptureFixture
) -> None:
    token = bearer(aud="another resource")
    with pytest.raises(AuthError):
        await verifier.check(token)
    assert token.removeprefix("Bearer ") not in "".join(str(record.__dict__) for record in caplog.records)
