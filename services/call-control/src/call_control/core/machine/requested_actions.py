"""Guards and actions of the call machine's table for actions that operators, agents and timers request (ADR 37)."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Final

from bridge_common.wire.action_kinds import AGENTS, HANG_UP, SEND_DTMF, TRANSFER, fault_of
from bridge_common.wire.call_record import CallAction, CallRecord, Status, TransferStage
from bridge_common.wire.entries import Act, GoodbyeOver
from bridge_common.wire.instructions import Instruction
from call_control.core.events.callbacks import AcsEvent
from call_control.core.machine.action_book import (
    action_of,
    find_action,
    finish,
    instruct,
    notify,
    of_failed,
    of_operation,
    with_action,
)
from call_control.core.machine.action_limits import is_recorded, limit_fault
from call_control.core.machine.call_actions import set_end_reason
from call_control.core.machine.call_commands import SendDtmf, SetTimer
from call_control.core.machine.call_events import CallEvent, CommandFailed
from call_control.core.machine.call_people import LEFT
from call_control.core.machine.participant_changes import resume_caller
from call_control.core.machine.people_faults import PEOPLE_ACTIONS, is_repetition, people_fault
from call_control.core.machine.transition import CallPolicy, Transition, armed

TOO_LONG: Final = "too_long"
"""Requester of the hang-up when the call reaches its maximum length."""
TONES_UNKNOWN: Final = "outcome unknown: ACS did not report it; the tones may have been sent"
CALL_ENDED: Final = "the call has ended"
UNCONFIRMED: Final = "ACS did not confirm the end of the call"
REPEAT_MS: Final = 60_000
"""An agent's equal request within this time counts as a repetition: tool calls have no idempotency key."""


# -- requests ---------------------------------------------------------------------------------------------------------
def earlier(record: CallRecord, request: Act, now_ms: int) -> CallAction | None:
    """Return the action that this request repeats, `None` if it is a new request."""
    for action in reversed(record.actions):
        if action.id == request.action_id:
            return action
        of_agents = request.by in AGENTS and action.by in AGENTS
        if not of_agents or action.kind != request.action or action.state in ("canceled", "failed"):
            continue
        if request.action == HANG_UP:
            return action
        if action.kind in PEOPLE_ACTIONS and not is_repetition(record, action):
            continue
        if action.arguments == request.arguments and now_ms - action.at_ms < REPEAT_MS:
            return action
    return None


def refuse(transition: Transition, request: Act) -> None:
    """Record the request as a failed action, and notify the agent if it has requested it."""
    record, now_ms = transition.record, transition.now_ms
    reason = fault_of(request.action, request.arguments)
    reason = reason or limit_fault(record, request.action, request.by, now_ms)
    if not reason and record.status is not Status.CONNECTED:
        reason = f"not possible while the call is {record.status}"
    elif not reason and request.action in PEOPLE_ACTIONS:
        reason = people_fault(record, request, transition.policy)
    elif not reason:
        reason = "tones can only be sent to a phone"
    action = replace(action_of(request, now_ms), state="failed", reason=reason)
    if is_recorded(record, request.by):
        transition.record = with_action(record, action)
    if record.status is Status.CONNECTED:
        notify(transition, action)


def settle(record: CallRecord) -> CallRecord:
    """Complete the open actions of an ended call: a requested hang-up is done, and so is a transfer if it has ended the
    call; all others have failed.
    """

    def settled(action: CallAction) -> CallAction:
        if not action.open:
            return action
        if action.kind == HANG_UP:
            return replace(action, state="done", reason=action.reason or "call_ended")
        if action.kind == TRANSFER and record.end_reason == "transferred" and action.id == record.transfer:
            return replace(action, state="done", reason=action.reason or "connected")
        return replace(action, state="failed", reason=CALL_ENDED)

    left = tuple(replace(one, state=LEFT) if one.joined else one for one in record.participants)
    record = replace(record, actions=tuple(map(settled, record.actions)), closing="", participants=left)
    return replace(record, transfer="", transfer_stage=TransferStage.NONE)


# -- guards -----------------------------------------------------------------------------------------------------------
def valid(record: CallRecord, event: CallEvent, policy: CallPolicy) -> bool:
    return isinstance(event, Act) and not fault_of(event.action, event.arguments)


def valid_wrap_up(record: CallRecord, event: CallEvent, policy: CallPolicy) -> bool:
    """True for a valid request of an operator: operators complete the record of a call after its end."""
    return isinstance(event, Act) and event.by not in AGENTS and valid(record, event, policy)


def not_closing(record: CallRecord, event: CallEvent, policy: CallPolicy) -> bool:
    return not record.closing and (not isinstance(event, Act) or valid(record, event, policy))


def closing(record: CallRecord, event: CallEvent, policy: CallPolicy) -> bool:
    return bool(record.closing) and (not isinstance(event, GoodbyeOver) or event.action_id == record.closing)


def caller_goes_on(record: CallRecord, event: CallEvent, policy: CallPolicy) -> bool:
    """True if the caller interrupted the goodbye and continues to speak, and only agents have requested the hang-up."""
    interrupted = isinstance(event, GoodbyeOver) and event.outcome == "interrupted"
    return interrupted and closing(record, event, policy) and all(one.by in AGENTS for one in _hang_ups(record))


