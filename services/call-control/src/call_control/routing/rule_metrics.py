"""Metrics of the routing rules. The series of a rule exist as soon as it is in force, and stay after a change of the
policy, so that the calls of the last hours are still in them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, get_args

from bridge_common.observability.telemetry import Label, counter
from call_control.core.policy.routing import KILL_SWITCH, ON_BEHALF_RULE, Overflow, Routed
from call_control.core.policy.routing_policy import Policy, Rule

MOST_FORMER: Final = 64
"""Limit for the rules that are no longer in force; the oldest ones lose their series, because their number would
otherwise grow with each policy.
"""
_REDIRECT: Final = ("redirect", "connect", "reject")
"""Actions of a redirect: for calls to a resource account or to the target itself it becomes another one."""
_OF_SETTINGS: Final[Mapping[str, tuple[str, ...]]] = {
    "DEFAULT_PROFILE": ("agent", "reject"),
    "REFUSED_CALLERS": ("reject",),
    "ON_BEHALF_REJECT_REASON": ("reject",),
    ON_BEHALF_RULE: ("connect",),
    KILL_SWITCH: _REDIRECT,
}
"""Possible actions of the settings that decide if no rule does."""
_RULE = Label("rule", _OF_SETTINGS)
_ROUTED = counter(
    "bridge_calls_routed", "Incoming calls, by route and the rule that decided",
    Label("action", ("agent", "connect", "redirect", "reject")), _RULE,
    series=((action, setting) for setting, actions in _OF_SETTINGS.items() for action in actions),
)  # fmt: skip
_OVERFLOWED = counter(
    "bridge_calls_overflowed", "Calls that a full rule passed to the next one, or after their wait",
    _RULE, Label("cause", get_args(Overflow)),
    series=(),
)  # fmt: skip
_known: Final[dict[str, None]] = {}
"""Rules that have series, the newest last."""


def know(policy: Policy | None) -> None:
    """Create the series of the rules in force."""
    rules = policy.rules if policy else ()
    for rule in rules:
        _known.pop(rule.name, None)
        _known[rule.name] = None
    for name in list(_known)[: max(len(_known) - len(rules) - MOST_FORMER, 0)]:
        del _known[name]
        for metric in (_ROUTED, _OVERFLOWED):
            metric.remove_by_labels({"rule": name})
    _RULE.values = frozenset({*_OF_SETTINGS, *_known})
    for rule in rules:
        for action in _actions_of(rule):
            _ROUTED.labels(action, rule.name)
        if rule.max_calls:
            _OVERFLOWED.labels(rule.name, "full")
        if rule.wait:
            _OVERFLOWED.labels(rule.name, "wait")


def count(routed: Routed) -> None:
    _ROUTED.labels(routed.action, routed.rule).inc()
    for rule, cause in routed.overflowed:
        _OVERFLOWED.labels(rule, cause).inc()


def _actions_of(rule: Rule) -> tuple[str, ...]:
    if rule.agent is not None or rule.agents is not None:
        return ("agent",)
    return ("reject",) if rule.reject is not None else _REDIRECT
