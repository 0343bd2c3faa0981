"""Deletion costs of pods, written to an HTTPS server that plays the API server of Kubernetes."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from aiohttp import web

from bridge_common.base.retry import Backoff
from bridge_common.redis.clients import RedisClients
from bridge_common.store.fleet import Fleet
from bridge_common.wire.keys import POD_COSTS
from call_control.kubernetes.pod_api import DELETION_COST, ApiServer
from call_control.kubernetes.pod_cost_writer import CostTiming, PodCostWriter
from lab.ports import free_port
from lab.tls import server_tls
from tests.support.eventually import eventually

pytestmark = pytest.mark.timeout(60)
TIMING = CostTiming(every_s=0.05, lease_s=1.0, backoff=Backoff(first_s=0.05, most_s=0.2))
BEGUN, OVER = "failed to write pod deletion costs; retrying", "pod deletion costs recovered"


@dataclass
class PlayedApiServer:
    """Accepts merge patches of pods with the current token. `status`: answer instead of 200, for all pods or one."""

    port: int
    token: str = "first-token"
    status: dict[str, int] = field(default_factory=dict)
    delay_s: float = 0.0
    costs: dict[str, str] = field(default_factory=dict)
    patches: int = 0
    refused: int = 0

    async def patch(self, request: web.Request) -> web.Response:
        await asyncio.sleep(self.delay_s)
        pod = request.match_info["pod"]
        if request.headers["Authorization"] != f"Bearer {self.token}":
            self.refused += 1
            return web.json_response({"kind": "Status", "code": 401}, status=401)
        status = self.status.get(pod, self.status.get("*", 200))
        if status != 200:
            self.refused += 1
            return web.json_response({"kind": "Status", "code": status, "message": "no"}, status=status)
        assert request.content_type == "application/merge-patch+json"
        body = await request.json()
        assert list(body) == ["metadata"], "nothing else of the pod is changed"
        assert list(body["metadata"]) == ["annotations"]
        self.costs[pod] = body["metadata"]["annotations"][DELETION_COST]
        self.patches += 1
        return web.json_response({"kind": "Pod"})


@contextlib.asynccontextmanager
async def serving(server: PlayedApiServer, folder: Path) -> AsyncIterator[None]:
    app = web.Application()
    app.router.add_patch("/api/v1/namespaces/voice-bridge/pods/{pod}", server.patch)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", server.port, ssl_context=server_tls(folder).context).start()
    try:
        yield
    finally:
        await runner.cleanup()


@pytest.fixture
def account(tmp_path: Path) -> Path:
    """The files of a service account."""
    folder = tmp_path / "serviceaccount"
    folder.mkdir()
    (folder / "token").write_text("first-token\n")
    (folder / "namespace").write_text("voice-bridge")
    (folder / "ca.crt").write_bytes(server_tls(tmp_path / "tls").ca.read_bytes())
    return folder


@pytest.fixture
async def server(tmp_path: Path, account: Path) -> AsyncIterator[PlayedApiServer]:
    played = PlayedApiServer(free_port())
    async with serving(played, tmp_path / "tls"):
        yield played


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    """The lines of our code; the played server logs broken connections."""
    return [record.message for record in caplog.records if not record.name.startswith("aiohttp")]


class Pods:
    """The heartbeats of relays in pods of the same names."""

    def __init__(self, clients: RedisClients) -> None:
        self._clients = clients
        self.calls: dict[str, int] = {}
        self.draining: set[str] = set()

    async def beat(self) -> None:
        while True:
            for pod, calls in self.calls.items():
                fleet = Fleet(self._clients.control, f"relay-{pod}", "agent-relay", host=pod)
                await fleet.beat(capacity=40, active=calls, draining=pod in self.draining)
            await asyncio.sleep(0.1)


@pytest.fixture
async def pods(clients: RedisClients) -> AsyncIterator[Pods]:
    found = Pods(clients)
    beating = asyncio.create_task(found.beat())
    yield found
    beating.cancel()
    await asyncio.wait({beating})


@contextlib.asynccontextmanager
async def writing(
    clients: RedisClients, port: int, account: Path, name: str = "control-1", timing: CostTiming = TIMING
) -> AsyncIterator[None]:
    fleet = Fleet(clients.control, name, "call-control")
    writer = PodCostWriter(clients.control, fleet, ApiServer("127.0.0.1", port, account, timeout_s=0.5), name, timing)
    task = asyncio.create_task(writer.run())
    try:
        yield
        assert not task.done()
    finally:
        task.cancel()
        await asyncio.wait({task})


async def test_costs_follow_the_calls_and_draining_pods_are_lowest(
    clients: RedisClients, server: PlayedApiServer, account: Path, pods: Pods
) -> None:
    pods.calls = {"a": 5, "b": 20}
    async with writing(clients, server.port, account):
        await eventually(lambda: server.costs == {"a": "5", "b": "20"})
        pods.calls = {"a": 35, "b": 20, "c": 0}
        await eventually(lambda: server.costs == {"a": "35", "b": "20", "c": "0"})
        pods.draining = {"a"}
        await eventually(lambda: server.costs["a"] == "-1")
        patches = server.patches
        pods.calls = {"a": 35, "b": 21, "c": 1}
        await asyncio.sleep(10 * TIMING.every_s)
        assert server.patches == patches, "the order has not changed"


async def test_one_replica_writes_and_another_takes_over(
    clients: RedisClients, server: PlayedApiServer, account: Path, pods: Pods
) -> None:
    pods.calls = {"a": 5}
    async with contextlib.AsyncExitStack() as first:
        await first.enter_async_context(writing(clients, server.port, account, "control-1"))
        await eventually(lambda: server.costs == {"a": "5"})
        async with writing(clients, server.port, account, "control-2"):
            await asyncio.sleep(5 * TIMING.every_s)
            assert (await clients.control.get(POD_COSTS), server.patches) == (b"control-1", 1)
            await first.aclose()
            server.costs.clear()
            await eventually(lambda: server.costs == {"a": "5"})
            assert await clients.control.get(POD_COSTS) == b"control-2"


async def test_the_token_is_read_again_when_kubelet_has_replaced_it(
    clients: RedisClients, server: PlayedApiServer, account: Path, pods: Pods, caplog: pytest.LogCaptureFixture
) -> None:
    pods.calls = {"a": 5}
    async with writing(clients, server.port, account):
        await eventually(lambda: server.costs == {"a": "5"})
        server.token = "second-token"
        pods.calls = {"a": 5, "b": 7}
        await eventually(lambda: server.refused > 1)
        (account / "token").write_text("second-token\n")
        await eventually(lambda: server.costs == {"a": "5", "b": "7"})
        await eventually(lambda: OVER in lines(caplog))
    assert lines(caplog) == [BEGUN, OVER]


@pytest.mark.parametrize(
    ("status", "reason"),
    [(403, "give the service account"), (500, "500"), (429, "429"), (301, "301")],
)
async def test_refusals_are_one_outage_line_and_the_costs_follow_later(
    clients: RedisClients,
    server: PlayedApiServer,
    account: Path,
    pods: Pods,
    caplog: pytest.LogCaptureFixture,
    status: int,
    reason: str,
) -> None:
    server.status = {"*": status}
    pods.calls = {"a": 5, "b": 6}
    async with writing(clients, server.port, account):
        await eventually(lambda: server.refused > 2)
        server.status = {}
        await eventually(lambda: server.costs == {"a": "5", "b": "6"})
        await eventually(lambda: OVER in lines(caplog))
    assert lines(caplog) == [BEGUN, OVER]
    assert reason in vars(caplog.records[0])["bridge_fields"]["error"]


@pytest.mark.parametrize("status", [404, 409])
async def test_a_pod_that_cannot_be_patched_does_not_delay_the_others(
    clients: RedisClients,
    server: PlayedApiServer,
    account: Path,
    pods: Pods,
    caplog: pytest.LogCaptureFixture,
    status: int,
) -> None:
    server.status = {"a": status}
    pods.calls = {"a": 5, "b": 6}
    async with writing(clients, server.port, account):
        await eventually(lambda: server.costs == {"b": "6"})
        await asyncio.sleep(10 * TIMING.every_s)
        assert (server.refused == 1) is (status == 404), "a missing pod is not tried again, a conflict is"
        assert lines(caplog) == [BEGUN]
        if status == 409:
            server.status = {}
        else:
            del pods.calls["a"]
        await eventually(lambda: OVER in lines(caplog))
    assert lines(caplog) == [BEGUN, OVER]


async def test_an_api_server_that_is_slow_or_away_is_one_outage(
    clients: RedisClients, tmp_path: Path, account: Path, pods: Pods, caplog: pytest.LogCaptureFixture
) -> None:
    played = PlayedApiServer(free_port(), delay_s=5.0)
    pods.calls = {"a": 5}
    async with writing(clients, played.port, account):
        await eventually(lambda: lines(caplog) == [BEGUN])
        async with serving(played, tmp_path / "tls"):
            await asyncio.sleep(0.7)  # longer than the time limit of a request
            played.delay_s = 0.0
            await eventually(lambda: played.costs == {"a": "5"})
            await eventually(lambda: OVER in lines(caplog))
    assert lines(caplog) == [BEGUN, OVER]


async def test_a_server_with_another_certificate_gets_no_token(
    clients: RedisClients, server: PlayedApiServer, account: Path, tmp_path: Path, pods: Pods,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    (account / "ca.crt").write_bytes(server_tls(tmp_path / "other").ca.read_bytes())
    pods.calls = {"a": 5}
    async with writing(clients, server.port, account):
        await eventually(lambda: lines(caplog) == [BEGUN])
    assert "certificate" in vars(caplog.records[0])["bridge_fields"]["error"].lower()
    assert (server.patches, server.refused) == (0, 0)


@pytest.mark.parametrize("text", ["", "first\nsecond", "first\x00second"])
async def test_a_broken_token_is_an_outage(
    clients: RedisClients, server: PlayedApiServer, account: Path, pods: Pods, caplog: pytest.LogCaptureFixture,
    text: str,
) -> None:  # fmt: skip
    (account / "token").write_text(text)
    pods.calls = {"a": 5}
    async with writing(clients, server.port, account):
        await eventually(lambda: lines(caplog) == [BEGUN])
        (account / "token").write_text(server.token)
        await eventually(lambda: server.costs == {"a": "5"})
        await eventually(lambda: lines(caplog) == [BEGUN, OVER])


async def test_patches_are_limited(clients: RedisClients, server: PlayedApiServer, account: Path, pods: Pods) -> None:
    pods.calls = {f"pod-{number}": number for number in range(30)}
    timing = CostTiming(every_s=0.02, lease_s=1.0, patches_per_min=10)
    async with writing(clients, server.port, account, timing=timing):
        await eventually(lambda: server.patches >= 10)
        await asyncio.sleep(0.5)
        assert server.patches == 10
