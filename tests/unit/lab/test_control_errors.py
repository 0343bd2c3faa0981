"""The errors of all simulators have the same format and list the known keys."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest
import uvicorn

from lab.acs.app import create_app as acs
from lab.acs.settings import AcsSettings
from lab.identity import IdentitySettings
from lab.identity import create_app as identity
from lab.voice_live.app import create_app as voice_live
from lab.voice_live.settings import VoiceLiveSettings
from tests.support.lab_server import running

KNOWN = {
    "acs": "rest, event_grid, callbacks, media",
    "voice_live": "handshake, refuse, drop, close",
    "identity": "status, times, delay_s, token_lifetime_s",
}
APPS = {
    "acs": lambda: acs(AcsSettings()),
    "voice_live": lambda: voice_live(VoiceLiveSettings()),
    "identity": lambda: identity(IdentitySettings()),
}


@pytest.fixture(params=APPS)
async def simulator(request: pytest.FixtureRequest) -> AsyncIterator[tuple[str, httpx.AsyncClient]]:
    config = uvicorn.Config(APPS[request.param](), port=0, log_level="warning")
    async with running(config) as address, httpx.AsyncClient(base_url=f"http://{address}", trust_env=False) as client:
        yield request.param, client


async def test_an_unknown_fault_is_refused_with_those_that_are_known(
    simulator: tuple[str, httpx.AsyncClient],
) -> None:
    name, client = simulator
    answer = await client.put("/lab/faults", json={"typo": 1})
    assert answer.status_code == 400
    [error] = answer.json()["error"]
    assert error.startswith(f"unknown key `typo`; allowed: {KNOWN[name]}")


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/lab/nothing", 404), ("PATCH", "/lab/faults", 405)])
async def test_errors_of_the_routing_are_json(
    simulator: tuple[str, httpx.AsyncClient], method: str, path: str, status: int
) -> None:
    answer = await simulator[1].request(method, path)
    assert answer.status_code == status
    assert path in answer.json()["error"] if status == 404 else "DELETE, " in answer.json()["error"]
    assert status == 404 or "PUT" in answer.headers["Allow"]


async def test_a_nested_key_is_named_with_its_place_and_its_keys(simulator: tuple[str, httpx.AsyncClient]) -> None:
    name, client = simulator
    bodies: dict[str, dict[str, object]] = {
        "acs": {"rest": {"answer": {"stauts": 500}}},
        "voice_live": {"handshake": {"stauts": 500}},
        "identity": {"stauts": 500},
    }
    [error] = [one for one in (await client.put("/lab/faults", json=bodies[name])).json()["error"] if "stauts" in one]
    assert "unknown key `stauts`" in error
    assert "status" in error.partition("allowed: ")[2]
