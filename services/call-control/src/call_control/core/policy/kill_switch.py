"""The kill switch: the policy with `everyone_to_people` set or not."""

from __future__ import annotations

from call_control.core.policy.routing_policy import Policy, Rule


def switched(policy: Policy | None, profile: str, *, on: bool) -> Policy:
    """`profile`: where calls go without a policy."""
    if policy is None:
        policy = Policy(rules=(Rule(name="all-calls", agent=profile),))
    return policy.model_copy(update={"everyone_to_people": on})
