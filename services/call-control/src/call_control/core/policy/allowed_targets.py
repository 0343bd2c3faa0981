"""The targets that a routing policy set at run time may contain (ALLOWED_TARGETS)."""

from __future__ import annotations

from collections.abc import Iterator

from call_control.core.policy.routing import Routing
from call_control.core.policy.routing_policy import HUMAN_AGENTS, Policy
from call_control.core.policy.target_fields import Target


def disallowed_targets(policy: Policy, settings: Routing, in_force: Policy | None = None) -> list[str]:
    """Return an error text for each target that a policy set at run time must not contain.

    A stolen API key must not send callers to an attacker's number. Targets of the deployment itself (settings, policy
    file) and of the policy in force are allowed.
    """
    known = {settings.redirect_target.lower(), settings.transfer_target.lower()}
    known |= {raw_id.lower() for one in (settings.policy, in_force) if one for _, raw_id in _targets(one)}
    return [
        f"{location}: this target is not allowed; add it to ALLOWED_TARGETS"
        for location, raw_id in _targets(policy)
        if raw_id.lower() not in known and not any(pattern.matches(raw_id) for pattern in settings.allowed_targets)
    ]


def _targets(policy: Policy) -> Iterator[tuple[str, str]]:
    """Yield location and raw id of each target."""
    if policy.human_agents is not None:
        yield HUMAN_AGENTS, policy.human_agents.raw_id
    for name, target in policy.targets.items():
        yield f"targets.{name}", target.raw_id
    for index, rule in enumerate(policy.rules):
        if isinstance(rule.redirect, Target):
            yield f"rules[{index}] ({rule.name}).redirect", rule.redirect.raw_id
