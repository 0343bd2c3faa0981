"""Whom a policy that is given at run time may redirect calls to."""

from __future__ import annotations

from call_control.core.policy.allowed_targets import not_allowed
from call_control.core.policy.party_pattern import PartyPattern
from call_control.core.policy.routing import Routing
from call_control.core.policy.routing_policy import Policy, decode_policy

NUMBER, USER = "+18005550000", "8:acs:Resource_user"


def policy(people: str = NUMBER, user: str = USER) -> Policy:
    rules = [{"name": "vip", "redirect": {"acs_user": user}, "called": "+1*"}, {"name": "rest", "redirect": "people"}]
    return decode_policy({"people": {"phone": people}, "rules": rules})


def test_an_empty_list_allows_nothing_and_each_target_is_named_by_its_place() -> None:
    mistakes = not_allowed(policy(), Routing())
    assert [mistake.partition(":")[0] for mistake in mistakes] == ["people", "rules[0] (vip).redirect"]
    assert "ALLOWED_TARGETS" in mistakes[0]
    assert NUMBER not in "".join(mistakes), "the message ends in logs"


def test_patterns_allow_targets() -> None:
    allowed = (PartyPattern("+1800555000?"), PartyPattern("8:acs:resource_*"))
    assert not_allowed(policy(), Routing(allowed_targets=allowed)) == []
    assert len(not_allowed(policy("+18005550010"), Routing(allowed_targets=allowed))) == 1
    assert not_allowed(policy(), Routing(allowed_targets=(PartyPattern("*"),))) == []


def test_targets_of_the_settings_the_file_and_the_policy_in_force_need_no_pattern() -> None:
    settings = Routing(redirect_target=f"4:{NUMBER}", transfer_target=USER.lower())
    assert not_allowed(policy(), settings) == []
    assert not_allowed(policy(), Routing(policy=policy())) == []
    assert not_allowed(policy(), Routing(), in_force=policy()) == []
    assert len(not_allowed(policy(user="8:acs:other"), Routing(), in_force=policy())) == 1
