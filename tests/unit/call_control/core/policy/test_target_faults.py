"""Faults of targets and resource accounts, and of rules that name them."""

from __future__ import annotations

import pytest

from call_control.core.policy.policy_text import PolicyError, decode_policy

REST = {"name": "rest", "agent": "front-desk"}
GUID, OTHER = "3e9b2b1c-1a2b-4c3d-8e4f-0123456789ab", "4e9b2b1c-1a2b-4c3d-8e4f-0123456789ab"
BILLING = {"billing": {"phone": "+18005550001"}}
RECEPTION = {"reception": {"teams_app": GUID, "number": "+18005550009"}}


def mistakes_of(**content: object) -> list[str]:
    with pytest.raises(PolicyError) as caught:
        decode_policy({"rules": [REST]} | content)
    return list(caught.value.mistakes)


def rule(**fields: object) -> dict[str, object]:
    return {
        "rules": [{"name": "first", "percent": 1, **fields}, REST],
        "targets": BILLING,
        "resource_accounts": RECEPTION,
    }


@pytest.mark.parametrize(
    ("content", "mistake"),
    [
        ({"targets": {"a": {}}}, "targets.a: must have exactly one of phone, acs_user, teams_user, teams_app"),
        (
            {"targets": {"a": {"phone": "+18005550001", "teams_user": GUID}}},
            "targets.a: must have exactly one of phone, acs_user, teams_user, teams_app",
        ),
        ({"targets": {"a": {"phone": "18005550001"}}}, "targets.a.phone: is not a phone number; write + and digits"),
        (
            {"targets": {"a": {"phone": "+18005550001", "ring": 5}}},
            "targets.a.ring: is unknown; known fields are phone,",
        ),
        ({"targets": {"a": {"phone": "+18005550001", "ring_s": 4}}}, "targets.a.ring_s: must be between 5 and 120"),
        ({"targets": {"a": {"phone": "+18005550001", "ring_s": 121}}}, "targets.a.ring_s: must be between 5 and 120"),
        ({"targets": {"a": {"phone": "+18005550001", "ring_s": True}}}, "targets.a.ring_s: must be a number"),
        (
            {"targets": {"a": {"phone": "+18005550001", "transfer": "warm"}}},
            "targets.a.transfer: must be 'attended' or 'blind'",
        ),
        (
            {"targets": {"a": {"phone": "+18005550001", "after_join": "sing"}}},
            "targets.a.after_join: must be 'stay', 'leave' or 'transfer'",
        ),
        (
            {"targets": {"a": {"phone": "+18005550001", "when_person_leaves": "stay"}}},
            "targets.a.when_person_leaves: must be 'return' or 'hang_up'",
        ),
        ({"targets": {"caller": {"phone": "+18005550001"}}}, "targets.caller: is a reserved name; choose another"),
        ({"targets": {"human_agents": {"phone": "+18005550001"}}}, "targets.human_agents: is a reserved name; choose"),
        ({"targets": {"+1": {"phone": "+18005550001"}}}, "targets.+1 (name): must begin with a letter or a digit"),
        ({"targets": [BILLING]}, "targets: must be a mapping"),
        ({"resource_accounts": {"a": {"number": "+18005550001"}}}, "resource_accounts.a.teams_app: is missing"),
        ({"resource_accounts": {"a": {"teams_app": "reception"}}}, "resource_accounts.a.teams_app: is not a Teams app"),
        ({"resource_accounts": {"anonymous": {"teams_app": GUID}}}, "resource_accounts.anonymous: is a reserved name"),
        (
            {"resource_accounts": RECEPTION | {"b": {"teams_app": f"28:orgid:{GUID}"}}},
            "resource_accounts.b.teams_app: resource_accounts.reception has the same value; remove one of them",
        ),
        (
            {"resource_accounts": RECEPTION | {"b": {"teams_app": OTHER, "number": "4:+18005550009"}}},
            "resource_accounts.b.number: resource_accounts.reception has the same value; remove one of them",
        ),
        (
            {"resource_accounts": RECEPTION | {"Reception": {"teams_app": OTHER}}},
            "resource_accounts.Reception: another name differs only in upper and lower case; rename it",
        ),
        ({"on_behalf": "answer"}, "on_behalf: must be 'connect' or 'reject'"),
        (
            rule(redirect="biling"),
            "rules[0] (first).redirect: is not the name of a target; use human_agents, bill",
        ),
        (
            rule(redirect="human_agents"),
            "rules[0] (first).redirect: the policy has no human_agents; add them, or redirect to a target",
        ),
        (
            rule(called="reseption", agent="a"),
            "rules[0] (first).called[0]: is neither a pattern nor the name of a resource account; write + and digits,",
        ),
        (
            rule(called="+1*, 18005551212", agent="a"),
            "rules[0] (first).called[1]: is neither a pattern nor the name of",
        ),
    ],
)
def test_a_fault_has_its_location(content: dict[str, object], mistake: str) -> None:
    found = mistakes_of(**content)
    assert len(found) == 1, found
    assert found[0].startswith(mistake)
    assert "1800" not in found[0], "no number is repeated"
    if "called" in found[0]:
        assert found[0].endswith("or add the name to resource_accounts; known names are reception")


def test_all_faults_are_reported_at_once() -> None:
    found = mistakes_of(
        targets={"caller": {"phone": "+18005550001"}, "b": {"ring_s": "x"}},
        resource_accounts=RECEPTION | {"b": {"teams_app": GUID, "number": "1800"}},
        on_behalf="maybe",
        rules=[{"name": "first", "called": ["reception", "lobby"], "percent": 1, "redirect": "c"}, REST],
    )
    for start in (
        *("targets.caller: ", "targets.b: must have", "targets.b.ring_s: must be an integer"),
        *("resource_accounts.b.teams_app: ", "resource_accounts.b.number: ", "on_behalf: "),
        *("rules[0] (first).called[1]: ", "rules[0] (first).redirect: "),
    ):
        assert any(mistake.startswith(start) for mistake in found), (start, found)
    assert len(found) == 8
