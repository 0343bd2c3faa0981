from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from simulators import Simulator, simulator


@pytest.fixture
async def voice_live() -> AsyncIterator[Simulator]:
    async with simulator("voice-live", SPEED="0", REPLY_DELAY_S="0.05", SESSION_SETUP_S="0.01") as running:
        yield running


@pytest.fixture
async def identity(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Simulator]:
    """With what `DefaultAzureCredential` needs to find it."""
    async with simulator("identity", IDENTITY_HEADER="header") as running:
        monkeypatch.setenv("IDENTITY_ENDPOINT", f"{running.url}/msi/token")
        monkeypatch.setenv("IDENTITY_HEADER", "header")
        yield running
