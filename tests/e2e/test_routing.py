"""Percentage routing with two replicas of call-control, a gateway and the simulated ACS as processes.

The test acts as the relay: it reports a voice session for each call at once. Calls that are routed to the agent are
answered, and their callers hang up as soon as they are connected.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import re
import signal
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from bridge_common.redis.clients import RedisClients
from bridge_common.store.inbox import Inbox
from bridge_common.store.leases import Leases
from bridge_common.wire.entries import VoiceReady
from bridge_common.wire.keys import Keys
from lab.ports import free_port
from lab.stack import API_KEY, Ports, Stack
from lab.wire import Json
from tests.support.eventually import eventually

HUMAN_AGENTS = "+18005550000"
CALLERS = [f"+1425555{number:04d}" for number in range(400)]
RUNNING = [f"+1999555{number:04d}" for number in range(3)]
KEY = "the routing key of the end-to-end test"
POLICY = """
human_agents: {phone: %s}
rules:
  - {name: running, caller: +1999*, agent: default}
  - {name: limited, caller: +1777*, agent: default, max_calls: 2, wait: 20}
  - {name: main-line, called: +18005551212, percent: 25, agent: default}
  - {name: the-rest, redirect: human_agents}
"""
OPERATOR = {"X-Api-Key": API_KEY}
WAVE = 250
"""Number of calls placed before their outcomes are read; the simulated ACS keeps the last 1,000 calls."""
LONG_S = 60.0


class Replicas(Stack):
    """Two replicas of call-control on one Redis."""

    def start_both(self) -> list[str]:
        for part in ("acs", "media-gateway", "call-control"):
            self.launch_part(part)
        self.start_second()
        return [self.url("call-control"), self.url("call-control-2")]

    def start_second(self) -> None:
        environment = self._environment("call-control") | dict(self.extra["call-control"])
        command = [str(Path(sys.executable).parent / "call-control")]
        self.launch("call-control-2", command, free_port(), "/readyz", environment)
        self.await_ready()

    def kill_second(self) -> None:
        """Kill the second replica. The first one, which receives the webhooks, continues."""
        second = next(process for process in self.processes if process.name == "call-control-2")
        self.processes.remove(second)
        os.kill(second.pid, signal.SIGKILL)
        assert second.popen is not None
        assert second.log_path is not None
        second.popen.wait()
        second.log_path.rename(second.log_path.with_name(f"call-control-2-killed-{second.pid}.log"))


@dataclass
class Line:
    """Client that controls the callers, the operator API and the relay."""

    acs: httpx.AsyncClient
    replicas: list[httpx.AsyncClient]
    stack: Replicas
    outcomes: dict[str, set[str]] = field(default_factory=dict)
    """Outcomes by caller: `agent`, or the targets to which the calls were redirected."""

    async def place(self, callers: Sequence[str]) -> list[Json]:
        """Place a call for each caller. Return the calls when all of them have an outcome."""
        rows: list[Json] = []
        for first in range(0, len(callers), WAVE):
            rows += await self._wave(callers[first : first + WAVE])
        for row in rows:
            self.outcomes.setdefault(row["from"], set()).add(outcome_of(row))
        return rows

    async def _wave(self, callers: Sequence[str]) -> list[Json]:
        busy = asyncio.Semaphore(16)

        async def place(caller: str) -> str:
            body = {"from": caller, "to": "+18005551212", "steps": [{"hang_up": True}]}
            async with busy:
                reply = await self.acs.post("/lab/calls", json=body)
            assert reply.status_code == 201, reply.text
            return str(reply.json()["id"])

        ids = set(await asyncio.gather(*map(place, callers)))

        async def over() -> list[Json]:
            rows = (await self.acs.get("/lab/calls")).json()["calls"]
            found = [
                row for row in rows if row["id"] in ids and row["state"] not in ("ringing", "connecting", "connected")
            ]
            return found if len(found) == len(ids) else []

        return await eventually(over, within_s=LONG_S, every_s=0.5, what="all calls of the wave have an outcome")

    async def in_force(self) -> list[Json]:
        return [(await replica.get("/api/routing")).raise_for_status().json() for replica in self.replicas]

    async def routed(self) -> list[Counter[str]]:
        """Return the number of calls by rule, of all actions, for each replica."""
        found = []
        for replica in self.replicas:
            text = (await replica.get("/metrics")).text
            lines = re.findall(r'^bridge_calls_routed_total{action="\w+",rule="([^"]+)"} (\S+)$', text, re.MULTILINE)
            calls: Counter[str] = Counter()
            for rule, count in lines:
                calls[rule] += int(float(count))
            found.append(calls)
        return found

    async def switch(self, on: bool) -> float:
        """Set the kill switch at the second replica. Return the seconds until both replicas apply it."""
        began = time.monotonic()
        reply = await self.replicas[1].put("/api/routing/kill_switch", content=b"true" if on else b"false")
        version = reply.raise_for_status().json()["version"]

        async def everywhere() -> bool:
            return all(held["version"] >= version for held in await self.in_force())

        await eventually(everywhere, what="both replicas apply the kill switch")
        return time.monotonic() - began


def outcome_of(row: Json) -> str:
    if row["state"] == "redirected":
        return str(row["redirected_to"])
    return "agent" if row["state"] == "ended" and row["call_connection_id"] else str(row["state"])


@contextlib.asynccontextmanager
async def relay(clients: RedisClients) -> AsyncIterator[None]:
    """Report a voice session for every offered call, and renew its lease."""
    leases = Leases(clients.control, Keys(1), "agent-relay-of-the-test", lease_ms=600_000)
    inbox = Inbox(clients.control, clients.blocking, Keys(1), "nobody")

    async def serve() -> None:
        while True:
            for claim in await leases.claim(100):
                await inbox.put(VoiceReady(claim.call_id, claim.epoch))
            await asyncio.sleep(0.02)

    serving = asyncio.create_task(serve())
    yield
    assert not serving.done(), "the test's relay has failed"
    serving.cancel()
    await asyncio.gather(serving, return_exceptions=True)


@pytest.fixture
async def line(redis_url: str, clients: RedisClients, tmp_path: Path) -> AsyncIterator[Line]:
    file = tmp_path / "routing.yaml"
    file.write_text(POLICY % HUMAN_AGENTS)
    control = {"ROUTING_POLICY": str(file), "ROUTING_KEY": KEY, "ANSWER_DEADLINE_S": "25"}
    acs = {"RING_TIMEOUT_S": "120", "MEDIA_OPEN_DELAY_S": "0.02", "MEDIA_STARTED_DELAY_S": "0.02"}
    stack = Replicas(Ports.free(), tmp_path, extra={"call-control": control, "acs": acs})
    stack.redis_url = redis_url
    async with contextlib.AsyncExitStack() as opened:
        opened.push_async_callback(asyncio.to_thread, stack.stop)
        addresses = await asyncio.to_thread(stack.start_both)
        http = [
            await opened.enter_async_context(
                httpx.AsyncClient(base_url=address, headers=OPERATOR, timeout=30, trust_env=False)
            )
            for address in (stack.url("acs"), *addresses)
        ]
        await opened.enter_async_context(relay(clients))
        yield Line(http[0], http[1:], stack)
        assert stack.dead() == []
    said = logged(tmp_path)
    assert '"call arrived"' in said
    assert not re.search(r"\+?1(425|777)555\d|\+?18005550000", said), "a phone number in the log"


def logged(folder: Path) -> str:
    """The log of call-control, of killed replicas too."""
    return "".join(path.read_text() for path in folder.glob("call-control*.log"))


async def talking(line: Line) -> list[str]:
    """Place calls whose callers do not hang up. Return their ids in the simulator."""
    placed = [await line.acs.post("/lab/calls", json={"from": caller, "audio": "silence"}) for caller in RUNNING]
    ids = [str(reply.json()["id"]) for reply in placed]

    async def connected() -> bool:
        rows = [(await line.acs.get(f"/lab/calls/{one}")).json() for one in ids]
        return all(row["state"] == "connected" and row["counters"].get("media_connects") for row in rows)

    await eventually(connected, within_s=LONG_S, what="the running calls are connected")
    return ids


@pytest.mark.timeout(240)
async def test_a_quarter_of_the_callers_then_half_of_them_then_nobody(line: Line) -> None:
    running = await talking(line)
    before = (await line.replicas[0].get("/api/calls")).json()["calls"]

    # 25 % of 400 callers, in 1,000 calls.
    again = random.Random(1000).sample(CALLERS, 200)
    rows = await line.place([*CALLERS, *again, *CALLERS])
    assert len(rows) == 1000
    assert {outcome for outcomes in line.outcomes.values() for outcome in outcomes} == {"agent", f"4:{HUMAN_AGENTS}"}
    assert all(len(outcomes) == 1 for outcomes in line.outcomes.values()), (
        "repeated calls of a caller have the same outcome"
    )
    quarter = {caller for caller, outcomes in line.outcomes.items() if outcomes == {"agent"}}
    assert 0.22 <= len(quarter) / len(CALLERS) <= 0.28
    one, two = await line.routed()
    assert sum(one.values()) + sum(two.values()) == 1000 + len(RUNNING)
    assert min(sum(one.values()), sum(two.values())) > 100, "both replicas routed calls"
    calls = (await line.replicas[1].get("/api/calls?limit=1000")).json()["calls"]
    for call in calls:
        if (caller := call["caller"].removeprefix("4:")) in line.outcomes:
            share = r"25 %, bucket [\d.]+"
            reason = f"{share}: agent default" if caller in quarter else rf"redirect \(not main-line: {share}\)"
            assert call["route"]["rule"] == ("main-line" if caller in quarter else "the-rest")
            assert re.fullmatch(reason, call["route"]["reason"]), call["route"]

    # 50 %.
    seen = await line.replicas[0].get("/api/routing")
    half_policy = (POLICY % HUMAN_AGENTS).replace("percent: 25", "percent: 50")
    put = await line.replicas[0].put("/api/routing", content=half_policy, headers={"If-Match": seen.headers["etag"]})
    assert put.status_code == 200, put.text
    await eventually(lambda: _same_everywhere(line, put.json()["version"]))
    line.outcomes.clear()
    await line.place(CALLERS[:100])
    half = {caller for caller, outcomes in line.outcomes.items() if outcomes == {"agent"}}
    assert quarter & set(CALLERS[:100]) < half, "callers of the first 25 % still reach the agent"
    assert 0.35 <= len(half) / 100 <= 0.65

    # Kill switch: the agent answers no caller.
    took = [await line.switch(on) for on in (True, False, True)]
    assert min(took) < 1.0, f"applied by both replicas after {took} s"
    line.outcomes.clear()

    async def both_redirect_every_caller() -> bool:
        await line.place(CALLERS[:20])
        return all(by_rule.get("kill_switch") for by_rule in await line.routed())

    await eventually(both_redirect_every_caller, within_s=LONG_S)
    assert {outcome for outcomes in line.outcomes.values() for outcome in outcomes} == {f"4:{HUMAN_AGENTS}"}

    # Running calls were not affected.
    for lab_id in running:
        row = (await line.acs.get(f"/lab/calls/{lab_id}")).json()
        assert (row["state"], row["counters"]["media_connects"]) == ("connected", 1)
    after = {call["call_id"]: call for call in [await _record(line, call["call_id"]) for call in before]}
    for call in before:
        assert call["route"]["rule"] == "running"
        for name in ("connection_id", "answered_ms", "profile", "route"):
            assert after[call["call_id"]][name] == call[name]
        assert after[call["call_id"]]["status"] == "connected"


@pytest.mark.timeout(150)
async def test_a_full_rule_lets_its_calls_wait_while_replicas_are_killed(line: Line, clients: RedisClients) -> None:
    """Eight calls share two places. A replica is killed while some calls run and the others wait."""
    steps = [{"pause_ms": 1500}, {"hang_up": True}]
    for number in range(8):
        body = {"from": f"+1777555{number:04d}", "to": "+18005551212", "steps": steps}
        assert (await line.acs.post("/lab/calls", json=body)).status_code == 201

    async def ours() -> list[Json]:
        calls = (await line.replicas[0].get("/api/calls")).json()["calls"]
        return sorted(
            (call for call in calls if call["caller"].startswith("4:+1777")), key=lambda call: int(call["created_ms"])
        )

    for answered in (2, 5):

        async def are_answered(wanted: int = answered) -> bool:
            return sum(int(call["answered_ms"]) > 0 for call in await ours()) >= wanted

        await eventually(are_answered, within_s=LONG_S, what=f"{answered} calls are answered")
        await asyncio.to_thread(line.stack.kill_second)
        await asyncio.to_thread(line.stack.start_second)

    async def have_ended() -> list[Json]:
        calls = await ours()
        return calls if len(calls) == 8 and all(call["status"] == "ended" for call in calls) else []

    calls = await eventually(have_ended, within_s=LONG_S, what="all calls have ended")
    assert {call["end_reason"] for call in calls} == {"caller_hung_up"}
    assert {(call["route"]["rule"], call["route"]["reason"]) for call in calls} == {("limited", "agent default")}
    for call in calls:
        at_once = [one for one in calls if one["answered_ms"] <= call["answered_ms"] < one["ended_ms"]]
        assert len(at_once) <= 2, "never more calls than places"
    order = [calls.index(call) for call in sorted(calls, key=lambda call: int(call["answered_ms"]))]
    assert max(abs(place - number) for place, number in enumerate(order)) <= 1, f"first come, first served: {order}"

    async def nothing_left() -> bool:
        return int(await clients.control.zcard("quota:{rules}:limited")) == 0

    await eventually(nothing_left, what="no call has a place any more")


async def _same_everywhere(line: Line, version: int) -> bool:
    return all(held["version"] == version for held in await line.in_force())


async def _record(line: Line, call_id: str) -> Json:
    found: Json = (await line.replicas[0].get(f"/api/calls/{call_id}")).raise_for_status().json()
    return found