def phone_caller(record: CallRecord, event: CallEvent, policy: CallPolicy) -> bool:
    """True if the caller is a phone: Call Automation sends tones to phones only."""
    return valid(record, event, policy) and record.caller.startswith("4:") and record.connection_id != ""


def dtmf_awaited(record: CallRecord, event: CallEvent, policy: CallPolicy) -> bool:
    action = of_operation(record, event)
    return action is not None and action.kind == SEND_DTMF


# -- actions ----------------------------------------------------------------------------------------------------------
def begin_closing(transition: Transition, event: CallEvent) -> None:
    """Request a goodbye from the agent. The hang-up follows when it was heard, or after `goodbye_ms`."""
    if isinstance(event, Act):
        action = replace(action_of(event, transition.now_ms), state="running")
    else:
        action_id = f"{TOO_LONG}-{transition.record.timer_seq}"
        action = CallAction(action_id, HANG_UP, "{}", TOO_LONG, transition.now_ms, "running")
    transition.record = replace(with_action(transition.record, action), closing=action.id)
    instruct(transition, action.id, Instruction.GOODBYE, {"interruptible": action.by in AGENTS})
    transition.arm(SetTimer.CLOSING, transition.policy.goodbye_ms)
    resume_caller(transition)


def join_closing(transition: Transition, event: CallEvent) -> None:
    """Record another hang-up: it has the outcome of the one that is under way."""
    if isinstance(event, Act):
        action = replace(action_of(event, transition.now_ms), state="running")
        transition.record = with_action(transition.record, action)


def await_goodbye(transition: Transition, event: CallEvent) -> None:
    """Extend the maximum length of the call: it was reached during a goodbye, which the caller may still interrupt."""
    transition.arm(SetTimer.LENGTH, transition.policy.goodbye_ms)


def continue_call(transition: Transition, event: CallEvent) -> None:
    transition.disarm(SetTimer.CLOSING)
    transition.record = replace(transition.record, closing="")
    for action in _hang_ups(transition.record):
        finish(transition, action, "canceled", "the caller is still talking")


def finish_closing(transition: Transition, event: CallEvent) -> None:
    """Set the end reason and how the goodbye ended. The hang-up is done when the call is known to be gone."""
    action = find_action(transition.record, transition.record.closing)
    by = "operator" if action is None else action.by
    if by == TOO_LONG:
        set_end_reason("too_long")(transition, event)
    else:
        set_end_reason(f"hung_up_by_{by}")(transition, event)
    outcome = event.outcome if isinstance(event, GoodbyeOver) else "cut"
    for action in _hang_ups(transition.record):
        reason = "not_spoken" if outcome == "failed" else outcome
        transition.record = with_action(transition.record, replace(action, reason=reason))


def abandon(transition: Transition, event: CallEvent) -> None:
    """Give up the hang-up: ACS has not confirmed it."""
    for action in _hang_ups(transition.record):
        transition.record = with_action(transition.record, replace(action, state="failed", reason=UNCONFIRMED))


def warn_of_end(transition: Transition, event: CallEvent) -> None:
    seconds = transition.policy.warning_ms // 1000
    instruct(transition, f"warning-{transition.record.timer_seq}", Instruction.TIME_LEFT, {"seconds": seconds})


def send_dtmf(transition: Transition, event: CallEvent) -> None:
    if isinstance(event, Act):
        command = transition.issue(SendDtmf, tones=json.loads(event.arguments)["tones"])
        action = replace(action_of(event, transition.now_ms), state="running", operation=command.operation_context)
        transition.record = with_action(transition.record, action)
        if armed(transition.record, SetTimer.TONES) is None:
            transition.arm(SetTimer.TONES, transition.policy.tones_ms)


def give_up_tones(transition: Transition, event: CallEvent) -> None:
    """Finish the tones whose outcome is overdue: the callback of ACS may be lost."""
    requested_ms = []
    for action in [one for one in transition.record.actions if one.open and one.kind == SEND_DTMF]:
        if action.at_ms + transition.policy.tones_ms <= transition.now_ms:
            finish(transition, action, "failed", TONES_UNKNOWN)
        else:
            requested_ms.append(action.at_ms)
    if requested_ms:
        transition.arm(SetTimer.TONES, min(requested_ms) + transition.policy.tones_ms - transition.now_ms)


def dtmf_sent(transition: Transition, event: CallEvent) -> None:
    if (action := of_operation(transition.record, event)) is not None:
        finish(transition, action, "done", "sent")


def dtmf_failed(transition: Transition, event: CallEvent) -> None:
    if (action := of_operation(transition.record, event) or of_failed(transition.record, event, SendDtmf)) is not None:
        reason = event.code if isinstance(event, CommandFailed) else "tones not sent"
        if isinstance(event, AcsEvent):
            reason = f"{event.code}/{event.sub_code}"
        elif reason == "unavailable":
            reason = TONES_UNKNOWN
        finish(transition, action, "failed", reason)


def note(transition: Transition, event: CallEvent) -> None:
    if isinstance(event, Act):
        action = replace(action_of(event, transition.now_ms), state="done", reason="stored")
        transition.record = with_action(transition.record, action)


def tones_wanted(record: CallRecord, command: SendDtmf) -> bool:
    """Return whether the tones may still be sent: their action is not finished."""
    return any(one.open and one.operation == command.operation_context for one in record.actions)


def _hang_ups(record: CallRecord) -> list[CallAction]:
    """Return the hang-ups under way."""
    return [action for action in record.actions if action.open and action.kind == HANG_UP]
