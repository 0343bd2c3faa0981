"""The managed identity endpoint: tokens, checks, faults, and the unmodified azure-identity as its client."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator

import azure.identity.aio
import httpx
import jwt
import pytest
import uvicorn
from azure.core.exceptions import ClientAuthenticationError

from lab.identity import (
    DEFAULT_HEADER,
    DEFAULT_SECRET,
    ISSUER,
    IdentitySettings,
    IssuedToken,
    TokenError,
    create_app,
    mint_token,
    read_token,
)
from tests.support.lab_server import running

AI = "https://ai.azure.com"
ASK = {"api-version": "2019-08-01", "resource": AI}
HEADERS = {"X-IDENTITY-HEADER": DEFAULT_HEADER}


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(create_app(IdentitySettings()))
    async with httpx.AsyncClient(transport=transport, base_url="http://identity") as client:
        yield client


def test_a_minted_token_reads_back() -> None:
    token = IssuedToken(AI, "app-1", 1_000_600)
    assert read_token(mint_token(token, DEFAULT_SECRET, 1_000_000.0), DEFAULT_SECRET, 1_000_599.0) == token


def test_expiry_secret_issuer_and_form_are_checked() -> None:
    encoded = mint_token(IssuedToken(AI, "app-1", 1_000_600), DEFAULT_SECRET, 1_000_000.0)
    with pytest.raises(TokenError, match="expired"):
        read_token(encoded, DEFAULT_SECRET, 1_000_600.0)
    foreign = jwt.encode({"iss": "x", "aud": AI, "exp": 2_000_000}, DEFAULT_SECRET, algorithm="HS256")
    unsigned = jwt.encode({"iss": ISSUER, "aud": AI, "exp": 2_000_000}, "", algorithm="none")
    for bad in (encoded[:-4] + "AAAA", foreign, unsigned, "", "a.b.c", "Bearer x"):
        with pytest.raises(TokenError, match="not issued by the simulated identity"):
            read_token(bad, DEFAULT_SECRET, 1_000_000.0)
    with pytest.raises(TokenError, match="not issued by the simulated identity"):
        read_token(encoded, "another-secret-of-enough-length-for-hs256", 1_000_000.0)


async def test_answers_as_app_service_does(client: httpx.AsyncClient) -> None:
    answer = await client.get("/msi/token", params=ASK | {"client_id": "app-9"}, headers=HEADERS)
    assert answer.status_code == 200
    body = answer.json()
    assert body["resource"] == AI
    assert body["token_type"] == "Bearer"
    assert isinstance(body["expires_on"], str)
    token = read_token(body["access_token"], DEFAULT_SECRET, time.time())
    assert token == IssuedToken(AI, "app-9", int(body["expires_on"]))
    assert (await client.get("/lab/tokens")).json()["minted"] == [{"resource": AI, "client_id": "app-9", "count": 1}]


@pytest.mark.parametrize(
    ("params", "headers", "status"),
    [
        (ASK, {}, 401),
        (ASK, {"X-IDENTITY-HEADER": "wrong"}, 401),
        (ASK | {"api-version": "2017-09-01"}, HEADERS, 400),
        ({"api-version": "2019-08-01"}, HEADERS, 400),
    ],
)
async def test_invalid_requests_are_refused(
    client: httpx.AsyncClient, params: dict[str, str], headers: dict[str, str], status: int
) -> None:
    answer = await client.get("/msi/token", params=params, headers=headers)
    assert answer.status_code == status
    assert answer.json()["message"]
    assert (await client.get("/lab/tokens")).json()["minted"] == []


async def test_faults_happen_as_often_as_configured(client: httpx.AsyncClient) -> None:
    assert (await client.put("/lab/faults", json={"status": 500, "times": 2})).status_code == 200
    statuses = [(await client.get("/msi/token", params=ASK, headers=HEADERS)).status_code for _ in range(3)]
    assert statuses == [500, 500, 200]
    await client.put("/lab/faults", json={"status": 503})
    assert (await client.get("/msi/token", params=ASK, headers=HEADERS)).status_code == 503
    assert (await client.delete("/lab/faults")).status_code == 204
    assert (await client.get("/msi/token", params=ASK, headers=HEADERS)).status_code == 200


async def test_an_expired_token_can_be_injected(client: httpx.AsyncClient) -> None:
    await client.put("/lab/faults", json={"token_lifetime_s": -10})
    body = (await client.get("/msi/token", params=ASK, headers=HEADERS)).json()
    with pytest.raises(TokenError, match="expired"):
        read_token(body["access_token"], DEFAULT_SECRET, time.time())


@pytest.mark.parametrize("body", [b"{", b'{"status": "no"}', b'{"typo": 1}'])
async def test_bad_faults_are_answered_with_a_reason(client: httpx.AsyncClient, body: bytes) -> None:
    answer = await client.put("/lab/faults", content=body)
    assert answer.status_code == 400
    assert answer.json()["error"]


def test_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "9001")
    monkeypatch.setenv("TOKEN_LIFETIME_S", "60")
    settings = IdentitySettings.from_env()
    assert (settings.port, settings.token_lifetime_s, settings.host) == (9001, 60, "127.0.0.1")


async def test_default_azure_credential_runs_unmodified(monkeypatch: pytest.MonkeyPatch) -> None:
    config = uvicorn.Config(create_app(IdentitySettings()), port=0, log_level="warning")
    async with running(config) as address:
        monkeypatch.setenv("IDENTITY_ENDPOINT", f"http://{address}/msi/token")
        monkeypatch.setenv("IDENTITY_HEADER", DEFAULT_HEADER)
        for audience in (AI, "https://cognitiveservices.azure.com"):
            async with azure.identity.aio.DefaultAzureCredential(managed_identity_client_id="app-7") as credential:
                encoded = (await credential.get_token(f"{audience}/.default")).token
            assert read_token(encoded, DEFAULT_SECRET, time.time()).audience == audience
        monkeypatch.setenv("IDENTITY_HEADER", "wrong")
        async with azure.identity.aio.ManagedIdentityCredential() as credential:
            with pytest.raises(ClientAuthenticationError):
                await credential.get_token(f"{AI}/.default")
