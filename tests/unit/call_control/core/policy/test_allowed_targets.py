"""Redirect targets that a policy set at run time may contain."""

from __future__ import annotations

from call_control.core.policy.allowed_targets import disallowed_targets
from call_control.core.policy.parties import PartyPattern
from call_control.core.policy.policy_text import decode_policy
from call_control.core.policy.routing import Routing
from call_control.core.policy.routing_policy import Policy

NUMBER, USER = "+18005550000", "8:acs:Resource_user"


def policy(agents: str = NUMBER, user: str = USER) -> Policy:
    rules = [
        {"name": "vip", "redirect": {"acs_user": user}, "called": "+1*"},
        {"name": "rest", "redirect": "human_agents"},
    ]
    return decode_policy({"human_agents": {"phone": agents}, "rules": rules})


def test_an_empty_list_allows_nothing_and_each_target_is_named_by_its_place() -> None:
    mistakes = disallowed_targets(policy(), Routing())
    assert [mistake.partition(":")[0] for mistake in mistakes] == ["human_agents", "rules[0] (vip).redirect"]
    assert "ALLOWED_TARGETS" in mistakes[0]
    assert NUMBER not in "".join(mistakes), "the message ends in logs"


def test_patterns_allow_targets() -> None:
    allowed = (PartyPattern("+1800555000?"), PartyPattern("8:acs:resource_*"))
    assert disallowed_targets(policy(), Routing(allowed_targets=allowed)) == []
    assert len(disallowed_targets(policy("+18005550010"), Routing(allowed_targets=allowed))) == 1
    assert disallowed_targets(policy(), Routing(allowed_targets=(PartyPattern("*"),))) == []


def test_targets_of_the_settings_the_file_and_the_policy_in_force_need_no_pattern() -> None:
    settings = Routing(redirect_target=f"4:{NUMBER}", transfer_target=USER.lower())
    assert disallowed_targets(policy(), settings) == []
    assert disallowed_targets(policy(), Routing(policy=policy())) == []
    assert disallowed_targets(policy(), Routing(), in_force=policy()) == []
    assert len(disallowed_targets(policy(user="8:acs:other"), Routing(), in_force=policy())) == 1


def test_targets_of_transfers_are_targets() -> None:
    changed = decode_policy(
        {"targets": {"billing": {"phone": NUMBER}}, "rules": [{"name": "rest", "redirect": "billing"}]}
    )
    text = "targets.billing: this target is not allowed; add it to ALLOWED_TARGETS"
    assert disallowed_targets(changed, Routing()) == [text]
    assert disallowed_targets(changed, Routing(allowed_targets=(PartyPattern("+1800555*"),))) == []
    assert disallowed_targets(changed, Routing(), in_force=policy()) == []
