from __future__ import annotations

import asyncio
import contextlib
import time

import pytest
from azure.core.credentials import AccessToken
from azure.core.credentials_async import AsyncTokenCredential
from azure.core.exceptions import ClientAuthenticationError

from agent_relay.core.protocol.voice_target import TokenScope
from bridge_common.auth.entra_tokens import Tokens
from bridge_common.base.errors import OutsideError
from tests.support.eventually import eventually
from tests.support.recorded_spans import Growth

SCOPES = {TokenScope.AI: "https://ai.azure.com/.default"}


class CachingCredential(AsyncTokenCredential):
    """Like azure-identity: returns the same token until shortly before it expires."""

    made = 0

    def __init__(self, mint: Mint) -> None:
        self._mint = mint
        self._cached: AccessToken | None = None
        self.closed = False
        mint.credentials.append(self)

    async def get_token(self, *scopes: str, **_: object) -> AccessToken:
        if self._mint.broken:
            raise ClientAuthenticationError("no identity here")
        if self._cached is None or self._cached.expires_on <= time.time():
            self._mint.minted += 1
            self._cached = AccessToken(f"token-{self._mint.minted}", int(time.time() + self._mint.lifetime_s))
        return self._cached

    async def close(self) -> None:
        self.closed = True

    async def __aexit__(self, *_: object) -> None:
        await self.close()


class Mint:
    def __init__(self, lifetime_s: float = 3600) -> None:
        self.lifetime_s = lifetime_s
        self.minted = 0
        self.broken = False
        self.credentials: list[CachingCredential] = []

    def tokens(self) -> Tokens:
        return Tokens(SCOPES, lambda: CachingCredential(self))


async def test_one_credential_and_one_token_for_many_calls() -> None:
    mint = Mint()
    tokens = mint.tokens()
    assert tokens.missing == ["https://ai.azure.com/.default"]
    assert {*await asyncio.gather(*[tokens.get(TokenScope.AI) for _ in range(20)])} == {"token-1"}
    assert (len(mint.credentials), mint.minted, tokens.missing) == (1, 1, [])
    await tokens.aclose()
    assert mint.credentials[0].closed


async def test_a_rejected_token_is_replaced_once_for_all_who_ask() -> None:
    mint = Mint()
    tokens = mint.tokens()
    rejected = await tokens.get(TokenScope.AI)
    fresh = await asyncio.gather(*[tokens.fresh(TokenScope.AI, rejected) for _ in range(20)])
    assert {*fresh} == {"token-2"}
    assert mint.minted == 2
    assert [credential.closed for credential in mint.credentials] == [True, False]
    await tokens.aclose()


async def test_tokens_are_refreshed_before_they_expire() -> None:
    mint = Mint(lifetime_s=2)
    tokens = mint.tokens()
    running = asyncio.create_task(tokens.run())
    await eventually(lambda: mint.minted == 1)
    await eventually(lambda: mint.minted >= 2)
    assert not tokens.missing
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running
    await tokens.aclose()


async def test_an_expired_token_is_not_handed_out() -> None:
    mint = Mint(lifetime_s=-5)
    tokens = mint.tokens()
    first = await tokens.get(TokenScope.AI)
    assert tokens.missing
    mint.lifetime_s = 3600
    assert await tokens.get(TokenScope.AI) != first
    await tokens.aclose()


async def test_no_identity_is_an_outside_error_that_may_pass() -> None:
    mint = Mint()
    mint.broken = True
    tokens = mint.tokens()
    with pytest.raises(OutsideError) as caught:
        await tokens.get(TokenScope.AI)
    assert caught.value.retry
    mint.broken = False
    assert await tokens.get(TokenScope.AI) == "token-1"
    await tokens.aclose()


async def test_without_scopes_there_is_nothing_to_do() -> None:
    tokens = Tokens({}, lambda: pytest.fail("no credential is needed for a key"))
    running = asyncio.create_task(tokens.run())
    await asyncio.sleep(0)
    assert tokens.missing == []
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await tokens.aclose()


async def test_scopes_that_are_required_later_are_fetched_too() -> None:
    mint = Mint()
    tokens = Tokens({}, lambda: CachingCredential(mint))
    running = asyncio.create_task(tokens.run())
    await asyncio.sleep(0)
    tokens.require(SCOPES)
    assert tokens.missing == list(SCOPES.values())
    await eventually(lambda: not tokens.missing)
    tokens.require(SCOPES)
    await eventually(lambda: mint.minted == 1)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await tokens.aclose()


async def test_failures_are_counted_by_scope() -> None:
    grown, mint = Growth(), Mint()
    mint.broken = True
    tokens = Tokens({**SCOPES, TokenScope.COGNITIVE_SERVICES: "c", "else": "e"}, lambda: CachingCredential(mint))
    for scope in (TokenScope.AI, TokenScope.AI, TokenScope.COGNITIVE_SERVICES, "else"):
        with pytest.raises(OutsideError):
            await tokens.get(scope)
    await tokens.aclose()
    assert grown('bridge_token_failures_total{scope="ai"}') == 2
    assert grown('bridge_token_failures_total{scope="cognitive"}') == 1
    assert grown('bridge_token_failures_total{scope="other"}') == 1
