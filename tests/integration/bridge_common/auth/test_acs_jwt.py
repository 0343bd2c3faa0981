"""Bearer tokens against real RS256 keys and a JWKS endpoint on this machine."""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from collections.abc import AsyncIterator
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from bridge_common.auth.acs_jwt import JwtMode, JwtVerifier
from bridge_common.base.errors import AuthError
from tests.integration.support.jwt_stage import (
    AUDIENCE,
    ISSUER,
    KEY,
    OTHER_KEY,
    KeyServer,
    bearer,
    claims,
    encoded,
    jwk,
    key_server,
)


@pytest.fixture
async def server() -> AsyncIterator[KeyServer]:
    async with key_server() as server:
        yield server


@pytest.fixture
def verifier(server: KeyServer) -> JwtVerifier:
    return JwtVerifier(server.url, [ISSUER], AUDIENCE, mode=JwtMode.ENFORCE)


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


@pytest.mark.parametrize(
    ("changes", "remedy"),
    [
        ({"aud": "another resource"}, "compare its `aud` claim with ACS_JWT_AUDIENCE"),
        ({"iss": "another issuer"}, "compare its `iss` claim with ACS_JWT_ISSUER"),
    ],
)
async def test_the_error_contains_the_setting(verifier: JwtVerifier, changes: dict[str, Any], remedy: str) -> None:
    with pytest.raises(AuthError, match=remedy):
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


async def test_keys_that_the_token_brings_along_are_not_used(verifier: JwtVerifier, server: KeyServer) -> None:
    async with key_server() as attacker:
        attacker.offer({"k1": OTHER_KEY})
        for header in ({"jku": attacker.url}, {"jwk": jwk(OTHER_KEY, "k1")}, {"x5u": attacker.url}):
            token = jwt.encode(claims(), OTHER_KEY, algorithm="RS256", headers={"kid": "k1", **header})
            with pytest.raises(AuthError):
                await verifier.check(f"Bearer {token}")
        assert (attacker.asked, server.asked) == (0, 1)


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
    assert caplog.messages == ["invalid bearer token accepted"] * 2


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
