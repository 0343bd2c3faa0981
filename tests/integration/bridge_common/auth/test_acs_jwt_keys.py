"""Signing keys: when they are fetched, and how long they are trusted."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from bridge_common.auth.acs_jwt import COOLDOWN_S, JwksTiming, JwtMode, JwtVerifier
from bridge_common.base.errors import AuthError, OutsideError
from call_control.http.authentication import entra_verifier
from lab.ports import free_port
from tests.integration.support.jwt_stage import (
    AUDIENCE,
    ISSUER,
    KEY,
    OTHER_KEY,
    KeyServer,
    bearer,
    key_server,
)
from tests.support.eventually import eventually
from tests.support.recorded_spans import Growth


@pytest.fixture
async def server() -> AsyncIterator[KeyServer]:
    async with key_server() as server:
        yield server


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def verifier(server: KeyServer) -> JwtVerifier:
    return JwtVerifier(server.url, [ISSUER], AUDIENCE, mode=JwtMode.ENFORCE)


def timed_verifier(server: KeyServer, timing: JwksTiming) -> JwtVerifier:
    return JwtVerifier(server.url, [ISSUER], AUDIENCE, mode=JwtMode.ENFORCE, timing=timing)


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


async def test_an_unknown_key_asks_again_once_in_the_cooldown(server: KeyServer) -> None:
    clock = Clock()
    verifier = JwtVerifier(server.url, [ISSUER], AUDIENCE, mode=JwtMode.ENFORCE, clock=clock)
    await verifier.check(bearer())
    for _ in range(5):
        with pytest.raises(AuthError, match=rf"unknown key.*{server.url}; check ACS_JWKS_URL"):
            await verifier.check(bearer(OTHER_KEY, kid="k2"))
    assert server.asked == 1
    server.offer({"k1": KEY, "k2": OTHER_KEY})
    clock.now += COOLDOWN_S
    for _ in range(5):
        await verifier.check(bearer(OTHER_KEY, kid="k2"))
    await verifier.check(bearer())
    assert server.asked == 2


async def test_a_key_that_was_withdrawn_is_not_accepted_after_the_next_fetch(server: KeyServer) -> None:
    verifier = timed_verifier(server, JwksTiming(cooldown_s=0.0))
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
    """Not a fault of the sender: a 401 would make Event Grid drop the event."""
    server.body = body
    with pytest.raises(OutsideError) as caught:
        await verifier.check(bearer())
    assert caught.value.retry


async def test_a_huge_key_set_is_refused(verifier: JwtVerifier, server: KeyServer) -> None:
    server.body = b" " * 300_000 + server.body
    with pytest.raises(OutsideError, match="more than"):
        await verifier.check(bearer())


async def test_a_failed_fetch_is_not_repeated_at_once_but_soon(server: KeyServer) -> None:
    clock = Clock()
    verifier = JwtVerifier(server.url, [ISSUER], AUDIENCE, mode=JwtMode.ENFORCE, clock=clock)
    server.status = 500
    for _ in range(5):
        with pytest.raises(OutsideError):
            await verifier.check(bearer())
    assert server.asked == 1
    server.status = 200
    clock.now += JwksTiming().retry_s
    await verifier.check(bearer())
    assert server.asked == 2


async def test_a_key_that_left_the_key_set_is_trusted_for_the_maximum_age_only(server: KeyServer) -> None:
    """Without tokens of other keys the key set was not fetched again, so a withdrawn key was trusted for ever."""
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
        with pytest.raises(OutsideError, match="are unavailable"):
            await verifier.check(bearer())
        clock.now += 60
    server.status = 200
    await verifier.check(bearer())


async def test_keys_are_fetched_again_while_nobody_asks(server: KeyServer) -> None:
    verifier = JwtVerifier(server.url, [ISSUER], AUDIENCE, mode=JwtMode.ENFORCE, max_age_s=0.2)
    fresh = asyncio.create_task(verifier.keep_fresh())
    await eventually(lambda: server.asked >= 4)
    fresh.cancel()


async def test_fetching_goes_on_until_the_keys_are_there(server: KeyServer) -> None:
    verifier = timed_verifier(server, JwksTiming(retry_s=0.01))
    server.status = 503
    fresh = asyncio.create_task(verifier.keep_fresh())
    await eventually(lambda: server.asked >= 3)
    asked, server.status = server.asked, 200
    await eventually(lambda: server.asked == asked + 1)
    await verifier.check(bearer())
    assert server.asked == asked + 1
    fresh.cancel()


async def test_known_keys_serve_while_the_endpoint_is_down(server: KeyServer) -> None:
    verifier = timed_verifier(server, JwksTiming(cooldown_s=0.0))
    await verifier.check(bearer())
    server.status = 503
    for _ in range(3):
        with pytest.raises(OutsideError):
            await verifier.check(bearer(OTHER_KEY, kid="k2"))
        await verifier.check(bearer())


async def test_an_endpoint_that_is_not_there_is_an_outside_error() -> None:
    verifier = JwtVerifier(f"http://127.0.0.1:{free_port()}/keys", [ISSUER], AUDIENCE, mode=JwtMode.ENFORCE)
    with pytest.raises(OutsideError, match="are unavailable"):
        await verifier.fetch()


async def test_a_silent_endpoint_is_given_up_in_time(server: KeyServer) -> None:
    verifier = timed_verifier(server, JwksTiming(fetch_timeout_s=0.1))
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


@pytest.mark.parametrize("issuer", ["acs", "event_grid", "agent_tools"])
async def test_failed_fetches_are_counted_by_issuer(issuer: str) -> None:
    nowhere = f"http://127.0.0.1:{free_port()}/keys"
    if issuer == "acs":
        verifier = JwtVerifier(nowhere, [ISSUER], AUDIENCE, mode=JwtMode.ENFORCE)
    else:
        verifier = entra_verifier("tenant", AUDIENCE, nowhere, prefix=issuer.upper())
    grown = Growth()
    for _ in range(2):
        with pytest.raises(OutsideError):
            await verifier.fetch()
    assert grown(f'bridge_signing_key_failures_total{{issuer="{issuer}"}}') == 1, "the second one was not sent"
