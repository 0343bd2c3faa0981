"""The rule that routes a call, and the reported reason."""

from __future__ import annotations

import re
from collections import Counter
from datetime import UTC, datetime

import pytest
from msgspec.structs import replace

from bridge_common.base.ids import call_id_of
from bridge_common.wire.entries import IncomingCall
from call_control.core.policy.policy_text import decode_policy
from call_control.core.policy.routing import Accepted, Decision, Redirected, Rejected, Routing, bucket_of
from call_control.core.policy.routing_policy import encode_policy

CALL = IncomingCall("call_1", "e", "4:+14255550100", "4:+18005551212", "ctx", "corr", "", 0)
KEY = b"a key for the tests of the routing"
HUMAN_AGENTS = "4:+18005550000"


def routing(*rules: dict[str, object], key: bytes = KEY, **fields: object) -> Routing:
    content = {"human_agents": {"phone": "+18005550000"}, "time_zone": "Europe/Berlin", "rules": list(rules), **fields}
    return Routing(key=key, policy=decode_policy(content))


def rest(**action: object) -> dict[str, object]:
    return {"name": "rest", **(action or {"redirect": "human_agents"})}


def calls(count: int, caller: str = "") -> list[IncomingCall]:
    return [
        replace(CALL, caller=caller or f"4:+1425555{number:04d}", call_id=call_id_of(str(number)))
        for number in range(count)
    ]


def test_without_a_policy_calls_go_to_the_profile() -> None:
    routed = Routing(profile="front-desk").route(CALL)
    assert routed.decision == Accepted("front-desk")
    assert (routed.rule, routed.action) == ("DEFAULT_PROFILE", "agent")


def test_refused_callers_by_number_or_raw_id_with_and_without_a_policy() -> None:
    policy = routing(rest(agent="a")).policy
    for refused in ("+14255550100", "4:+14255550100"):
        for given in (None, policy):
            routed = Routing(refused_callers=frozenset({refused}), policy=given).route(CALL)
            assert routed.decision == Rejected("forbidden")
            assert (routed.rule, routed.action) == ("REFUSED_CALLERS", "reject")
    assert Routing(refused_callers=frozenset({"+1425"})).route(CALL).decision == Accepted("default")


def test_a_call_on_behalf_of_a_callee_is_rejected_before_all_rules() -> None:
    call = replace(CALL, on_behalf_of="8:acs:r_t_u")
    everyone = routing(rest(agent="a"), kill_switch=True).policy
    for given in (None, everyone, routing(rest(agent="a")).policy):
        routed = Routing(policy=given, refused_callers=frozenset({CALL.caller})).route(call)
        assert routed.decision == Rejected("none", "on_behalf_of_callee")
        assert (routed.rule, routed.action) == ("ON_BEHALF_REJECT_REASON", "reject")
    assert Routing(on_behalf_reject_reason="busy").route(call).decision == Rejected("busy", "on_behalf_of_callee")


ACTIONS: list[tuple[dict[str, object], Decision]] = [
    ({"agent": "night"}, Accepted("night")),
    ({"reject": "busy"}, Rejected("busy")),
    ({"reject": "forbidden"}, Rejected("forbidden")),
    ({"redirect": "human_agents"}, Redirected(HUMAN_AGENTS)),
    ({"redirect": {"acs_user": "8:acs:r_u"}}, Redirected("8:acs:r_u")),
]


@pytest.mark.parametrize(("action", "decision"), ACTIONS)
def test_actions(action: dict[str, object], decision: Decision) -> None:
    routed = routing(rest(**action)).route(CALL)
    assert routed.decision == decision
    assert routed.rule == "rest"
    assert "5550" not in routed.reason, "the reason is logged and must not contain a number"


def test_the_first_rule_that_fits_counts() -> None:
    asked = routing(
        {"name": "other-line", "called": "+18005559999", "agent": "other"},
        {"name": "vip", "caller": ["+1999*", "+1425*"], "agent": "vip"},
        {"name": "line", "called": "+18005551212", "agent": "line"},
        rest(),
    )
    assert asked.route(CALL).rule == "vip"
    assert asked.route(replace(CALL, caller="4:+15550001111")).rule == "line"
    assert asked.route(replace(CALL, callee="4:+18005559999")).rule == "other-line"
    assert asked.route(replace(CALL, caller="8:acs:x", callee="8:acs:y")).rule == "rest"


def test_all_conditions_of_a_rule_have_to_fit() -> None:
    asked = routing({"name": "both", "called": "+1800*", "caller": "+1999*", "agent": "x"}, rest())
    assert asked.route(CALL).rule == "rest"


