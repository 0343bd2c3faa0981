"""Who takes an incoming call: an agent profile, people, or nobody; and why.

The policy's rules are asked in order, each takes or leaves the call. Without a policy every call goes to one profile.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, TypeAlias

from bridge_common.wire.entries import IncomingCall
from call_control.core.policy.party_pattern import PartyPattern, is_anonymous
from call_control.core.policy.routing_policy import Policy, Rule
from call_control.core.policy.schedule import is_in, zone_of
from call_control.core.policy.share import STEPS, place_of, steps_of


@dataclass(frozen=True, slots=True)
class Accepted:
    profile: str


@dataclass(frozen=True, slots=True)
class Redirected:
    target: str
    """Raw id."""


@dataclass(frozen=True, slots=True)
class Rejected:
    reason: str
    """`busy`, `forbidden` or `none`."""
    end_reason: str = "rejected"


ON_BEHALF: Final = "on_behalf_of_callee"
"""End reason of a call that a Teams user makes through our resource."""
KILL_SWITCH: Final = "everyone_to_people"
_LONGEST_REASON: Final = 1000

Decision: TypeAlias = Accepted | Redirected | Rejected


@dataclass(frozen=True, slots=True)
class Routed:
    decision: Decision
    rule: str
    """The rule that took the call, or the setting that did."""
    reason: str
    """For people; holds no party."""

    @property
    def action(self) -> str:
        return {Accepted: "agent", Redirected: "redirect", Rejected: "reject"}[type(self.decision)]


@dataclass(frozen=True, slots=True)
class Routing:
    """The settings of this replica, and the policy in force if there is one."""

    profile: str = "default"
    """Without a policy: of every call."""
    refused_callers: frozenset[str] = frozenset()
    """Raw ids or numbers; policy or not."""
    key: bytes = field(default=b"", repr=False)
    """Of the hash that tells callers of a share from others."""
    policy: Policy | None = None
    on_behalf_reject_reason: str = "none"
    """For calls that a Teams user makes through our resource; policy or not."""
    redirect_target: str = ""
    """Raw id; gets the calls of the kill switch if the policy names no people."""
    transfer_target: str = ""
    """Raw id."""
    allowed_targets: tuple[PartyPattern, ...] = ()
    """Of policies that are given at run time."""

    @property
    def people(self) -> str:
        """Raw id of the policy's people, empty when it names none."""
        return self.policy.people.raw_id if self.policy and self.policy.people else ""

    def route(self, call: IncomingCall) -> Routed:
        """As of the moment when the call arrived, so that every replica finds the same."""
        if call.on_behalf_of:
            # No agent, because it would talk to the Teams user; no redirect, because ACS supports none for such a call.
            decision = Rejected(self.on_behalf_reject_reason, ON_BEHALF)
            return Routed(decision, "ON_BEHALF_REJECT_REASON", "a call on behalf of a callee is not answered")
        caller = call.caller.lower()
        if any(refused.lower() in (caller, caller.removeprefix("4:")) for refused in self.refused_callers):
            return Routed(Rejected("forbidden"), "REFUSED_CALLERS", "the caller is refused")
        if self.policy is None:
            return Routed(Accepted(self.profile), "DEFAULT_PROFILE", f"no policy: agent {self.profile}")
        if self.policy.everyone_to_people:
            return self._by_kill_switch(call)
        return self._by_rules(self.policy, call)

    def _by_kill_switch(self, call: IncomingCall) -> Routed:
        target, why = self.people or self.redirect_target, "the kill switch is on"
        if not target:
            return Routed(Rejected("busy"), KILL_SWITCH, f"{why}, but neither people nor REDIRECT_TARGET are set")
        return redirect_unless_circular(target, call, KILL_SWITCH, why)

    def _by_rules(self, policy: Policy, call: IncomingCall) -> Routed:
        passed: list[str] = []
        for rule in policy.rules:
            if not _fits(rule, policy, call):
                continue
            if rule.percent is None or rule.percent == 100:
                return self._taken(rule, call, "", passed)
            place, why = self._place(rule, call)
            if place < steps_of(rule.percent):
                return self._taken(rule, call, f"{why}: ", passed)
            passed.append(f"{rule.name}: {why}")
        # decode_policy lets no policy through that leaves a call to nobody.
        return Routed(Rejected("busy"), "DEFAULT_PROFILE", "no rule took the call")

    def _taken(self, rule: Rule, call: IncomingCall, why: str, passed: list[str]) -> Routed:
        before = f" (not {'; '.join(passed)})"[:_LONGEST_REASON] if passed else ""
        if rule.agent is not None:
            return Routed(Accepted(rule.agent), rule.name, f"{why}agent {rule.agent}{before}")
        if rule.reject is not None:
            return Routed(Rejected(rule.reject), rule.name, f"{why}reject {rule.reject}{before}")
        target = self.people if rule.redirect == "people" or rule.redirect is None else rule.redirect.raw_id
        return redirect_unless_circular(target, call, rule.name, f"{why}redirect{before}")

    def _place(self, rule: Rule, call: IncomingCall) -> tuple[int, str]:
        """Where the caller stands for this rule. One without a number is nobody's second call: the call is drawn."""
        share = f"{rule.percent:g} %"
        if not self.key and rule.percent:
            return STEPS, f"{share} without ROUTING_KEY"
        hidden = is_anonymous(call.caller)
        place = place_of(self.key, rule.name, call.call_id if hidden else call.caller.lower())
        drawn = "call drawn at" if hidden else "bucket"
        return place, f"{share}, {drawn} {place * 100 / STEPS:g}"


def _fits(rule: Rule, policy: Policy, call: IncomingCall) -> bool:
    for patterns, party in ((rule.called, call.callee), (rule.caller, call.caller)):
        if patterns and not any(pattern.matches(party) for pattern in patterns):
            return False
    if not (rule.days or rule.hours):
        return True
    zone = zone_of(rule.time_zone or policy.time_zone or "UTC")
    arrived = datetime.fromtimestamp(call.received_ms / 1000, UTC)
    return is_in(arrived.astimezone(zone), rule.days, rule.hours)


def redirect_unless_circular(target: str, call: IncomingCall, rule: str, reason: str) -> Routed:
    if target.lower() == call.callee.lower():
        return Routed(Rejected("busy"), rule, f"{reason}, but that is what was called: it would ring here again")
    return Routed(Redirected(target), rule, reason)
