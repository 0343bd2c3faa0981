"""Whom a policy that is given at run time may redirect calls to.

A stolen API key must not send every caller to a number of the thief's choice. What the deployment itself names
(settings, the policy file) needs no further permission, nor do the targets that are in force already.
"""

from __future__ import annotations

from collections.abc import Iterator

from call_control.core.policy.routing import Routing
from call_control.core.policy.routing_policy import People, Policy


def not_allowed(policy: Policy, settings: Routing, in_force: Policy | None = None) -> list[str]:
    """A mistake for each target of the policy that is not allowed."""
    known = {settings.redirect_target.lower(), settings.transfer_target.lower()}
    known |= {raw_id.lower() for one in (settings.policy, in_force) if one for _, raw_id in _targets(one)}
    return [
        f"{place}: this target is not allowed; add it to ALLOWED_TARGETS"
        for place, raw_id in _targets(policy)
        if raw_id.lower() not in known and not any(pattern.matches(raw_id) for pattern in settings.allowed_targets)
    ]


def _targets(policy: Policy) -> Iterator[tuple[str, str]]:
    """Each target as its place and its raw id."""
    if policy.people is not None:
        yield "people", policy.people.raw_id
    for index, rule in enumerate(policy.rules):
        if isinstance(rule.redirect, People):
            yield f"rules[{index}] ({rule.name}).redirect", rule.redirect.raw_id
