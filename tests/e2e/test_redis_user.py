"""A complete call with the minimum permissions of docs/redis.md, on one server and on a cluster."""

from __future__ import annotations

import contextlib
import json
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from bridge_common.base.ids import call_id_of
from lab.observed_call import place_call
from lab.ports import free_port
from lab.redis_cluster import redis_cluster
from lab.redis_line import ask
from lab.redis_server import start_server
from lab.scenario import Agent, Reply, Scenario, ScenarioCaller, ScenarioStep
from lab.stack import API_KEY, Ports, Stack, running
from lab.wire import call_json
from tests.support.eventually import eventually
from tests.support.redis_docs import make_user
from tests.support.redis_user import PASSWORD

pytestmark = pytest.mark.timeout(180)
SCENARIO = Scenario(
    name="least privilege",
    caller=ScenarioCaller(
        number="+14255550188",
        steps=(
            ScenarioStep(wait_for="agent_ends", ms=2500),
            ScenarioStep(say="Where is my order?"),
            ScenarioStep(wait_for="agent_ends", ms=2500),
            ScenarioStep(hang_up=True),
        ),
    ),
    agent=Agent(greeting="Hello there.", replies=(Reply(heard="Where is my order?", say="It arrives tomorrow."),)),
)
ONE_SERVER = "One server, or a primary behind sentinels"
HARMLESS = {"client|setinfo"}
"""Commands that may be denied: Redis 7.0 does not have them, so its users have no permission for them."""


@contextlib.contextmanager
def one_server(_: Path) -> Iterator[list[int]]:
    port = free_port()
    process = start_server(port)
    try:
        make_user(port, ONE_SERVER, password=PASSWORD)
        yield [port]
    finally:
        process.kill()
        process.wait()


@contextlib.contextmanager
def cluster(folder: Path) -> Iterator[list[int]]:
    with redis_cluster(folder) as servers:
        for port in servers.ports:
            make_user(port, ONE_SERVER, "A cluster, in addition", password=PASSWORD)
        yield servers.ports


def put_routing(stack: Stack) -> None:
    limited = {"name": "limited", "agent": "default", "max_calls": 1, "wait": 5}
    policy = json.dumps({"rules": [limited, {"name": "rest", "agent": "default"}]}).encode()
    headers = {"Content-Type": "application/json", "X-Api-Key": API_KEY, "If-Match": "*"}
    url = f"{stack.url('call-control')}/api/routing"
    with urllib.request.urlopen(urllib.request.Request(url, policy, headers, method="PUT")) as reply:
        assert reply.status == 200


@pytest.mark.parametrize("servers", [one_server, cluster])
async def test_a_call_needs_no_other_rights(
    servers: Callable[[Path], AbstractContextManager[list[int]]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with servers(tmp_path / "redis") as ports:
        monkeypatch.setenv("REDIS_URL", f"redis://svc:{PASSWORD}@127.0.0.1:{ports[0]}/0")
        settings = {"REDIS_CLUSTER": "true", "REDIS_SHARDS": "12"} if len(ports) > 1 else {}
        extra = {name: dict(settings) for name in ("call-control", "media-gateway", "agent-relay")}
        extra["agent-relay"]["VOICE_LIVE_CONNECTIONS_PER_MIN"] = "30"
        with running(Stack(Ports.free(), tmp_path / "stack", extra)) as stack:
            for port in ports:
                ask(port, "ACL", "LOG", "RESET")
            put_routing(stack)
            call = place_call(stack, SCENARIO)

            def connected() -> bool:
                call.poll()
                return bool(call.times("phone", "call_connected"))

            def finished() -> bool:
                call.poll()
                return call.finished

            await eventually(connected, within_s=20, every_s=0.1)
            call_id = call_id_of(str(call.phone["correlation_id"]))
            base = f"{stack.url('call-control')}/api/calls/{call_id}"
            call_json("POST", f"{base}/say", {"text": "One moment, please."})
            await eventually(finished, within_s=40, every_s=0.1)
            await eventually(lambda: call_json("GET", base)["status"] == "ended")
            said = [row["text"] for row in call.transcript(call_id) if row.get("role") == "agent"]
            assert {"Hello there.", "It arrives tomorrow."} <= set(said)
            assert stack.dead() == []
        for port in ports:
            refused = [dict(zip(row[::2], row[1::2], strict=True))["object"] for row in ask(port, "ACL", "LOG")]
            assert set(refused) <= HARMLESS
