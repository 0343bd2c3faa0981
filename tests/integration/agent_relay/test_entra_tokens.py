"""The unmodified `DefaultAzureCredential` with a managed-identity endpoint."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from agent_relay.core.protocol.voice_target import TokenScope
from bridge_common.auth.entra_tokens import Tokens
from bridge_common.base.errors import OutsideError
from lab.identity import DEFAULT_SECRET, read_token
from tests.support.eventually import eventually
from tests.support.simulators import Simulator

SCOPES = {
    TokenScope.AI: "https://ai.azure.com/.default",
    TokenScope.COGNITIVE_SERVICES: "https://cognitiveservices.azure.com/.default",
}


async def _minted(identity: Simulator) -> dict[str, int]:
    counts = (await identity.get("/lab/tokens"))["minted"]
    assert isinstance(counts, list)
    return {count["resource"]: count["count"] for count in counts}


async def test_each_scope_has_its_token_which_is_requested_once(identity: Simulator) -> None:
    tokens = Tokens(SCOPES)
    for _ in range(3):
        for scope, name in SCOPES.items():
            token = read_token(await tokens.get(scope), DEFAULT_SECRET, 0)
            assert f"{token.audience}/.default" == name
    assert await _minted(identity) == {"https://ai.azure.com": 1, "https://cognitiveservices.azure.com": 1}
    await tokens.aclose()


async def test_a_refused_token_is_replaced(identity: Simulator) -> None:
    tokens = Tokens(SCOPES)
    first = await tokens.get(TokenScope.AI)
    fresh = await tokens.fresh(TokenScope.AI, first)
    assert fresh != first
    assert await tokens.get(TokenScope.AI) == fresh
    await tokens.aclose()


async def test_short_lived_tokens_are_refreshed(identity: Simulator) -> None:
    await identity.put("/lab/faults", {"token_lifetime_s": 3})
    tokens = Tokens({TokenScope.AI: SCOPES[TokenScope.AI]})
    running = asyncio.create_task(tokens.run())

    async def refreshed() -> bool:
        return (await _minted(identity)).get("https://ai.azure.com", 0) >= 2

    await eventually(refreshed, within_s=6)
    assert not tokens.missing
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running
    await tokens.aclose()


async def test_a_refusal_of_the_identity_is_an_error(identity: Simulator) -> None:
    await identity.put("/lab/faults", {"status": 400})
    tokens = Tokens(SCOPES)
    with pytest.raises(OutsideError, match=r"https://ai\.azure\.com"):
        await tokens.get(TokenScope.AI)
    await tokens.aclose()
