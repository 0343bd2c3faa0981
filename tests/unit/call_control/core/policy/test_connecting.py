"""Calls that are answered without an agent and connected: on behalf of a callee, and to resource accounts."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from bridge_common.wire.entries import IncomingCall
from call_control.core.events.event_grid import UNKNOWN
from call_control.core.policy.policy_text import decode_policy
from call_control.core.policy.ring_limits import Limit, RingLimits
from call_control.core.policy.routing import Accepted, Connected, Redirected, Rejected, Routing

GUID = "3e9b2b1c-1a2b-4c3d-8e4f-0123456789ab"
ACCOUNT, DESK = f"28:orgid:{GUID}", "4:+18005550001"
CALL = IncomingCall("call_1", "e", "4:+14255550100", "4:+18005551212", "ctx", "corr", "", 0)
TEAMS_CALL = replace(CALL, callee=ACCOUNT)
OUTBOUND = replace(TEAMS_CALL, on_behalf_of="4:+14255550199")


def routing(*rules: dict[str, object], **fields: object) -> Routing:
    accounts = {"reception": {"teams_app": GUID, "number": "+18005550009"}}
    content = {
        "targets": {"desk": {"phone": DESK}},
        "human_agents": {"phone": "+18005550000"},
        "resource_accounts": accounts,
        "rules": [*rules, {"name": "rest", "agent": "front-desk"}],
    }
    return Routing(policy=decode_policy(content | fields))


@pytest.mark.parametrize("called", ["reception", "+18005550009", "+1800555000?", ACCOUNT, "28:*"])
def test_a_rule_matches_a_resource_account_by_name_number_and_id(called: str) -> None:
    asked = routing({"name": "desk", "called": called, "agent": "desk"})
    assert asked.route(TEAMS_CALL).rule == "desk"
    assert asked.route(replace(TEAMS_CALL, callee=ACCOUNT.upper())).rule == "desk"
    assert asked.route(replace(TEAMS_CALL, callee="8:acs:r_u")).rule == "rest"


def test_an_unlisted_account_has_no_number() -> None:
    asked = routing({"name": "desk", "called": ["reception", "+1*"], "agent": "desk"})
    assert asked.route(replace(TEAMS_CALL, callee="28:orgid:other")).rule == "rest"


def test_a_redirect_by_name() -> None:
    routed = routing({"name": "desk", "called": "+18005551212", "redirect": "desk"}).route(CALL)
    assert (routed.decision, routed.action) == (Redirected(DESK), "redirect")


@pytest.mark.parametrize(
    ("redirect", "target"),
    [("desk", DESK), ("human_agents", "4:+18005550000"), ({"phone": "+18005550002"}, "4:+18005550002")],
)
def test_a_redirect_of_a_resource_account_is_answered_and_connected(redirect: object, target: str) -> None:
    routed = routing({"name": "desk", "called": "reception", "redirect": redirect}).route(TEAMS_CALL)
    assert (routed.decision, routed.action, routed.rule) == (Connected(target), "connect", "desk")
    assert routed.reason.startswith("redirect; connected instead: ")


def test_the_kill_switch_and_the_limits_connect_calls_of_resource_accounts() -> None:
    assert routing(kill_switch=True).route(TEAMS_CALL).decision == Connected("4:+18005550000")
    limits = RingLimits(per_caller=1, treatment="redirect")
    assert limits.turn_away(TEAMS_CALL, Limit.CALLER, DESK).decision == Connected(DESK)


def test_an_account_is_not_connected_to_itself() -> None:
    routed = routing({"name": "desk", "called": "reception", "redirect": {"teams_app": GUID}}).route(TEAMS_CALL)
    assert routed.decision == Rejected("busy")


def test_a_call_on_behalf_of_a_callee_is_connected_if_the_policy_wants_it() -> None:
    for kill_switch in (False, True):
        routed = routing(on_behalf="connect", kill_switch=kill_switch).route(OUTBOUND)
        assert (routed.decision, routed.rule, routed.action) == (Connected("4:+14255550199"), "on_behalf", "connect")
        assert "5550199" not in routed.reason


@pytest.mark.parametrize("callee", [UNKNOWN, "4:anonymous", "sip:a@b", "4:+1425555\r\n"])
def test_a_callee_that_cannot_be_called_is_rejected(callee: str) -> None:
    routed = routing(on_behalf="connect").route(replace(OUTBOUND, on_behalf_of=callee))
    assert (routed.decision, routed.rule) == (Rejected("none", "on_behalf_of_callee"), "ON_BEHALF_REJECT_REASON")


def test_refused_callers_and_other_policies_do_not_connect() -> None:
    policy = routing(on_behalf="connect").policy
    for asked in (
        routing(),
        Routing(),
        Routing(policy=policy, refused_callers=frozenset({"+14255550100"})),
    ):
        assert asked.route(OUTBOUND).decision == Rejected("none", "on_behalf_of_callee")
    assert routing().route(TEAMS_CALL).decision == Accepted("front-desk")
