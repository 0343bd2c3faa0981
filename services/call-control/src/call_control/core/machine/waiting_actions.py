"""Guards and actions for the rules that a ringing call follows: their places (`max_calls`) and their `wait`."""

from __future__ import annotations

from dataclasses import replace

from bridge_common.wire.call_record import CallRecord
from call_control.core.machine.call_actions import voice_current
from call_control.core.machine.call_commands import Offer, SetTimer, Withdraw
from call_control.core.machine.call_events import CallEvent
from call_control.core.machine.transition import CallPolicy, Transition, armed
from call_control.core.policy.routing import DIVERTED_MS, Accepted, Routed


# -- guards -----------------------------------------------------------------------------------------------------------
def undecided(record: CallRecord, event: CallEvent, policy: CallPolicy) -> bool:
    """True for a new call, and for one that still waits in the rule which the route leaves."""
    if isinstance(event, Routed) and event.after:
        return event.after == record.route and armed(record, SetTimer.WAIT) is not None
    return record.command_seq == 0 and not record.slot


def undecided_at_once(record: CallRecord, event: CallEvent, policy: CallPolicy) -> bool:
    return policy.answer_at_once and undecided(record, event, policy)


def queued(record: CallRecord, event: CallEvent, policy: CallPolicy) -> bool:
    return armed(record, SetTimer.PLACE) is not None


def queued_at_once(record: CallRecord, event: CallEvent, policy: CallPolicy) -> bool:
    return policy.answer_at_once and queued(record, event, policy)


def waiting(record: CallRecord, event: CallEvent, policy: CallPolicy) -> bool:
    return armed(record, SetTimer.WAIT) is not None and voice_current(record, event, policy)


def voice_noted(record: CallRecord, event: CallEvent, policy: CallPolicy) -> bool:
    """True if a relay has stored a voice session: its report is already in the inbox."""
    return record.voice_epoch > 0


# -- actions ----------------------------------------------------------------------------------------------------------
def follow_rule(transition: Transition, event: CallEvent) -> None:
    """Leave the rule that the call has followed, if any, and note the new one."""
    record = transition.record
    if record.slot or record.command_seq:
        transition.issue(Withdraw, rule=record.slot)
        transition.disarm(SetTimer.WAIT, SetTimer.PLACE, SetTimer.VOICE, SetTimer.CLAIM)
    if isinstance(event, Routed):
        slot = event.rule if event.max_calls else ""
        profile = event.decision.profile if isinstance(event.decision, Accepted) else record.profile
        transition.record = replace(
            transition.record, route=event.rule, route_reason=event.reason, slot=slot, profile=profile
        )
    elif isinstance(event, Accepted):
        transition.record = replace(transition.record, profile=event.profile)


def await_place(transition: Transition, event: CallEvent) -> None:
    """Wait until the rule has a place for the call."""
    transition.arm(SetTimer.PLACE, transition.policy.place_ms)
    if isinstance(event, Routed):
        transition.arm(SetTimer.WAIT, event.wait_ms(transition.record.created_ms, transition.now_ms))


def offer(transition: Transition, event: CallEvent) -> None:
    """Offer the call to the relays. With `wait`, it rings until one of them has a voice session, or the wait ends."""
    transition.disarm(SetTimer.PLACE)
    transition.issue(Offer)
    if transition.policy.answer_at_once:
        transition.disarm(SetTimer.WAIT)
        transition.arm(SetTimer.VOICE, transition.policy.voice_ms)
        return
    if armed(transition.record, SetTimer.WAIT) is not None:
        return
    wait_ms = event.wait_ms(transition.record.created_ms, transition.now_ms) if isinstance(event, Routed) else 0
    if wait_ms:
        transition.arm(SetTimer.WAIT, wait_ms)
    else:
        transition.arm(SetTimer.VOICE, _voice_ms(transition, event))
        transition.arm(SetTimer.CLAIM, transition.policy.claim_ms)


def offer_later(transition: Transition, event: CallEvent) -> None:
    """Take the call from a relay that got no voice session, and offer it again after a pause."""
    transition.issue(Withdraw, rule="")
    transition.arm(SetTimer.PLACE, transition.policy.offer_again_ms)


def await_voice(transition: Transition, event: CallEvent) -> None:
    transition.arm(SetTimer.VOICE, transition.policy.voice_ms)


def _voice_ms(transition: Transition, event: CallEvent) -> int:
    """Return the limit for the voice session. After a wait, the rest of the ringing time limits it as well."""
    voice_ms = transition.policy.voice_ms
    if not isinstance(event, Routed) or not event.after:
        return voice_ms
    left_ms = transition.record.created_ms + DIVERTED_MS - transition.now_ms
    return min(voice_ms, max(left_ms, transition.policy.claim_ms))
