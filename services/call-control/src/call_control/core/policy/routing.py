"""Routes an incoming call to an agent profile or to human agents, or rejects it, and states the reason.

The rules of the policy are evaluated in order. Without a policy every call is routed to one agent profile.

A share (`percent`) is decided by a keyed hash of rule and caller, so nothing is stored: the bucket of a caller, 0 to
99.99 %, is the same on each replica and after a restart. A share includes the buckets below it, so a larger share keeps
all callers of a smaller one. The key prevents outsiders from computing the route of a number.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import accumulate
from typing import Final, Literal, TypeAlias

from bridge_common.wire.entries import IncomingCall
from call_control.core.policy.call_headers import Headers, has_headers, headers_of
from call_control.core.policy.holiday_dates import is_holiday
from call_control.core.policy.parties import PartyPattern, is_anonymous, is_raw_id, is_resource_account
from call_control.core.policy.routing_policy import HUMAN_AGENTS, Policy, Rule
from call_control.core.policy.schedule import is_in, zone_of
from call_control.core.policy.transfer_targets import TransferTarget

MOST_RING_MS: Final = 21_000
"""A call waits at most this long for an agent: a phone rings for about 30 s, and the rule after the last wait may need
`ANSWER_DEADLINE_S`, 8 s by default.
"""
DIVERTED_MS: Final = 29_000
"""A call that has waited is answered or diverted within this time, also with a longer `ANSWER_DEADLINE_S`."""
ON_BEHALF: Final = "on_behalf_of_callee"
"""End reason of a call that a Teams user makes through our resource."""
KILL_SWITCH: Final = "kill_switch"
ON_BEHALF_RULE: Final = "on_behalf"
STEPS: Final = 10_000
"""Buckets of a share: hundredths of a percent."""
_LONGEST_REASON: Final = 1000
_SHORTEST_WAIT_MS: Final = 500


@dataclass(frozen=True, slots=True)
class Accepted:
    profile: str


@dataclass(frozen=True, slots=True)
class Redirected:
    target: str
    """Raw id."""


@dataclass(frozen=True, slots=True)
class Connected:
    """Answer without an agent, and connect the caller to a person."""

    target: str
    """Raw id."""


@dataclass(frozen=True, slots=True)
class Rejected:
    reason: str
    """`busy`, `forbidden` or `none`."""
    end_reason: str = "rejected"


Decision: TypeAlias = Accepted | Connected | Redirected | Rejected
_ACTIONS: Final[dict[type[Decision], str]] = {
    Accepted: "agent",
    Connected: "connect",
    Redirected: "redirect",
    Rejected: "reject",
}
Overflow: TypeAlias = Literal["full", "wait"]
"""Why a call continues with the next rule: all places (`max_calls`) are taken, or no agent was ready within `wait`."""


@dataclass(frozen=True, slots=True)
class Routed:
    decision: Decision
    rule: str
    """The rule or the setting that decided."""
    reason: str
    """Explanation for operators; contains no phone number."""
    max_calls: int = 0
    """Cap of the rule; 0: none."""
    wait_s: float = 0
    """Seconds that the call may wait for the agent; 0: the settings decide."""
    queued: bool = False
    """Whether the rule is full and the call waits for a place."""
    after: str = ""
    """The rule that the call has left, if it waited there."""
    overflowed: tuple[tuple[str, Overflow], ...] = ()
    """The rules before that had no capacity for the call."""

    @property
    def action(self) -> str:
        return _ACTIONS[type(self.decision)]

    def wait_ms(self, rang_ms: int, now_ms: int) -> int:
        """Return for how long a call may wait that rang at `rang_ms`; 0: not at all."""
        left_ms = min(round(self.wait_s * 1000), rang_ms + MOST_RING_MS - now_ms)
        return left_ms if left_ms >= _SHORTEST_WAIT_MS else 0


@dataclass(frozen=True, slots=True)
class Routing:
    """The settings of this replica, and the policy in force if there is one."""

    profile: str = "default"
    """Agent profile of all calls if there is no policy."""
    refused_callers: frozenset[str] = frozenset()
    """Callers that are rejected, with and without a policy: raw ids or numbers."""
    key: bytes = field(default=b"", repr=False)
    """Key of the hash that assigns callers to a share."""
    policy: Policy | None = None
    on_behalf_reject_reason: str = "none"
    """Reject reason for calls that a Teams user makes through our resource; applies with and without a policy."""
    redirect_target: str = ""
    """Raw id that receives the calls while the kill switch is on, if the policy has no `human_agents`."""
    transfer_target: str = ""
    """Raw id."""
    allowed_targets: tuple[PartyPattern, ...] = ()
    """Allowed redirect targets in policies that are set at run time."""

    @property
    def targets(self) -> Mapping[str, TransferTarget]:
        """The targets of transfers, by name."""
        return {name: target.named(name) for name, target in self.policy.targets.items()} if self.policy else {}

    @property
    def human_agents(self) -> str:
        """Raw id of the policy's `human_agents`, empty if there are none."""
        return self.policy.human_agents.raw_id if self.policy and self.policy.human_agents else ""

    def route(self, call: IncomingCall) -> Routed:
        """Route a call as if no rule was full."""
        return self.options(call)[0]

    def options(self, call: IncomingCall, after: str = "") -> list[Routed]:
        """Return the possible routes of a call in order: each with a cap, if the ones before are full, and finally one
        without. `after`: skip this rule, whose agent was not ready in time, and those before it; the result may be
        empty.

        Uses the time at which the call arrived, so that every replica decides the same.
        """
        routed = self._without_rules(call)
        return [replace(routed, after=after)] if routed is not None else list(self._by_rules(call, after))

    def _without_rules(self, call: IncomingCall) -> Routed | None:
        caller = call.caller.lower()
        refused = any(one.lower() in (caller, caller.removeprefix("4:")) for one in self.refused_callers)
        if call.on_behalf_of:
            return self._on_behalf(call, refused=refused)
        if refused:
            return Routed(Rejected("forbidden"), "REFUSED_CALLERS", "the caller is refused")
        if self.policy is None:
            return Routed(Accepted(self.profile), "DEFAULT_PROFILE", f"no policy: agent {self.profile}")
        if self.policy.kill_switch:
            return self._by_kill_switch(call)
        return None

    def _on_behalf(self, call: IncomingCall, *, refused: bool) -> Routed:
        """Connect the callee or reject the call: an agent would talk to the Teams user, and ACS supports no redirect.

        A callee that could not be decoded cannot be connected.
        """
        connects = self.policy is not None and self.policy.on_behalf == "connect"
        if connects and not refused and is_raw_id(call.on_behalf_of):
            return Routed(
                Connected(call.on_behalf_of), ON_BEHALF_RULE, "a call on behalf of a callee is connected to it"
            )
        decision = Rejected(self.on_behalf_reject_reason, ON_BEHALF)
        return Routed(decision, "ON_BEHALF_REJECT_REASON", "a call on behalf of a callee is not answered")

    def _by_kill_switch(self, call: IncomingCall) -> Routed:
        target, why = self.human_agents or self.redirect_target, "the kill switch is on"
        if not target:
            missing = f"neither {HUMAN_AGENTS} nor REDIRECT_TARGET is set"
            return Routed(Rejected("busy"), KILL_SWITCH, f"{why}, but {missing}")
        return redirect_unless_circular(target, call, KILL_SWITCH, why)

    def _by_rules(self, call: IncomingCall, after: str) -> Iterator[Routed]:
        policy = self.policy
        assert policy is not None
        passed: list[str] = []
        overflowed: tuple[tuple[str, Overflow], ...] = ()
        rules = policy.rules
        if after:
            names = [rule.name for rule in rules]
            # A rule that was removed meanwhile has no next one: all rules are evaluated.
            rules = rules[names.index(after) + 1 :] if after in names else rules
            passed.append(f"{after}: no agent was ready within its wait")
            overflowed = ((after, "wait"),)
        headers = headers_of(call.custom_context)
        for rule in rules:
            if mismatch(rule, policy, call, headers):
                continue
            why = ""
            if rule.percent is not None and rule.percent != 100:
                bucket, drawn = self._bucket(rule, call)
                if bucket >= steps_of(rule.percent):
                    passed.append(f"{rule.name}: {drawn}")
                    continue
                why = f"{drawn}: "
            yield replace(
                self._by_rule(rule, call, why, passed),
                max_calls=rule.max_calls or 0,
                wait_s=rule.wait or 0,
                after=after,
                overflowed=overflowed,
            )
            if not rule.max_calls:
                return
            passed.append(f"{rule.name}: full, max_calls {rule.max_calls}")
            overflowed += ((rule.name, "full"),)
        if not after:
            # decode_policy accepts only policies whose last rule takes every call.
            yield Routed(Rejected("busy"), "DEFAULT_PROFILE", "no rule matched the call")

    def _by_rule(self, rule: Rule, call: IncomingCall, why: str, passed: list[str]) -> Routed:
        before = f" (not {'; '.join(passed)})"[:_LONGEST_REASON] if passed else ""
        if rule.agents is not None:
            agent, drawn = self._share(rule.name, rule.agents, call)
            return Routed(Accepted(agent), rule.name, f"{why}{drawn}: agent {agent}{before}")
        if rule.agent is not None:
            return Routed(Accepted(rule.agent), rule.name, f"{why}agent {rule.agent}{before}")
        if rule.reject is not None:
            return Routed(Rejected(rule.reject), rule.name, f"{why}reject {rule.reject}{before}")
        target = self.policy.target_of(rule.redirect) if self.policy else ""
        return redirect_unless_circular(target, call, rule.name, f"{why}redirect{before}")

    def _bucket(self, rule: Rule, call: IncomingCall) -> tuple[int, str]:
        """Return the caller's bucket for this rule and the reason. Callers without a number get a new one for each
        call.
        """
        share = f"{rule.percent:g} %"
        if not self.key and rule.percent:
            return STEPS, f"{share} without ROUTING_KEY"
        bucket, drawn = self._draw(rule.name, call)
        return bucket, f"{share}, {drawn}"

    def _share(self, rule: str, agents: Mapping[str, float], call: IncomingCall) -> tuple[str, str]:
        """The agent of the caller. Independent of the bucket of `percent`, which has selected the callers."""
        if not self.key:
            return max(agents, key=lambda name: agents[name]), "shares without ROUTING_KEY"
        bucket, drawn = self._draw(f"{rule}\0agents", call)
        ends = accumulate(steps_of(percent) for percent in agents.values())
        name = next(name for name, end in zip(agents, ends, strict=True) if bucket < end)
        return name, f"{agents[name]:g} %, {drawn}"

    def _draw(self, purpose: str, call: IncomingCall) -> tuple[int, str]:
        hidden = is_anonymous(call.caller)
        bucket = bucket_of(self.key, purpose, call.call_id if hidden else call.caller.lower())
        return bucket, f"{'call drawn at' if hidden else 'bucket'} {bucket * 100 / STEPS:g}"


