"""Fields of a routing policy, and the errors that are reported for an invalid one."""

from __future__ import annotations

import json
from typing import Any

import pytest

from call_control.core.policy.policy_text import PolicyError, decode_policy
from call_control.core.policy.routing_policy import digest_of, encode_policy, encode_stored_policy, switched

REST = {"name": "rest", "agent": "front-desk"}
GUID = "3e9b2b1c-1a2b-4c3d-8e4f-0123456789ab"


def mistakes_of(content: object) -> list[str]:
    with pytest.raises(PolicyError) as caught:
        decode_policy(content)
    assert caught.value.message == "; ".join(caught.value.mistakes)
    return list(caught.value.mistakes)


def with_rule(**fields: object) -> dict[str, object]:
    return {"human_agents": {"phone": "+18005550000"}, "rules": [{"name": "first", **fields}, REST]}


def test_a_whole_policy_and_back() -> None:
    content: dict[str, Any] = {
        "human_agents": {"phone": "4:+18005550000"},
        "kill_switch": True,
        "time_zone": "Europe/Berlin",
        "rules": [
            {"name": "refused", "caller": ["+1900*", "anonymous"], "reject": "forbidden"},
            {"name": "night", "days": ["mon-fri", "sun"], "hours": ["20:00-08:00"], "redirect": "human_agents"},
            {"name": "tokyo", "hours": ["09:00-10:00"], "time_zone": "Asia/Tokyo", "agent": "tokyo"},
            {"name": "main", "called": ["+18005551212"], "percent": 12.5, "agent": "front-desk"},
            {"name": "rest", "redirect": {"teams_user": f"8:orgid:{GUID}"}},
        ],
    }
    policy = decode_policy(content)
    assert encode_policy(policy) == content
    assert decode_policy(json.loads(json.dumps(encode_policy(policy)))) == policy
    assert policy.shares == ("main",)


def test_one_or_many() -> None:
    one = decode_policy(with_rule(called="+1800*", days="mon, wed", hours="8:00-9:00", time_zone="UTC", agent="a"))
    many = decode_policy(
        with_rule(called=["+1800*"], days=["mon", "wed"], hours=["08:00-09:00"], time_zone="UTC", agent="a")
    )
    assert one == many
    assert digest_of(one) == digest_of(many) != digest_of(decode_policy({"rules": [REST]}))
    assert digest_of(None) == ""


@pytest.mark.parametrize(
    ("party", "raw_id"),
    [
        ({"phone": "+18005550000"}, "4:+18005550000"),
        ({"acs_user": "8:acs:res_user"}, "8:acs:res_user"),
        ({"teams_user": GUID}, f"8:orgid:{GUID}"),
        ({"teams_user": f"8:orgid:{GUID}"}, f"8:orgid:{GUID}"),
        ({"teams_app": GUID}, f"28:orgid:{GUID}"),
        ({"acs_user": "8:acs:res_tenant_user"}, "8:acs:res_tenant_user"),
        ({"acs_user": "8:gcch-acs:res_user"}, "8:gcch-acs:res_user"),
        ({"teams_user": f"8:dod:{GUID}"}, f"8:dod:{GUID}"),
        ({"teams_app": f"28:gcch:{GUID}"}, f"28:gcch:{GUID}"),
    ],
)
def test_human_agents_as_raw_ids(party: dict[str, str], raw_id: str) -> None:
    policy = decode_policy({"human_agents": party, "rules": [REST]})
    assert policy.human_agents is not None
    assert policy.human_agents.raw_id == raw_id


@pytest.mark.parametrize(
    "party",
    [
        {"phone": "18005550000"},
        {"phone": "8:acs:x"},
        {"acs_user": "+18005550000"},
        {"teams_user": "anna@example.com"},
        {"teams_user": "28:orgid:x"},
        {"sip": "x"},
        {"phone": None},
        {},
        {"phone": "+18005550000", "teams_user": GUID},
    ],
)
def test_invalid_targets(party: dict[str, str]) -> None:
    assert all(mistake.startswith("human_agents") for mistake in mistakes_of({"human_agents": party, "rules": [REST]}))


