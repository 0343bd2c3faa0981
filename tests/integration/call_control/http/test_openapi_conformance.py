"""Schemathesis against the running service: no 5xx, and every answer as described in both OpenAPI documents."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from bridge_common.redis.clients import RedisClients
from tests.support.nightly import NIGHTLY
from tests.support.scripted_acs import ScriptedAcs
from tests.support.switchboard import API_KEY, OPERATOR, PhoneCall, Switchboard, switchboard

DOCUMENT = Path(__file__).parents[4] / "docs/openapi.json"
AGENT_KEY = "key-of-the-agents-of-the-tests"
PHASES = "coverage,fuzzing" if NIGHTLY else "coverage"
"""By day only the phase that derives requests from each keyword of the schemas, at night random ones as well."""
CONFIG = """
[checks]
# After ten wrong keys in a minute, the documented answer is 429 and not 401. See the test of all operations below.
ignored_auth.enabled = false
# 404, 409: the call is unknown, or in another status. 412: an ETag is drawn at random. 422: what a schema cannot say
# about a policy. 429: too many announcements, wrong keys or unknown call references.
positive_data_acceptance.expected-statuses = ["2xx", "404", "409", "412", "422", "429"]
# 428 is the status for a missing If-Match (RFC 6585).
missing_required_header.expected-statuses = ["400", "401", "428"]
"""
PREVIEW_CONFIG = """
[[operations]]
include-name = "POST /api/routing/preview"
# 400: a schema with the format date-time cannot limit the years of `at`.
[operations.checks.positive_data_acceptance]
expected-statuses = ["2xx", "400", "429"]
"""
ENDING = [
    "DELETE /api/calls/{call_id}",
    "POST /api/calls/{call_id}/hangup",
    "POST /api/calls/{call_id}/actions",
    "POST /api/callbacks/{call_id}",
]
"""Operations that may end their call: each gets one of its own."""
AGENT_CONFIG = """
# Agents receive a refusal as a 200 with `ok: false`, and words that they can say.
negative_data_rejection.expected-statuses = ["200", "400", "401", "413"]
"""


@pytest.fixture
async def board(redis_url: str, clients: RedisClients, acs: ScriptedAcs) -> AsyncIterator[Switchboard]:
    # No media socket attaches to the calls.
    more = {"AGENT_TOOLS_KEYS": AGENT_KEY, "SAY_PER_MINUTE": "6000", "MEDIA_PATIENCE_S": "300"}
    more["GOODBYE_TIMEOUT_S"] = "60"
    async with switchboard(redis_url, clients, acs, **more) as board:
        yield board


async def conforms(board: Switchboard, document: Path, key: str, config: str, *selection: str) -> None:
    file = document.with_name("schemathesis.toml")
    file.write_text(CONFIG + config)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(file), "run", str(document)),
        *("--url", str(board.http.base_url), "--header", f"X-Api-Key: {key}", "--no-color"),
        *("--seed", "19", "--max-examples", "4", "--phases", PHASES, "--generation-database", "none"),
        *("--no-shrink", "--continue-on-failure", *selection),
        cwd=document.parent,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        output, _ = await process.communicate()
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
    assert process.returncode == 0, output.decode()


# Half of the requests are for the routing policy: two processes need half of the time.
@pytest.mark.parametrize("selection", ["include", "exclude"])
@pytest.mark.timeout(240)
async def test_the_answers_of_the_operator_api_are_as_described(
    board: Switchboard, tmp_path: Path, selection: str
) -> None:
    kept, *others = (PhoneCall(caller=f"4:+1425555010{number}") for number in range(1 + len(ENDING)))
    for call in (kept, *others):
        await board.connect(call)
    path = f"/api/calls/{kept.call_id}/actions"
    reply = await board.http.post(path, json={"action": "note", "text": "gold"}, headers=OPERATOR)
    config = f"""{PREVIEW_CONFIG}
[parameters]
"path.call_id" = "{kept.call_id}"
"path.action_id" = "{reply.json()["action_id"]}"
"""
    for name, call in zip(ENDING, others, strict=True):
        parameters = f'{{"path.call_id" = "{call.call_id}"}}'
        config += f'\n[[operations]]\ninclude-name = "{name}"\nparameters = {parameters}\n'
    document = tmp_path / "openapi.json"
    document.write_bytes(DOCUMENT.read_bytes())
    await conforms(board, document, API_KEY, config, f"--{selection}-path-regex", "^/api/routing")
    assert (await board.http.get(f"/api/calls/{kept.call_id}", headers=OPERATOR)).json()["status"] == "connected"


@pytest.mark.timeout(120)
async def test_the_answers_of_the_agent_tools_are_as_described(board: Switchboard, tmp_path: Path) -> None:
    document = tmp_path / "openapi.json"
    document.write_bytes((await board.http.get("/agent/openapi.json")).content)
    await conforms(board, document, AGENT_KEY, AGENT_CONFIG)


async def test_every_operation_for_operators_rejects_a_request_without_key(board: Switchboard) -> None:
    """Each from its own address, because wrong keys are limited by address."""
    paths = json.loads(DOCUMENT.read_bytes())["paths"]
    guarded = [(method, path) for path, item in paths.items() for method in item if "security" in item[method]]
    assert len(guarded) > 10
    for number, (method, path) in enumerate(guarded, 2):
        transport = httpx.AsyncHTTPTransport(local_address=f"127.0.{number}.1")
        async with httpx.AsyncClient(transport=transport, base_url=board.http.base_url) as client:
            reply = await client.request(method, path.replace("{call_id}", "call_1"))
        assert reply.status_code == 401, f"{method} {path}"
        assert reply.headers["content-type"] == "application/problem+json"
        assert reply.json()["code"] == "unauthorized"
