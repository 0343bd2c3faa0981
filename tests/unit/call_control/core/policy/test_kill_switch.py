from __future__ import annotations

from call_control.core.policy.kill_switch import switched
from call_control.core.policy.routing_policy import decode_policy, encode_policy


def test_without_a_policy_one_is_made_that_does_what_the_settings_do() -> None:
    on = switched(None, "front-desk", on=True)
    assert encode_policy(on) == {"everyone_to_people": True, "rules": [{"name": "all-calls", "agent": "front-desk"}]}
    assert decode_policy(encode_policy(on)) == on, "other replicas can read it"
    assert encode_policy(switched(on, "other", on=False)) == {"rules": [{"name": "all-calls", "agent": "front-desk"}]}


def test_the_rest_of_a_policy_stays() -> None:
    policy = decode_policy({"people": {"phone": "+18005550000"}, "rules": [{"name": "a", "redirect": "people"}]})
    on = switched(policy, "default", on=True)
    assert on.everyone_to_people
    assert switched(on, "default", on=False) == policy