@pytest.mark.parametrize(
    ("fields", "mistake"),
    [
        ({"percent": 1}, "rules[0] (first): must have exactly one of agent, agents, redirect, reject"),
        (
            {"percent": 1, "agent": "a", "reject": "busy"},
            "rules[0] (first): must have exactly one of agent, agents, redirect, reject",
        ),
        ({"percent": 1, "reject": "none"}, "rules[0] (first).reject: must be 'busy' or 'forbidden'"),
        ({"called": "1800*", "agent": "a"}, "rules[0] (first).called[0]: is not a pattern; write + and digits"),
        ({"caller": [1800], "agent": "a"}, "rules[0] (first).caller[0]: must be a string"),
        ({"days": "mo", "time_zone": "UTC", "agent": "a"}, "rules[0] (first).days[0]: is not a day; write one of mon"),
        ({"hours": 8, "time_zone": "UTC", "agent": "a"}, "rules[0] (first).hours: must be a list"),
        ({"hours": "8:00-9:00", "agent": "a"}, "rules[0] (first).time_zone: is missing"),
        ({"days": "mon", "time_zone": "Mars", "agent": "a"}, "rules[0] (first).time_zone: is not a time zone"),
        ({"holidays": "12-24", "agent": "a"}, "rules[0] (first).time_zone: is missing"),
        (
            {"holidays": "24.12.", "time_zone": "UTC", "agent": "a"},
            "rules[0] (first).holidays[0]: is not a date; write",
        ),
        ({"holidays": "2026-02-30", "time_zone": "UTC", "agent": "a"}, "rules[0] (first).holidays[0]: is not a date"),
        (
            {"holidays": {"country": "XX"}, "time_zone": "UTC", "agent": "a"},
            "rules[0] (first).holidays[0]: is not a known",
        ),
        (
            {"holidays": {"country": False}, "time_zone": "UTC", "agent": "a"},
            "rules[0] (first).holidays[0].country: must be a string; YAML reads NO as false",
        ),
        (
            {"holidays": [{"country": "DE", "subdivision": "TX"}], "time_zone": "UTC", "agent": "a"},
            "rules[0] (first).holidays[0]: has a subdivision that is not known in this country; known are BB, BE",
        ),
        ({"header": {"X Y": "a"}, "agent": "a"}, "rules[0] (first).header.X Y (name): is not the name of a header"),
        ({"header": {"X": ""}, "agent": "a"}, "rules[0] (first).header.X[0]: is not a pattern; write 1 to 256"),
        ({"header": {"X": []}, "agent": "a"}, "rules[0] (first).header.X: needs at least one"),
        ({"header": "X", "agent": "a"}, "rules[0] (first).header: must be a mapping (key: value)"),
        ({"percent": 1, "agents": {"a": 50, "b": 49}}, "rules[0] (first).agents: the shares must add up to 100 %"),
        ({"percent": 1, "agents": {"a": -1, "b": 100}}, "rules[0] (first).agents.a: must be between 0 and 100"),
        ({"percent": 1, "agents": {}}, "rules[0] (first).agents: needs at least one"),
        (
            {"percent": 1, "agents": {"a": 100}, "agent": "a"},
            "rules[0] (first): must have exactly one of agent, agents",
        ),
        ({"percent": 101, "agent": "a"}, "rules[0] (first).percent: must be between 0 and 100"),
        ({"percent": -1, "agent": "a"}, "rules[0] (first).percent: must be between 0 and 100"),
        ({"percent": True, "agent": "a"}, "rules[0] (first).percent: must be a number"),
        ({"percent": "nan", "agent": "a"}, "rules[0] (first).percent: must be between 0 and 100"),
        ({"percent": 0.001, "agent": "a"}, "rules[0] (first).percent: has more than two decimal places; round it"),
        ({"percent": "25 %", "agent": "a"}, "rules[0] (first).percent: must be a number"),
        (
            {"redirect": "somebody", "percent": 1},
            "rules[0] (first).redirect: is not the name of a target; use human_agents, or {phone",
        ),
        ({"redirect": 7, "percent": 1}, "rules[0] (first).redirect: must be a mapping"),
        (
            {"redirect": {"phone": "x"}, "percent": 1},
            "rules[0] (first).redirect.phone: is not a phone number",
        ),
        ({"redirect": {}, "percent": 1}, "rules[0] (first).redirect: must have exactly one of phone"),
        (
            {"precent": 1, "percent": 1, "agent": "a"},
            "rules[0] (first).precent: is unknown; known fields are name, called,",
        ),
        ({"agent": "a"}, "rules[1] (rest): can never match, because rules[0] (first) takes every call"),
        ({"agent": "a", "percent": 100}, "rules[1] (rest): can never match, because rules[0] (first) takes every call"),
        ({"name": "", "percent": 1, "agent": "a"}, "rules[0].name: must begin with a letter or a digit"),
        ({"name": "rest", "percent": 1, "agent": "a"}, "rules[1] (rest).name: another rule has this name"),
        (
            {"name": "DEFAULT_PROFILE", "percent": 1, "agent": "a"},
            "rules[0] (DEFAULT_PROFILE).name: is a reserved",
        ),
    ],
)
def test_a_mistake_has_its_location(fields: dict[str, object], mistake: str) -> None:
    found = mistakes_of(with_rule(**fields))
    assert len(found) == 1
    assert found[0].startswith(mistake)