@pytest.mark.parametrize(
    ("arrived", "rule"),
    [
        (datetime(2026, 11, 20, 18, 59, tzinfo=UTC), "rest"),
        (datetime(2026, 11, 20, 19, 0, tzinfo=UTC), "night"),
        (datetime(2026, 11, 21, 6, 59, tzinfo=UTC), "night"),
        (datetime(2026, 11, 21, 7, 0, tzinfo=UTC), "rest"),
        (datetime(2026, 7, 3, 18, 0, tzinfo=UTC), "night"),
    ],
)
def test_the_time_of_arrival_on_the_clock_of_the_zone(arrived: datetime, rule: str) -> None:
    asked = routing({"name": "night", "days": "fri", "hours": "20:00-08:00", "agent": "night"}, rest())
    assert asked.route(replace(CALL, received_ms=round(arrived.timestamp() * 1000))).rule == rule


def test_a_rule_may_have_a_clock_of_its_own() -> None:
    rule: dict[str, object] = {"name": "tokyo", "hours": "04:00-04:01", "time_zone": "Asia/Tokyo", "agent": "x"}
    arrived = datetime(2026, 11, 20, 19, 0, tzinfo=UTC)
    assert routing(rule, rest()).route(replace(CALL, received_ms=round(arrived.timestamp() * 1000))).rule == "tokyo"


def test_a_share_takes_its_callers_each_time_and_leaves_the_others_to_the_next_rule() -> None:
    quarter = routing({"name": "main", "percent": 25, "agent": "x"}, rest())
    half = routing({"name": "main", "percent": 50, "agent": "x"}, rest())
    taken = {call.caller for call in calls(400) if quarter.route(call).rule == "main"}
    assert 70 < len(taken) < 130
    assert taken == {call.caller for call in calls(400) if bucket_of(KEY, "main", call.caller) < 2500}
    assert taken < {call.caller for call in calls(400) if half.route(call).rule == "main"}
    other_calls = [replace(call, call_id="call_2", correlation_id="2", received_ms=10**12) for call in calls(400)]
    assert taken == {call.caller for call in other_calls if quarter.route(call).rule == "main"}


def test_the_reason_contains_share_and_bucket() -> None:
    asked = routing({"name": "main", "percent": 25, "agent": "x"}, rest())
    routed = {asked.route(call).rule: asked.route(call) for call in calls(20)}
    assert routed["main"].reason.startswith("25 %, bucket ")
    assert routed["main"].reason.endswith(": agent x")
    assert routed["rest"].reason.startswith("redirect (not main: 25 %, bucket ")


def test_without_a_key_a_share_takes_nobody() -> None:
    asked = routing({"name": "main", "percent": 99, "agent": "x"}, rest(), key=b"")
    assert {asked.route(call).rule for call in calls(50)} == {"rest"}
    assert "without ROUTING_KEY" in asked.route(CALL).reason
    whole = routing({"name": "main", "called": "+1*", "percent": 100, "agent": "x"}, rest(), key=b"")
    assert whole.route(CALL).rule == "main"


def test_callers_without_a_number_are_drawn_call_by_call() -> None:
    asked = routing({"name": "main", "percent": 25, "agent": "x"}, rest())
    hidden = calls(400, caller="4:anonymous")
    taken = [call for call in hidden if asked.route(call).rule == "main"]
    assert 70 < len(taken) < 130
    assert all(asked.route(call).rule == "main" for call in taken), "the same call delivered again goes the same way"
    assert "call drawn at" in asked.route(hidden[0]).reason


def test_the_kill_switch_sends_all_calls_to_human_agents() -> None:
    asked = routing({"name": "all-calls", "agent": "x"}, kill_switch=True)
    routed = asked.route(CALL)
    assert routed.decision == Redirected(HUMAN_AGENTS)
    assert (routed.rule, routed.action) == ("kill_switch", "redirect")


def test_the_kill_switch_works_without_human_agents() -> None:
    policy = routing({"name": "all-calls", "agent": "x"}, human_agents=None, kill_switch=True).policy
    routed = Routing(policy=policy, redirect_target="4:+18005559999").route(CALL)
    assert (routed.decision, routed.rule) == (Redirected("4:+18005559999"), "kill_switch")
    busy = Routing(policy=policy).route(CALL)
    assert (busy.decision, busy.rule, busy.action) == (Rejected("busy"), "kill_switch", "reject")
    assert "REDIRECT_TARGET" in busy.reason


def test_a_redirect_to_the_called_number_is_rejected() -> None:
    for asked in (routing(rest()), routing(rest(), kill_switch=True)):
        routed = asked.route(replace(CALL, callee=HUMAN_AGENTS))
        assert routed.decision == Rejected("busy")
        assert "ring here again" in routed.reason


def test_human_agents_of_the_policy() -> None:
    assert routing(rest()).human_agents == HUMAN_AGENTS
    assert routing(rest(agent="x"), human_agents=None).human_agents == ""
    assert Routing().human_agents == ""


