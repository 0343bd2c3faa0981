"""The npm client @azure/communication-call-automation answers a call of the simulated ACS, streams and hangs up."""

from __future__ import annotations

import pytest
import uvicorn

from lab.acs.app import create_app
from lab.acs.settings import AcsSettings
from lab.ports import free_port
from tests.support.lab_server import running
from tests.support.npm_contract import install, run, why_not

pytestmark = [pytest.mark.node, pytest.mark.timeout(240), pytest.mark.skipif(bool(why_not()), reason=why_not())]


async def test_the_npm_client_answers_streams_and_hangs_up() -> None:
    install()
    webhook_port, port = free_port(), free_port()
    settings = AcsSettings(port=port, webhook_url=f"http://127.0.0.1:{webhook_port}/api/incomingCall")
    config = uvicorn.Config(create_app(settings), host="127.0.0.1", port=port, log_config=None)
    async with running(config) as address:
        printed = await run(
            "call_automation.mjs",
            {"ACS_URL": f"http://{address}", "ACS_KEY": settings.acs_access_key, "WEBHOOK_PORT": str(webhook_port)},
        )
    assert "pass 5" in printed
    assert "skipped 0" in printed