@pytest.mark.parametrize(
    ("content", "mistake"),
    [
        (None, "a policy must be a mapping"),
        ([], "a policy must be a mapping"),
        ({}, "rules: is missing"),
        ({"rules": []}, "rules: needs at least one"),
        ({"rules": {}}, "rules: must be a list"),
        ({"rules": [REST], "kill_switch": "yes"}, "kill_switch: must be true or false"),
        ({"rules": [REST], "time_zone": "X"}, "time_zone: is not a time zone"),
        (
            {"rules": [{"name": "a", "redirect": "human_agents"}]},
            "rules[0] (a).redirect: the policy has no human",
        ),
        ({"rules": [{**REST, "percent": 25}]}, "rules[0] (rest): the last rule must take every remaining call"),
        ({"rules": [{**REST, "called": "+1*"}]}, "rules[0] (rest): the last rule must take every remaining call"),
    ],
)
def test_mistakes_of_the_whole_policy(content: object, mistake: str) -> None:
    found = mistakes_of(content)
    assert len(found) == 1
    assert found[0].startswith(mistake)


def test_all_mistakes_are_reported_at_once_and_no_number_is_repeated() -> None:
    content = {
        "peple": {},
        "kill_switch": True,
        "rules": [
            {"name": "a", "called": "18005551212", "hours": ["9-5"], "percent": 101, "agent": "x", "reject": "busy"},
            {"name": "a", "redirect": {"phone": "004918005550000"}},
            7,
        ],
    }
    found = mistakes_of(content)
    for start in (
        *("peple:", "rules[0] (a).called[0]", "rules[0] (a).hours[0]", "rules[0] (a).percent"),
        *("rules[0] (a): must have exactly one", "rules[0] (a).time_zone", "rules[1] (a).redirect.phone"),
        *("rules[1] (a).name: another", "rules[2]: must be a mapping"),
    ):
        assert any(mistake.startswith(start) for mistake in found), start
    assert "5551212" not in "; ".join(found)
    assert "5550000" not in "; ".join(found)


def test_without_a_policy_the_kill_switch_creates_one_that_routes_like_the_settings() -> None:
    on = switched(None, "front-desk", on=True)
    assert encode_policy(on) == {"kill_switch": True, "rules": [{"name": "all-calls", "agent": "front-desk"}]}
    assert decode_policy(encode_policy(on)) == on, "other replicas can read it"
    assert encode_policy(switched(on, "other", on=False)) == {"rules": [{"name": "all-calls", "agent": "front-desk"}]}


def test_the_kill_switch_keeps_the_rest_of_the_policy() -> None:
    policy = decode_policy(
        {"human_agents": {"phone": "+18005550000"}, "rules": [{"name": "a", "redirect": "human_agents"}]}
    )
    on = switched(policy, "default", on=True)
    assert on.kill_switch
    assert switched(on, "default", on=False) == policy


OLD = {
    "people": {"phone": "4:+18005550000"},
    "everyone_to_people": True,
    "rules": [{"name": "a", "called": ["+1*"], "agent": "x"}, {"name": "b", "redirect": "people"}],
}
NEW = {
    "human_agents": OLD["people"],
    "kill_switch": True,
    "rules": [{"name": "a", "called": ["+1*"], "agent": "x"}, {"name": "b", "redirect": "human_agents"}],
}


def test_old_names_are_accepted_and_new_ones_are_shown() -> None:
    assert decode_policy(OLD) == decode_policy(NEW)
    assert encode_policy(decode_policy(OLD)) == NEW
    mistakes = mistakes_of(OLD | {"human_agents": OLD["people"]})
    assert mistakes == ["people: is the old name of human_agents, which is set as well; remove it"]


def test_replicas_of_the_previous_release_read_the_stored_policy_and_agree_on_its_digest() -> None:
    policy = decode_policy(NEW)
    assert encode_stored_policy(policy) == OLD
    assert digest_of(policy) == "c5d2ae4732543ed3", "as release 0.1.0 computes it"