def test_a_share_of_nothing_takes_nobody() -> None:
    """0 % excludes even a caller in bucket 0, who belongs to the smallest share."""

    def shared(percent: float) -> Routing:
        return routing({"name": "few", "percent": percent, "agent": "new"}, rest())

    in_bucket_0 = next(call for call in calls(100_000) if bucket_of(KEY, "few", call.caller) == 0)
    assert shared(0.01).route(in_bucket_0).decision == Accepted("new")
    routed = shared(0).route(in_bucket_0)
    assert (routed.decision, routed.rule) == (Redirected(HUMAN_AGENTS), "rest")


UPPER, LOWER = "8:ACS:AB-CD", "8:acs:ab-cd"


@pytest.mark.parametrize(("written", "calling"), [(UPPER, LOWER), (LOWER, UPPER)])
def test_parties_match_in_any_case(written: str, calling: str) -> None:
    call = replace(CALL, caller=calling)
    refused = Routing(refused_callers=frozenset({written})).route(call)
    assert refused.decision == Rejected("forbidden")
    chosen = routing({"name": "one", "caller": [written], "agent": "new"}, rest()).route(call)
    assert chosen.decision == Accepted("new")
    dialed = routing({"name": "one", "called": [written], "agent": "new"}, rest()).route(replace(CALL, callee=calling))
    assert dialed.decision == Accepted("new")


def test_a_caller_has_the_same_bucket_in_any_case() -> None:
    policy = routing({"name": "half", "percent": 50, "agent": "new"}, rest())
    for number in range(20):
        routed = [policy.route(replace(CALL, caller=f"{caller}{number}")) for caller in (UPPER, LOWER)]
        assert routed[0] == routed[1]


@pytest.mark.parametrize(("target", "called"), [("8:acs:R_U", "8:acs:r_u"), ("8:acs:r_u", "8:ACS:R_U")])
def test_a_redirect_to_the_called_party_is_detected_in_any_case(target: str, called: str) -> None:
    routed = routing(rest(redirect={"acs_user": target})).route(replace(CALL, callee=called))
    assert routed.decision == Rejected("busy")


def test_agents_share_the_callers_of_a_rule_as_written() -> None:
    one = routing({"name": "test", "agents": {"front-desk": 90, "new-voice": 10}})
    counts = Counter(one.route(call).reason.rpartition(" ")[2] for call in calls(9000))
    assert set(counts) == {"front-desk", "new-voice"}
    assert abs(counts["new-voice"] - 900) < 120
    routed = one.route(CALL)
    assert re.fullmatch(r"(90|10) %, bucket [0-9.]+: agent (front-desk|new-voice)", routed.reason), routed.reason
    assert isinstance(routed.decision, Accepted)


def test_a_caller_keeps_the_agent_when_its_share_grows() -> None:
    def of(share: float) -> dict[str, str]:
        one = routing({"name": "test", "agents": {"new": share, "old": 100 - share}})
        return {call.caller: one.route(call).reason.rpartition(" ")[2] for call in calls(1000)}

    small, large = of(10), of(30)
    assert all(large[caller] == "new" for caller, agent in small.items() if agent == "new")
    assert set(large.values()) == {"new", "old"}


def test_the_share_of_agents_is_independent_of_the_percentage_that_selected_the_callers() -> None:
    one = routing({"name": "test", "percent": 20, "agents": {"a": 50, "b": 50}}, rest())
    routes = Counter(one.route(call).reason.split(": ")[-1] for call in calls(9000))
    assert abs(routes["agent a"] - 900) < 120
    assert abs(routes["agent b"] - 900) < 120
    reason = next(found for call in calls(50) if "agent" in (found := one.route(call).reason))
    assert re.fullmatch(r"20 %, bucket [0-9.]+: 50 %, bucket [0-9.]+: agent [ab]", reason), reason


def test_without_a_key_the_agent_with_the_largest_share_takes_the_calls() -> None:
    one = routing({"name": "test", "agents": {"a": 10, "b": 90}}, key=b"")
    assert one.route(CALL).reason == "shares without ROUTING_KEY: agent b"
    assert one.policy is not None
    assert one.policy.shares == ("test",)
    assert routing({"name": "test", "agents": {"a": 100}}).policy.shares == ()  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("header", "matches"),
    [
        ({"X-Tier": "gold"}, True),
        ({"x-tier": "GOLD"}, True),
        ({"X-Tier": ["silver", "g?ld"]}, True),
        ({"X-Tier": "*"}, True),
        ({"X-Tier": "gol"}, False),
        ({"X-Tier": "[g]old"}, False),
        ({"X-Tier": "gold", "X-Other": "*"}, False),
        ({"X-Tier": "gold", "Queue": "sales, *"}, True),
        ({"User-To-User": "*"}, False),
    ],
)
def test_headers(header: dict[str, object], matches: bool) -> None:
    context = '{"sip_headers":{"X-Tier":"Gold"},"voip_headers":{"queue":"Sales, north"}}'
    one = routing({"name": "header", "header": header, "agent": "a"}, rest(agent="b"))
    assert one.route(replace(CALL, custom_context=context)).decision == Accepted("a" if matches else "b")
    assert one.route(CALL).decision == Accepted("b")


