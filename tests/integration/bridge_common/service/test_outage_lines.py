"""Redis stalls under a service without calls: two log lines for readiness and two for each background loop."""

from __future__ import annotations

import signal
from collections import Counter
from collections.abc import Iterator
from subprocess import Popen

import pytest

from lab.ports import free_port
from lab.redis_server import start_server
from tests.integration.support.services import Start, agent_relay, await_readiness, call_control, media_gateway
from tests.support.eventually import eventually

pytestmark = pytest.mark.timeout(60)
HEARTBEAT = {"failed to write heartbeat": "heartbeat recovered"}
OUTAGES = {
    "call_control": {**HEARTBEAT, "failed to process the inbox; retrying": "inbox processing recovered"},
    "media_gateway": HEARTBEAT,
    "agent_relay": {**HEARTBEAT, "failed to claim calls; retrying": "claiming of calls recovered"},
}


@pytest.fixture
def server() -> Iterator[tuple[Popen[bytes], str]]:
    port = free_port()
    server = start_server(port)
    yield server, f"redis://127.0.0.1:{port}/0"
    server.kill()
    server.wait()


@pytest.mark.parametrize("start", [call_control, media_gateway, agent_relay], ids=lambda start: start.__name__)
async def test_an_outage_is_two_lines(
    start: Start,
    server: tuple[Popen[bytes], str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    redis, url = server
    outages = OUTAGES[start.__name__]
    async with start(url) as address:
        await eventually(lambda: "ready" in caplog.messages)
        caplog.clear()
        redis.send_signal(signal.SIGSTOP)
        try:
            await await_readiness(address, 503, "Redis")
            begun = {"not ready", *outages}
            await eventually(lambda: begun <= set(caplog.messages), within_s=20)
        finally:
            redis.send_signal(signal.SIGCONT)
        over = {"ready again", *outages.values()}
        await eventually(lambda: over <= set(caplog.messages), within_s=20)
        told = Counter(record.message for record in caplog.records if record.levelname in ("WARNING", "ERROR"))
        assert set(told) <= begun | over | {"stream read failing", "stream read recovered"}
        assert set(told.values()) == {1}, told
        [unready] = [record for record in caplog.records if record.message == "not ready"]
        assert "Redis" in vars(unready)["bridge_fields"]["reason"]
        [again] = [record for record in caplog.records if record.message == "ready again"]
        assert vars(again)["bridge_fields"]["lasted_s"] > 0
