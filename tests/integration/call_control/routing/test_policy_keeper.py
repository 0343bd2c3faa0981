"""Replicas agree on the policy in force: file and run time, old and new, with and without Redis."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace

import pytest
from prometheus_client.parser import text_string_to_metric_families

from bridge_common.base.errors import OutsideError
from bridge_common.observability import telemetry
from bridge_common.redis.clients import RedisClients, open_clients
from call_control.core.policy.policy_in_force import OutdatedError, PolicyInForce
from call_control.core.policy.policy_text import PolicyError, decode_policy
from call_control.core.policy.routing import Accepted, Routed, Routing
from call_control.core.policy.routing_policy import Policy
from call_control.routing.policy_keeper import PolicyKeeper
from call_control.routing.policy_store import ROUTING, PolicyStore
from call_control.routing.rule_metrics import MOST_FORMER
from lab.ports import free_port

KEY = b"the routing key of the tests"


def policy(agent: str, percent: float | None = None) -> Policy:
    share = [{"name": "share", "percent": percent, "agent": agent}] if percent else []
    return decode_policy({"rules": [*share, {"name": "rest", "agent": agent}]})


class Replicas:
    def __init__(self, clients: RedisClients) -> None:
        self.redis = clients.control
        self.store = PolicyStore(clients.control, clients.blocking)

    async def start(self, file: Policy | None = None, key: bytes = KEY) -> PolicyKeeper:
        keeper = PolicyKeeper(self.store, Routing(key=key, policy=file), "file r.yaml" if file else "settings")
        await keeper.sync()
        return keeper

    async def stored(self) -> dict[str, object] | None:
        found = await self.redis.get(ROUTING)
        return json.loads(found) if found else None


@pytest.fixture
def replicas(clients: RedisClients) -> Replicas:
    return Replicas(clients)


async def put(keeper: PolicyKeeper, new: Policy, expected: str = "") -> PolicyInForce:
    return await keeper.change(lambda _: new, "operator", expected)


async def in_force(*keepers: PolicyKeeper) -> list[tuple[int, Policy | None]]:
    for keeper in keepers:
        await keeper.sync()
        assert (await keeper.routing()).policy == keeper.held.policy
    return [(keeper.held.version, keeper.held.policy) for keeper in keepers]


async def test_without_a_policy_nothing_is_written(replicas: Replicas) -> None:
    assert await in_force(await replicas.start()) == [(0, None)]
    assert await replicas.stored() is None


async def test_the_file_is_adopted_once_for_all_replicas(replicas: Replicas) -> None:
    one, two = await replicas.start(policy("a")), await replicas.start(policy("a"))
    assert await in_force(one, two) == [(1, policy("a"))] * 2
    assert one.held.by == two.held.by == "file r.yaml"


async def test_replicas_that_start_at_the_same_moment_agree(replicas: Replicas) -> None:
    keepers = await asyncio.gather(*(replicas.start(policy("a")) for _ in range(5)))
    assert await in_force(*keepers) == [(1, policy("a"))] * 5


async def test_a_policy_set_at_run_time_is_in_force_everywhere_and_outlives_restarts(replicas: Replicas) -> None:
    one, two = await replicas.start(policy("a")), await replicas.start(policy("a"))
    await put(one, policy("b"), one.held.etag)
    assert await in_force(one, two) == [(2, policy("b"))] * 2
    assert await in_force(await replicas.start(policy("a"))) == [(2, policy("b"))]


async def test_a_changed_file_replaces_the_policy_set_at_run_time(replicas: Replicas) -> None:
    old = await replicas.start(policy("a"))
    await put(old, policy("b"))
    new = await replicas.start(policy("c"))
    assert await in_force(old, new) == [(3, policy("c"))] * 2
    assert await in_force(await replicas.start()) == [(4, None)], "the file is no longer set"
    assert await in_force(old, new) == [(4, None)] * 2


async def test_without_a_file_a_policy_set_at_run_time_outlives_restarts(replicas: Replicas) -> None:
    await put(await replicas.start(), policy("b"))
    assert await in_force(await replicas.start()) == [(1, policy("b"))]


async def test_back_to_the_file(replicas: Replicas) -> None:
    for file in (policy("a"), None):
        keeper = await replicas.start(file)
        await put(keeper, policy("b"))
        held = await keeper.reset("operator anna", keeper.held.etag)
        assert held.policy == file
        assert held.by.endswith("asked by operator anna")


async def test_two_operators_do_not_overwrite_each_other(replicas: Replicas) -> None:
    one, two = await replicas.start(policy("a")), await replicas.start(policy("a"))
    seen = one.held.etag
    assert two.held.etag == seen
    outcomes = await asyncio.gather(
        put(one, policy("b"), seen), put(two, policy("c"), seen), put(one, policy("d"), seen), return_exceptions=True
    )
    assert sum(isinstance(outcome, PolicyInForce) for outcome in outcomes) == 1
    assert sum(isinstance(outcome, OutdatedError) for outcome in outcomes) == 2
    [first, second] = await in_force(one, two)
    assert first == second
    assert first[0] == 2


async def test_concurrent_changes_are_all_applied(replicas: Replicas) -> None:
    one, two = await replicas.start(policy("a")), await replicas.start(policy("a"))

    def longer(held: Policy | None) -> Policy:
        assert held is not None
        return policy(f"{held.rules[0].agent}x")

    await asyncio.gather(*(keeper.change(longer, "operator") for keeper in (one, two) for _ in range(4)))
    assert await in_force(one, two) == [(9, policy("axxxxxxxx"))] * 2


async def test_redis_comes_back_empty_or_with_an_older_version(replicas: Replicas) -> None:
    one, two = await replicas.start(policy("a")), await replicas.start(policy("a"))
    older = await replicas.redis.get(ROUTING)
    await put(one, policy("b"))
    await two.sync()
    for left in (None, older):
        await replicas.redis.flushall()
        if left:
            await replicas.redis.set(ROUTING, left)
        await two.sync()
        assert (await replicas.stored() or {})["version"] == 2
        assert await in_force(one, two, await replicas.start(policy("a"))) == [(2, policy("b"))] * 3


async def test_the_newest_is_kept_when_redis_lost_it_before_all_replicas_saw_it(replicas: Replicas) -> None:
    one, two = await replicas.start(policy("a")), await replicas.start(policy("a"))
    await put(one, policy("b"))
    await replicas.redis.flushall()
    await two.sync()
    assert (await replicas.stored() or {})["version"] == 1, "this replica had not seen the newest"
    assert await in_force(one, two) == [(2, policy("b"))] * 2


@pytest.mark.parametrize("garbage", [b"garbage", b'{"version": 8, "policy": {"of": "the future"}}'])
async def test_a_stored_policy_that_could_not_be_decoded_changes_nothing(replicas: Replicas, garbage: bytes) -> None:
    keeper = await replicas.start(policy("a"))
    await replicas.redis.set(ROUTING, garbage)
    assert await in_force(keeper) == [(1, policy("a"))]
    late = await replicas.start(policy("a"))
    assert (await late.routing()).policy == policy("a")
    assert await replicas.redis.get(ROUTING) == garbage
    version = (await put(keeper, policy("b"))).version
    assert version > (8 if b"8" in garbage else 1)
    assert await in_force(keeper, late) == [(version, policy("b"))] * 2


async def test_a_share_needs_a_key(replicas: Replicas) -> None:
    keeper = await replicas.start(policy("a"), key=b"")
    with pytest.raises(PolicyError, match="rule share: percent and agents need ROUTING_KEY"):
        await put(keeper, policy("b", 25))
    await put(await replicas.start(policy("a")), policy("b", 25))
    assert await in_force(keeper) == [(2, policy("b", 25))]


async def test_a_different_routing_key_is_logged(replicas: Replicas, caplog: pytest.LogCaptureFixture) -> None:
    await replicas.start(policy("a", 25))
    assert "ROUTING_KEY" not in caplog.text
    await replicas.start(policy("a", 25), key=b"another key than that of the tests")
    assert "ROUTING_KEY differs" in caplog.text


async def test_calls_wait_until_the_policy_is_known(replicas: Replicas) -> None:
    keeper = PolicyKeeper(replicas.store, Routing())
    waiting = asyncio.create_task(keeper.routing())
    done, _ = await asyncio.wait({waiting}, timeout=0.05)
    assert not done
    assert not keeper.known
    await keeper.sync()
    assert await waiting == Routing()


async def test_without_redis_the_policy_stays(replicas: Replicas) -> None:
    nobody = open_clients(f"redis://127.0.0.1:{free_port()}/0")
    keeper = PolicyKeeper(PolicyStore(nobody.control, nobody.blocking), Routing(policy=policy("a")))
    with pytest.raises(OutsideError):
        await keeper.sync()
    assert not keeper.known
    await nobody.aclose()


async def test_the_series_of_rules_begin_with_their_policy_and_outlive_it(replicas: Replicas) -> None:
    """Regression: the series of a rule vanished with its policy, together with the calls since the last scrape."""
    agents = {"phone": "+14255550190"}
    keeper = await replicas.start(
        decode_policy({"human_agents": agents, "rules": [{"name": "series-r", "redirect": "human_agents"}]})
    )
    assert series_of("series-r") == {("redirect", ""): 0, ("connect", ""): 0, ("reject", ""): 0}
    await put(keeper, decode_policy({"rules": [{"name": "series-a", "agent": "a"}]}))
    assert series_of("series-a") == {("agent", ""): 0}
    keeper.count(Routed(Accepted("a"), "series-a", ""))
    limited = {"name": "series-b", "agent": "b", "max_calls": 2, "wait": 5}
    await put(keeper, decode_policy({"rules": [limited, {"name": "series-c", "reject": "busy"}]}))
    keeper.count(Routed(Accepted("a"), "series-a", ""))
    assert series_of("series-a") == {("agent", ""): 2}
    assert series_of("series-b") == {("agent", ""): 0, ("", "full"): 0, ("", "wait"): 0}
    assert series_of("series-c") == {("reject", ""): 0}


async def test_the_number_of_series_of_former_rules_is_limited(replicas: Replicas) -> None:
    """Regression: each new policy added up to 256 series to /metrics permanently."""
    keeper, counted = await replicas.start(), Routed(Accepted("a"), "", "")
    for number in range(MOST_FORMER + 10):
        name = f"label-test-{number}"
        await put(keeper, decode_policy({"rules": [{"name": name, "agent": "a"}]}))
        keeper.count(replace(counted, rule=name))
    keeper.count(replace(counted, rule="DEFAULT_PROFILE"))
    shown = telemetry.render()[0].decode()
    assert f'bridge_calls_routed_total{{action="agent",rule="label-test-{MOST_FORMER + 9}"}} 1.0' in shown
    assert 'rule="DEFAULT_PROFILE"' in shown
    assert shown.count('rule="label-test-') == MOST_FORMER + 1


def series_of(rule: str) -> dict[tuple[str, str], float]:
    """By action of the rule, or by cause of an overflow."""
    families = text_string_to_metric_families(telemetry.render()[0].decode())
    return {
        (sample.labels.get("action", ""), sample.labels.get("cause", "")): sample.value
        for family in families
        for sample in family.samples
        if sample.labels.get("rule") == rule
    }