BAVARIA = {"country": "DE", "subdivision": "BY"}


@pytest.mark.parametrize(
    ("holidays", "local", "matches"),
    [
        (BAVARIA, "2026-01-06T12:00+01:00", True),
        ({"country": "DE"}, "2026-01-06T12:00+01:00", False),
        ({"country": "DE"}, "2026-10-03T00:00+02:00", True),
        ({"country": "DE"}, "2026-10-02T23:59+02:00", False),
        ([BAVARIA, "12-24"], "2027-12-24T12:00+01:00", True),
        ("2026-12-24", "2026-12-24T12:00+01:00", True),
        ("2026-12-24, 2026-12-31", "2026-12-31T12:00+01:00", True),
        ("2026-12-24", "2027-12-24T12:00+01:00", False),
        ("02-29", "2028-02-29T12:00+01:00", True),
    ],
)
def test_holidays(holidays: object, local: str, matches: bool) -> None:
    one = routing({"name": "closed", "holidays": holidays, "agent": "a"}, rest(agent="b"))
    call = replace(CALL, received_ms=round(datetime.fromisoformat(local).timestamp() * 1000))
    assert one.route(call).decision == Accepted("a" if matches else "b")


@pytest.mark.parametrize(
    ("local", "matches"),
    [
        ("2026-12-24T19:00+01:00", False),
        ("2026-12-24T21:00+01:00", True),
        ("2026-12-25T07:00+01:00", True),
        ("2026-12-25T21:00+01:00", False),
        ("2026-12-24T07:00+01:00", False),
    ],
)
def test_hours_over_midnight_belong_to_the_holiday_on_which_they_begin(local: str, matches: bool) -> None:
    one = routing({"name": "eve", "holidays": "12-24", "hours": "20:00-08:00", "agent": "a"}, rest(agent="b"))
    call = replace(CALL, received_ms=round(datetime.fromisoformat(local).timestamp() * 1000))
    assert one.route(call).decision == Accepted("a" if matches else "b")


def test_new_conditions_and_shares_are_shown_as_written() -> None:
    rule: dict[str, object] = {
        "name": "test",
        "header": {"X-Tier": ["gold", "a,b"]},
        "holidays": [BAVARIA, "2026-12-24", "12-31"],
        "agents": {"b": 90.0, "a": 10.0},
    }
    policy = routing(rule, rest()).policy
    assert policy is not None
    [shown, _] = encode_policy(policy)["rules"]
    assert shown == rule
    assert list(shown["agents"]) == ["b", "a"], "the order decides which callers an agent gets"
    assert decode_policy(encode_policy(policy)) == policy


LIMITED: list[dict[str, object]] = [
    {"name": "gold", "caller": "+1999*", "agent": "gold", "max_calls": 1},
    {"name": "sales", "agent": "sales", "max_calls": 5, "wait": 10},
    {"name": "main", "percent": 0, "agent": "x", "max_calls": 9},
]


def test_a_full_rule_passes_its_calls_to_the_next_one_with_the_reason() -> None:
    first, last = routing(*LIMITED, rest()).options(CALL)
    assert (first.rule, first.max_calls, first.wait_s, first.reason) == ("sales", 5, 10, "agent sales")
    assert (last.rule, last.max_calls, last.overflowed) == ("rest", 0, (("sales", "full"),))
    assert re.fullmatch(r"redirect \(not sales: full, max_calls 5; main: 0 %, bucket [\d.]+\)", last.reason)
    assert [one.rule for one in routing(*LIMITED, rest()).options(replace(CALL, caller="4:+19995550100"))] == [
        "gold",
        "sales",
        "rest",
    ]


def test_after_its_wait_a_call_continues_with_the_rules_behind() -> None:
    [after] = routing(*LIMITED, rest()).options(CALL, after="sales")
    assert (after.rule, after.after, after.overflowed) == ("rest", "sales", (("sales", "wait"),))
    assert after.reason.startswith("redirect (not sales: no agent was ready within its wait; main: ")
    assert routing(*LIMITED, rest()).options(CALL, after="rest") == []
    assert [one.rule for one in routing(*LIMITED, rest()).options(CALL, after="removed")] == ["sales", "rest"]
    [switched] = routing(*LIMITED, rest(), kill_switch=True).options(CALL, after="sales")
    assert (switched.rule, switched.after) == ("kill_switch", "sales")