def redirect_unless_circular(target: str, call: IncomingCall, rule: str, reason: str) -> Routed:
    if target.lower() == call.callee.lower():
        return Routed(
            Rejected("busy"), rule, f"{reason}, but the target is the called number: it would ring here again"
        )
    if is_resource_account(call.callee):
        return Routed(
            Connected(target), rule, f"{reason}; connected instead: a call to a resource account is not redirected"
        )
    return Routed(Redirected(target), rule, reason)


def bucket_of(key: bytes, rule: str, caller: str) -> int:
    """Return the caller's bucket for this rule, 0 to 9,999."""
    digest = hmac.digest(key, f"{rule}\0{caller}".encode(errors="surrogatepass"), "sha256")
    return int.from_bytes(digest[:8], "big") % STEPS


def steps_of(percent: float) -> int:
    return round(percent * STEPS / 100)


def fingerprint(key: bytes) -> str:
    """Return a digest that distinguishes keys without revealing them; empty for no key."""
    return hmac.digest(key, b"fingerprint", "sha256")[:4].hex() if key else ""


def mismatch(rule: Rule, policy: Policy, call: IncomingCall, headers: Headers) -> str:
    """The first condition that the call does not meet, empty if it meets all; `percent` is not considered."""
    called = policy.names_of(call.callee)
    for name, patterns, parties in (("called", rule.called, called), ("caller", rule.caller, (call.caller,))):
        if patterns and not any(pattern.matches(party) for pattern in patterns for party in parties):
            return name
    if rule.header and not has_headers(rule.header, headers):
        return "header"
    return "" if _is_time_of(rule, policy, call) else "time"


def _is_time_of(rule: Rule, policy: Policy, call: IncomingCall) -> bool:
    if not (rule.days or rule.hours or rule.holidays):
        return True
    zone, wanted = zone_of(rule.time_zone or policy.time_zone or "UTC"), rule.holiday_dates
    arrived = datetime.fromtimestamp(call.received_ms / 1000, UTC).astimezone(zone)
    return is_in(arrived, rule.days, rule.hours, lambda day: not wanted or is_holiday(day, wanted))
