"""The routing API as docs/routing.md describes it, and its effect on calls."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
import pytest
import yaml

from bridge_common.redis.clients import RedisClients
from bridge_common.wire.call_record import Status
from tests.support.eventually import eventually
from tests.support.fuzzing import YAML_PIECES
from tests.support.scripted_acs import ScriptedAcs
from tests.support.switchboard import (
    OPERATOR,
    PhoneCall,
    Switchboard,
    environment,
    replica,
    settings_of,
    switchboard,
)

AGENTS = "+18005550000"
TO_AGENTS = {"human_agents": {"phone": AGENTS}, "rules": [{"name": "to-agents", "redirect": "human_agents"}]}
TO_AI = {"human_agents": {"phone": AGENTS}, "rules": [{"name": "all-calls", "agent": "front-desk"}]}
ANY = OPERATOR | {"If-Match": "*"}


async def put(board: Switchboard, policy: object, etag: str = "*", **headers: str) -> httpx.Response:
    return await board.http.put("/api/routing", json=policy, headers=OPERATOR | {"If-Match": etag} | headers)


async def test_at_first_no_policy_is_in_force(board: Switchboard) -> None:
    reply = await board.http.get("/api/routing", headers=OPERATOR)
    assert reply.status_code == 200
    assert reply.json() == {"version": 0, "since_ms": 0, "by": "settings", "policy": None}
    call = PhoneCall()
    await board.ring(call)
    await board.reaches(call, Status.RINGING)
    shown = (await board.http.get(f"/api/calls/{call.call_id}", headers=OPERATOR)).json()
    assert shown["route"] == {"rule": "DEFAULT_PROFILE", "reason": "no policy: agent default"}


async def test_a_policy_is_put_seen_and_followed(board: Switchboard) -> None:
    first = await board.http.get("/api/routing", headers=OPERATOR)
    reply = await put(board, TO_AGENTS, first.headers["etag"], **{"X-Operator": "anna"})
    assert reply.status_code == 200
    seen = await board.http.get("/api/routing", headers=OPERATOR)
    assert seen.json() == reply.json()
    assert seen.headers["etag"] == reply.headers["etag"] != first.headers["etag"]
    assert (seen.json()["version"], seen.json()["by"]) == (1, "operator anna (API key 1)")
    assert seen.json()["since_ms"] > 1_700_000_000_000
    call = PhoneCall()
    await board.ring(call)
    await board.reaches(call, Status.ENDED)
    [asked] = board.acs.asked
    assert asked.operation == "redirect"
    target = asked.body["target"]
    assert isinstance(target, dict)
    assert target["rawId"] == f"4:{AGENTS}"
    shown = (await board.http.get(f"/api/calls/{call.call_id}", headers=OPERATOR)).json()
    assert shown["route"] == {"rule": "to-agents", "reason": "redirect"}
    assert shown["end_reason"] == "redirected"
    metrics = (await board.http.get("/metrics")).text
    assert 'bridge_calls_routed_total{action="redirect",rule="to-agents"}' in metrics
    assert "bridge_routing_policy_version 1.0" in metrics


async def test_yaml_as_in_the_file(board: Switchboard) -> None:
    text = f"human_agents: {{phone: {AGENTS}}}\nrules:\n  - name: all-calls\n    redirect: human_agents\n"
    reply = await board.http.put("/api/routing", content=text, headers=ANY)
    assert reply.status_code == 200
    assert reply.json()["policy"]["human_agents"] == {"phone": f"4:{AGENTS}"}
    again = await board.http.put("/api/routing", content=yaml.safe_dump(reply.json()["policy"]), headers=ANY)
    assert again.json()["policy"] == reply.json()["policy"]


async def test_a_change_of_an_older_version_is_refused(board: Switchboard) -> None:
    seen = (await put(board, TO_AI)).headers["etag"]
    assert (await put(board, TO_AGENTS, seen)).status_code == 200
    for late in (await put(board, TO_AI, seen), await put(board, TO_AI, '"0"')):
        assert (late.status_code, late.json()["error"]["code"]) == (412, "outdated")
    reply = await board.http.delete("/api/routing", headers=OPERATOR | {"If-Match": seen})
    assert reply.status_code == 412
    for blind in (
        await board.http.put("/api/routing", json=TO_AI, headers=OPERATOR),
        await board.http.delete("/api/routing", headers=OPERATOR),
    ):
        assert (blind.status_code, blind.json()["error"]["code"]) == (428, "precondition_required")
    assert (await board.http.get("/api/routing", headers=OPERATOR)).json()["version"] == 2


async def test_every_mistake_is_reported_and_nothing_changes(board: Switchboard) -> None:
    reply = await put(board, {"rules": [{"name": "a", "hours": "9-5"}], "kill_switch": True})
    assert (reply.status_code, reply.json()["error"]["code"]) == (422, "bad_policy")
    mistakes = reply.json()["error"]["mistakes"]
    assert len(mistakes) == 4
    assert mistakes[0].startswith("rules[0] (a).hours[0]: is not a time range")
    shares = [{"name": "some", "percent": 25, "agent": "x"}, {"name": "rest", "agent": "x"}]
    for body, mistake in (
        (b"rules: [", "line 1"),
        (b"", "a policy must be a mapping"),
        (json.dumps({"rules": shares}).encode(), "rule some: percent and agents need ROUTING_KEY"),
    ):
        reply = await board.http.put("/api/routing", content=body, headers=ANY)
        assert reply.status_code == 422
        assert reply.json()["error"]["mistakes"][0].startswith(mistake)
    too_large = await board.http.put("/api/routing", content=b" " * 65_537, headers=ANY)
    assert too_large.status_code == 413
    bad_name = await put(board, TO_AI, **{"X-Operator": "a" * 65})
    assert bad_name.status_code == 400
    assert (await board.http.get("/api/routing", headers=OPERATOR)).json()["version"] == 0


async def test_any_body_is_a_policy_or_a_422(board: Switchboard) -> None:
    """Regression: unusual tags and lone surrogates caused a 500."""
    odd = [f"rules: {piece}x" for piece in YAML_PIECES] + [f"{piece}: [{piece}]" for piece in YAML_PIECES]
    odd += ['{"rules": [{"name": "\\ud800"}]}', "a: &a [x]\nb: &b [*a, *a]\nrules: [*b, *b]", "\x00", "[" * 60_000]
    for body in odd:
        for content_type in ("application/yaml", "application/json"):
            reply = await board.http.put("/api/routing", content=body, headers=ANY | {"Content-Type": content_type})
            assert reply.status_code == 422, body[:100]
            assert all(reply.json()["error"]["mistakes"])


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/routing"),
        ("PUT", "/api/routing"),
        ("DELETE", "/api/routing"),
        ("PUT", "/api/routing/kill_switch"),
        ("PUT", "/api/routing/everyone_to_people"),
    ],
)
async def test_only_operators_may(
    board: Switchboard, redis_url: str, clients: RedisClients, acs: ScriptedAcs, method: str, path: str
) -> None:
    for bad in ({}, {"X-Api-Key": "other"}):
        reply = await board.http.request(method, path, headers=bad | {"If-Match": "*"}, content=b"true")
        assert reply.status_code == 401
    async with switchboard(redis_url, clients, acs, API_KEYS="") as closed:
        reply = await closed.http.request(method, path, headers=ANY, content=b"true")
        assert reply.status_code == 403


async def test_the_kill_switch(board: Switchboard) -> None:
    path = "/api/routing/kill_switch"
    await put(board, TO_AI)
    for body, on in ((b"true", True), (b"false\n", False)):
        reply = await board.http.put(path, content=body, headers=OPERATOR)
        assert reply.status_code == 200
        assert reply.json()["policy"].get("kill_switch", False) is on
        assert reply.json()["policy"]["rules"] == TO_AI["rules"]
    assert (await board.http.put(path, content="yes", headers=OPERATOR)).status_code == 400


async def test_the_names_of_the_previous_release_are_accepted(board: Switchboard) -> None:
    old = {"people": {"phone": AGENTS}, "rules": [{"name": "to-agents", "redirect": "people"}]}
    assert (await put(board, old)).json()["policy"] == TO_AGENTS | {"human_agents": {"phone": f"4:{AGENTS}"}}
    reply = await board.http.put("/api/routing/everyone_to_people", content=b"true", headers=OPERATOR)
    assert (reply.status_code, reply.json()["policy"]["kill_switch"]) == (200, True)


async def test_the_kill_switch_without_a_policy(board: Switchboard) -> None:
    """Without a policy and REDIRECT_TARGET, callers hear the busy tone."""
    path = "/api/routing/kill_switch"
    reply = await board.http.put(path, content="true", headers=OPERATOR)
    assert reply.status_code == 200
    assert reply.json()["policy"] == {
        "kill_switch": True,
        "rules": [{"name": "all-calls", "agent": "default"}],
    }
    call = PhoneCall()
    await board.ring(call)
    record = await board.reaches(call, Status.ENDED)
    assert (record.end_reason, record.route) == ("rejected", "kill_switch")
    reply = await board.http.put(path, content="false", headers=OPERATOR)
    assert reply.json()["policy"] == {"rules": [{"name": "all-calls", "agent": "default"}]}
    again = PhoneCall()
    await board.ring(again)
    await board.reaches(again, Status.RINGING)


async def test_the_kill_switch_without_human_agents_sends_callers_to_the_redirect_target(
    redis_url: str, clients: RedisClients, acs: ScriptedAcs
) -> None:
    settings = {"REDIRECT_TARGET": "+18005559999", "ALLOWED_TARGETS": ""}
    async with switchboard(redis_url, clients, acs, **settings) as board:
        reply = await board.http.put("/api/routing/kill_switch", content="true", headers=OPERATOR)
        assert reply.status_code == 200
        call = PhoneCall()
        await board.ring(call)
        record = await board.reaches(call, Status.ENDED)
        assert (record.end_reason, record.route) == ("redirected", "kill_switch")
        [asked] = acs.asked
        target = asked.body["target"]
        assert isinstance(target, dict)
        assert target["rawId"] == "4:+18005559999"


async def test_a_policy_cannot_redirect_callers_to_any_target(
    redis_url: str, clients: RedisClients, acs: ScriptedAcs, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with switchboard(redis_url, clients, acs, ALLOWED_TARGETS="") as board:
        reply = await put(board, TO_AGENTS)
        assert (reply.status_code, reply.json()["error"]["code"]) == (422, "bad_policy")
        assert reply.json()["error"]["mistakes"] == [
            "human_agents: this target is not allowed; add it to ALLOWED_TARGETS"
        ]
        assert (await board.http.get("/api/routing", headers=OPERATOR)).json()["version"] == 0
    file = tmp_path / "routing.yaml"
    file.write_text(yaml.safe_dump(TO_AGENTS))
    async with switchboard(redis_url, clients, acs, ALLOWED_TARGETS="", ROUTING_POLICY=str(file)) as board:
        reply = await put(board, TO_AI)
        assert reply.status_code == 200, "the file names this target"
        assert "routing policy in force has targets outside ALLOWED_TARGETS" not in caplog.messages


async def test_a_policy_with_a_target_that_is_no_longer_allowed_is_followed_and_reported(
    board: Switchboard,
    redis_url: str,
    clients: RedisClients,
    acs: ScriptedAcs,
    caplog: pytest.LogCaptureFixture,
) -> None:
    assert (await put(board, TO_AI)).status_code == 200
    async with switchboard(redis_url, clients, acs, ALLOWED_TARGETS="") as stricter:
        assert (await stricter.http.get("/api/routing", headers=OPERATOR)).json()["policy"]["human_agents"]
        assert "routing policy in force has targets outside ALLOWED_TARGETS" in caplog.messages
        kept = await put(stricter, TO_AGENTS)
        assert kept.status_code == 200, "the target is unchanged"
        other = {"human_agents": {"phone": "+18005551111"}, "rules": TO_AI["rules"]}
        assert (await put(stricter, other)).status_code == 422
        switched = await stricter.http.put("/api/routing/kill_switch", content="true", headers=OPERATOR)
        assert switched.status_code == 200


async def test_back_to_the_file(redis_url: str, clients: RedisClients, acs: ScriptedAcs, tmp_path: Path) -> None:
    file = tmp_path / "routing.yaml"
    file.write_text(yaml.safe_dump(TO_AGENTS))
    async with switchboard(redis_url, clients, acs, ROUTING_POLICY=str(file)) as board:
        seen = (await board.http.get("/api/routing", headers=OPERATOR)).json()
        assert (seen["version"], seen["by"]) == (1, f"file {file}")
        await put(board, TO_AI)
        reply = await board.http.delete("/api/routing", headers=ANY)
        assert reply.status_code == 200
        assert reply.json()["policy"] == seen["policy"]
        assert reply.json()["by"] == f"file {file}, asked by operator (API key 1)"


async def test_calls_without_a_relay_go_to_the_human_agents_of_the_policy(
    redis_url: str, clients: RedisClients, acs: ScriptedAcs
) -> None:
    async with switchboard(redis_url, clients, acs, ANSWER_DEADLINE_S="0.3", REDIRECT_TARGET="+18005559999") as board:
        await put(board, TO_AI)
        call = PhoneCall()
        await board.ring(call)
        record = await board.reaches(call, Status.ENDED)
        assert (record.end_reason, record.profile, record.route) == ("no_voice", "front-desk", "all-calls")
        [asked] = acs.asked
        target = asked.body["target"]
        assert isinstance(target, dict)
        assert target["rawId"] == f"4:{AGENTS}"


async def test_in_force_on_the_other_replica_within_a_second(
    board: Switchboard, redis_url: str, acs: ScriptedAcs
) -> None:
    settings = settings_of(environment(redis_url, acs))
    async with replica(settings) as address, httpx.AsyncClient(base_url=address, trust_env=False) as other:
        etag = (await put(board, TO_AGENTS)).headers["etag"]

        async def arrived() -> bool:
            return (await other.get("/api/routing", headers=OPERATOR)).headers["etag"] == etag

        await eventually(arrived, within_s=1)


async def test_a_preview_shows_what_would_happen_and_changes_nothing(board: Switchboard) -> None:
    policy = {
        "human_agents": {"phone": AGENTS},
        "time_zone": "Europe/Berlin",
        "rules": [
            {"name": "closed", "holidays": [{"country": "DE"}, "12-24"], "redirect": "human_agents"},
            {"name": "gold", "header": {"X-Tier": "gold"}, "agent": "gold-desk"},
            {"name": "the-rest", "agent": "front-desk"},
        ],
    }
    assert (await put(board, policy)).status_code == 200
    before = (await board.http.get("/api/routing", headers=OPERATOR)).json()

    async def preview(**request: object) -> httpx.Response:
        body = {"caller": "+14255550100", "callee": "+18005551212", "at": "2026-11-30T12:00:00Z"} | request
        return await board.http.post("/api/routing/preview", json=body, headers=OPERATOR)

    reply = await preview(headers={"x-tier": "gold"})
    assert reply.status_code == 200
    assert reply.json() == {
        "version": 1,
        "at_ms": 1796040000000,
        "action": "agent",
        "rule": "gold",
        "reason": "agent gold-desk",
        "agent": "gold-desk",
        "limited_rules": [],
        "passed_rules": [{"rule": "closed", "condition": "time"}],
    }
    assert (await preview(at="2026-12-25T12:00:00+01:00")).json()["target"] == f"4:{AGENTS}"
    assert (await preview()).json()["rule"] == "the-rest"
    assert (await preview(callee="x")).status_code == 400
    assert (await board.http.post("/api/routing/preview", json={"callee": "+18005551212"})).status_code == 401
    assert (await board.http.get("/api/routing", headers=OPERATOR)).json() == before
    assert not board.acs.asked


async def test_a_preview_shows_how_full_the_rules_are(board: Switchboard) -> None:
    limited = {"name": "sales", "agent": "sales", "max_calls": 1}
    policy = {"rules": [limited, {"name": "rest", "reject": "busy"}]}
    assert (await put(board, policy)).status_code == 200
    call = PhoneCall()
    assert (await board.ring(call)).status_code == 200
    await board.claim(call)
    reply = await board.http.post("/api/routing/preview", json={"callee": "+18005551212"}, headers=OPERATOR)
    assert reply.json()["limited_rules"] == [{"rule": "sales", "calls": 1, "max_calls": 1}]
    assert (reply.json()["rule"], reply.json()["reason"]) == ("rest", "reject busy (not sales: full, max_calls 1)")


async def test_calls_are_routed_by_header_holiday_and_share(
    redis_url: str, clients: RedisClients, acs: ScriptedAcs
) -> None:
    async with switchboard(redis_url, clients, acs, ROUTING_KEY="a key for the shares") as board:
        await _routed_by_all_conditions(board)


async def _routed_by_all_conditions(board: Switchboard) -> None:
    policy = {
        "human_agents": {"phone": AGENTS},
        "rules": [
            {"name": "never", "time_zone": "UTC", "holidays": "2020-12-24", "reject": "busy"},
            {"name": "gold", "header": {"X-Tier": "gold"}, "agent": "gold-desk"},
            {"name": "the-rest", "agents": {"front-desk": 50, "new-voice": 50}},
        ],
    }
    assert (await put(board, policy)).status_code == 200
    gold = PhoneCall(custom_context={"sipHeaders": {"X-Tier": "gold"}})
    same = [PhoneCall(caller="+14255550100") for _ in range(3)]
    for call in (gold, *same):
        await board.ring(call)
        await board.reaches(call, Status.RINGING)
    shown = [(await board.http.get(f"/api/calls/{call.call_id}", headers=OPERATOR)).json() for call in (gold, *same)]
    assert (shown[0]["profile"], shown[0]["route"]["rule"]) == ("gold-desk", "gold")
    assert {one["profile"] for one in shown[1:]} < {"front-desk", "new-voice"}, "one caller has one agent"
    assert shown[1]["route"]["reason"].startswith("50 %, bucket ")
    assert shown[1]["route"]["reason"].endswith(f": agent {shown[1]['profile']}")
