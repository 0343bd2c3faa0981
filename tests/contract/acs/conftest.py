"""Starts one simulated ACS for each test."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.contract.support.acs_stage import Stage, acs_stage


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    async with acs_stage() as stage:
        yield stage
