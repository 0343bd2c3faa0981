"""What a policy may say, and what is said about a bad one."""

from __future__ import annotations

import json
from typing import Any

import pytest

from call_control.core.policy.routing_policy import PolicyError, decode_policy, digest_of, encode_policy

REST = {"name": "rest", "agent": "front-desk"}
GUID = "3e9b2b1c-1a2b-4c3d-8e4f-0123456789ab"


def mistakes_of(content: object) -> list[str]:
    with pytest.raises(PolicyError) as caught:
        decode_policy(content)
    assert caught.value.message == "; ".join(caught.value.mistakes)
    return list(caught.value.mistakes)


def with_rule(**fields: object) -> dict[str, object]:
    return {"people": {"phone": "+18005550000"}, "rules": [{"name": "first", **fields}, REST]}


def test_a_whole_policy_and_back() -> None:
    content: dict[str, Any] = {
        "people": {"phone": "4:+18005550000"},
        "everyone_to_people": True,
        "time_zone": "Europe/Berlin",
        "rules": [
            {"name": "refused", "caller": ["+1900*", "anonymous"], "reject": "forbidden"},
            {"name": "night", "days": ["mon-fri", "sun"], "hours": ["20:00-08:00"], "redirect": "people"},
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
    ],
)
def test_people_as_acs_names_them(party: dict[str, str], raw_id: str) -> None:
    policy = decode_policy({"people": party, "rules": [REST]})
    assert policy.people is not None
    assert policy.people.raw_id == raw_id


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
def test_who_nobody_can_be_redirected_to(party: dict[str, str]) -> None:
    assert all(mistake.startswith("people") for mistake in mistakes_of({"people": party, "rules": [REST]}))


@pytest.mark.parametrize(
    ("fields", "mistake"),
    [
        ({"percent": 1}, "rules[0] (first): needs exactly one of agent, redirect, reject"),
        (
            {"percent": 1, "agent": "a", "reject": "busy"},
            "rules[0] (first): needs exactly one of agent, redirect, reject",
        ),
        ({"percent": 1, "reject": "none"}, "rules[0] (first).reject: Input should be 'busy' or 'forbidden'"),
        ({"called": "1800*", "agent": "a"}, "rules[0] (first).called[0]: is no pattern"),
        ({"caller": [1800], "agent": "a"}, "rules[0] (first).caller[0]: is no text"),
        ({"days": "mo", "time_zone": "UTC", "agent": "a"}, "rules[0] (first).days[0]: is no day"),
        ({"hours": 8, "time_zone": "UTC", "agent": "a"}, "rules[0] (first).hours: is no list"),
        ({"hours": "8:00-9:00", "agent": "a"}, "rules[0] (first).time_zone: is missing"),
        ({"days": "mon", "time_zone": "Mars", "agent": "a"}, "rules[0] (first).time_zone: is no time zone"),
        ({"percent": 101, "agent": "a"}, "rules[0] (first).percent: Input should be less than or equal to 100"),
        ({"percent": -1, "agent": "a"}, "rules[0] (first).percent: Input should be greater"),
        ({"percent": True, "agent": "a"}, "rules[0] (first).percent: is no number"),
        ({"percent": "nan", "agent": "a"}, "rules[0] (first).percent: Input should be"),
        ({"percent": 0.001, "agent": "a"}, "rules[0] (first).percent: is finer than a hundredth"),
        ({"percent": "25 %", "agent": "a"}, "rules[0] (first).percent: Input should be a valid number"),
        ({"redirect": "somebody", "percent": 1}, "rules[0] (first).redirect: Input should be 'people'"),
        ({"redirect": {"phone": "x"}, "percent": 1}, "rules[0] (first).redirect.phone: is no number"),
        ({"redirect": {}, "percent": 1}, "rules[0] (first).redirect: needs exactly one of phone"),
        ({"precent": 1, "percent": 1, "agent": "a"}, "rules[0] (first).precent: there is no such field"),
        ({"agent": "a"}, "rules[1] (rest): is never reached, rules[0] (first) takes every call"),
        ({"agent": "a", "percent": 100}, "rules[1] (rest): is never reached, rules[0] (first) takes every call"),
        ({"name": "", "percent": 1, "agent": "a"}, "rules[0].name: String should match pattern"),
        ({"name": "rest", "percent": 1, "agent": "a"}, "rules[1] (rest).name: another rule has it"),
        ({"name": "DEFAULT_PROFILE", "percent": 1, "agent": "a"}, "rules[0] (DEFAULT_PROFILE).name: has a meaning"),
    ],
)
def test_a_mistake_is_named_with_its_place(fields: dict[str, object], mistake: str) -> None:
    told = mistakes_of(with_rule(**fields))
    assert len(told) == 1
    assert told[0].startswith(mistake)


@pytest.mark.parametrize(
    ("content", "mistake"),
    [
        (None, "a policy is a mapping"),
        ([], "a policy is a mapping"),
        ({}, "rules: is missing"),
        ({"rules": []}, "rules: needs at least one rule"),
        ({"rules": {}}, "rules: is no list"),
        ({"rules": [REST], "everyone_to_people": "yes"}, "everyone_to_people: Input should be a valid boolean"),
        ({"rules": [REST], "time_zone": "X"}, "time_zone: is no time zone"),
        ({"rules": [{"name": "a", "redirect": "people"}]}, "rules[0] (a).redirect: the policy does not say who"),
        ({"rules": [{**REST, "percent": 25}]}, "rules[0] (rest): the last rule has to take every call that is left"),
        ({"rules": [{**REST, "called": "+1*"}]}, "rules[0] (rest): the last rule has to take every call that is left"),
    ],
)
def test_mistakes_of_the_whole(content: object, mistake: str) -> None:
    told = mistakes_of(content)
    assert len(told) == 1
    assert told[0].startswith(mistake)


def test_all_mistakes_are_told_at_once_and_no_number_is_repeated() -> None:
    content = {
        "peple": {},
        "everyone_to_people": True,
        "rules": [
            {"name": "a", "called": "18005551212", "hours": ["9-5"], "percent": 101, "agent": "x", "reject": "busy"},
            {"name": "a", "redirect": {"phone": "004918005550000"}},
            7,
        ],
    }
    told = mistakes_of(content)
    for start in (
        *("peple:", "rules[0] (a).called[0]", "rules[0] (a).hours[0]", "rules[0] (a).percent"),
        *("rules[0] (a): needs exactly one", "rules[0] (a).time_zone", "rules[1] (a).redirect.phone"),
        *("rules[1] (a).name: another", "rules[2]: is no mapping"),
    ):
        assert any(mistake.startswith(start) for mistake in told), start
    assert "5551212" not in "; ".join(told)
    assert "5550000" not in "; ".join(told)
