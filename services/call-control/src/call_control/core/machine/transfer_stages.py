"""The stages of a transfer (ADR 44): announcement, call to the person, screening, conversation, return to the agent.

Functions with the arguments `transition` and `event` are actions of the table; several actions share the others.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from bridge_common.wire.action_kinds import ADD_PARTICIPANT, AGENTS, BLIND
from bridge_common.wire.call_record import CallAction, Participant, TransferStage
from bridge_common.wire.entries import Act, ScreeningOver
from bridge_common.wire.instructions import Instruction
from call_control.core.machine import media_actions as media
from call_control.core.machine.action_book import action_of, argument_of, find_action, finish, instruct, with_action
from call_control.core.machine.call_actions import note_end
from call_control.core.machine.call_commands import (
    AddParticipant,
    CancelAdd,
    Leave,
    RemoveParticipant,
    SetTimer,
    StartDtmf,
    StopMediaStreaming,
    Transfer,
)
from call_control.core.machine.call_events import CallEvent
from call_control.core.machine.call_people import (
    FAILED,
    JOINED,
    LEFT,
    RINGING,
    ROUTING,
    acs_id_of_caller,
    mode_of,
    people_in,
    person_named,
    person_of,
    ring_until_ms,
    settings_of,
    target_of,
    with_person,
    without_agent,
)
from call_control.core.machine.participant_changes import resume_caller
from call_control.core.machine.transition import Transition, armed
from call_control.core.machine.unreached import CANCELED, NOT_CONFIRMED
from call_control.core.policy import transfer_targets as target_settings
from call_control.core.policy.transfer_targets import TransferTarget

PERSON_LEFT: Final = "person_left"
SETTLE_MS: Final = 2_000
"""A list of participants may lag behind a change by this time."""
TALK_MS: Final = 1_000
"""A person who has left by this time after they were connected with the caller has not talked to them."""
REQUESTED: Final = "requested"
"""Reason of the return: the caller or an operator has requested the agent."""
INTERRUPTED: Final = "interrupted"
NOT_IN_POLICY: Final = "the target is no longer in the routing policy"


# -- the announcement, then the call to the person --------------------------------------------------------------------
def begin_transfer(transition: Transition, event: CallEvent) -> None:
    """Let the agent announce the transfer to the caller."""
    if isinstance(event, Act):
        action = replace(action_of(event, transition.now_ms), state="running")
        _enter(transition, action, TransferStage.CONNECTING)
        detail = {"interruptible": action.by in AGENTS, "name": argument_of(action, "target"), **_topic_of(action)}
        instruct(transition, action.id, Instruction.CONNECTING, detail)
        transition.arm(SetTimer.WORDS, transition.policy.goodbye_ms)
        resume_caller(transition)


def words_over(transition: Transition, event: CallEvent) -> None:
    """Call the person: the caller has heard the announcement, or its deadline has passed."""
    action = find_action(transition.record, transition.record.transfer)
    if action is None:
        return
    transition.disarm(SetTimer.WORDS)
    target = target_of(action, transition.policy)
    if target is None:
        fail_transfer(transition, NOT_IN_POLICY)
    elif person_named(transition.record, target.raw_id) is not None:
        fail_transfer(transition, f"{target.name} is already in the call")
    elif mode_of(action, target) == BLIND:
        operation = _transfer_to(transition, target.raw_id, action.id)
        _enter(transition, replace(action, operation=operation), TransferStage.TRANSFERRING)
        _instruct_agent(transition, action, Instruction.WAITING, {"name": target.name})
    else:
        _enter(transition, action, TransferStage.DIALING)
        invite(transition, action, target)
        _instruct_agent(transition, action, Instruction.WAITING, {"name": target.name})


def invite(transition: Transition, action: CallAction, target: TransferTarget) -> None:
    """Invite a person into the call."""
    command = transition.issue(AddParticipant, target=target.raw_id, ring_s=target.ring_s, action_id=action.id)
    action = replace(action, state="running", operation=command.operation_context)
    person = Participant(target.raw_id, target.name, RINGING, action.id, at_ms=transition.now_ms)
    transition.record = with_person(with_action(transition.record, action), person)
    await_ringing(transition)
    # The callback about the join may be lost. If one comes, it may fetch the participants at once.
    transition.arm_by(SetTimer.ROSTER, transition.policy.roster_ms - transition.policy.roster_pause_ms)


def await_ringing(transition: Transition) -> None:
    """Arm the timer for the first invitation that is due."""
    due_ms = [ring_until_ms(one, transition.policy) for one in people_in(transition.record, RINGING)]
    transition.disarm(SetTimer.RING)
    if due_ms:
        transition.arm(SetTimer.RING, min(due_ms) - transition.now_ms)


# -- outcome of the call ----------------------------------------------------------------------------------------------
def person_joined(transition: Transition, person: Participant) -> None:
    """Continue with a person who has answered. If they were given up, they are removed."""
    if person.state == FAILED:
        withdraw(transition, replace(person, state=JOINED))
        return
    person = replace(person, state=JOINED, at_ms=transition.now_ms)
    transition.record = with_person(transition.record, person)
    await_ringing(transition)
    action = find_action(transition.record, person.action_id)
    if action is not None and action.id == transition.record.transfer:
        _screen(transition, action, person)
    elif action is not None and action.open and action.kind == ADD_PARTICIPANT:
        finish(transition, action, "done", JOINED)
        report_people(transition)


def _screen(transition: Transition, action: CallAction, person: Participant) -> None:
    if action.by == ROUTING or not transition.record.voice_ready:
        # Without an agent nobody can ask the person: a voicemail is the smaller harm.
        bridge(transition)
        return
    transition.arm(SetTimer.SCREENING, transition.policy.screening_ms)
    _enter(transition, action, TransferStage.SCREENING)
    about = {"name": person.name, "participant": person.raw_id} | _topic_of(action)
    _instruct_agent(transition, action, Instruction.SCREENING, about)
    transition.issue(StartDtmf, raw_id=person.raw_id)


def screening_over(transition: Transition, event: CallEvent) -> None:
    """Connect caller and person, or remove a person who has not taken the call."""
    if isinstance(event, ScreeningOver) and event.outcome == "confirmed":
        bridge(transition)
    else:
        fail_transfer(transition, NOT_CONFIRMED)


def screening_unreported(transition: Transition, event: CallEvent) -> None:
    """Connect caller and person: the person is in the call, and the relay, which would report a refusal, is silent."""
    bridge(transition)


def bridge(transition: Transition) -> None:
    """Let caller and person talk; then follow the target's `after_join`."""
    record = transition.record
    action, person = find_action(record, record.transfer), person_of(record, record.transfer)
    if action is None or person is None:
        return
    transition.disarm(SetTimer.SCREENING)
    _enter(transition, replace(action, state="done", reason="connected"), TransferStage.BRIDGED)
    # The lists of participants have settled since the join.
    at_ms = max(person.at_ms, transition.now_ms - SETTLE_MS)
    transition.record = with_person(transition.record, replace(person, at_ms=at_ms))
    transition.arm_by(SetTimer.ROSTER, SETTLE_MS)
    if action.by == ROUTING:
        transition.issue(StopMediaStreaming)
        return
    _instruct_agent(transition, action, Instruction.BRIDGED, {"name": person.name})
    match settings_of(person, transition.policy).after_join:
        case target_settings.LEAVE:
            operation = transition.issue(Leave).operation_context
            transition.arm(SetTimer.TRANSFER, transition.policy.people_ms, operation=operation)
        case target_settings.TRANSFER:
            _transfer_to(transition, person.raw_id, action.id)


def unreached(transition: Transition, person: Participant, reason: str, state: str = "failed") -> None:
    """Complete the action of a person who did not join, and cancel the invitation."""
    action = find_action(transition.record, person.action_id)
    withdraw(transition, person)
    await_ringing(transition)
    if action is not None and action.id == transition.record.transfer:
        fail_transfer(transition, reason, state)
    elif action is not None and action.open:
        finish(transition, action, state, reason)


def person_gone(transition: Transition, person: Participant, reason: str = PERSON_LEFT) -> None:
    """Continue without a person who was in the call. `reason`: `PERSON_LEFT`, or another if they were removed."""
    # That a person has left before they were connected with the caller may become known only afterwards.
    at_once = reason == PERSON_LEFT and transition.now_ms < person.at_ms + SETTLE_MS + TALK_MS
    record = with_person(transition.record, replace(person, state=LEFT, at_ms=transition.now_ms))
    transition.record = record
    if not record.transfer or person.action_id != record.transfer:
        report_people(transition)
    elif record.transfer_stage is TransferStage.BRIDGED and (without_agent(record) or not at_once):
        end_bridge(transition, reason)
    else:
        fail_transfer(transition, NOT_CONFIRMED if reason == PERSON_LEFT else reason)


# -- back to the agent ------------------------------------------------------------------------------------------------
def fail_transfer(transition: Transition, reason: str, state: str = "failed") -> None:
    """End a transfer that did not connect the caller; the agent continues with the caller."""
    action = find_action(transition.record, transition.record.transfer)
    if action is not None:
        no_agent = without_agent(transition.record)
        if action.open:
            transition.record = with_action(transition.record, replace(action, state=state, reason=reason))
        name = _leave_stage(transition, action)
        if no_agent:
            note_end(transition, "not_connected")
            transition.arm(SetTimer.CLOSING, 0)
        else:
            _come_back(transition, action, {"name": name, "reason": reason, "joined": False})


def end_bridge(transition: Transition, reason: str) -> None:
    """End the conversation of caller and person. A person who is still in the call is removed."""
    record = transition.record
    action, person = find_action(record, record.transfer), person_of(record, record.transfer)
    if action is None or person is None:
        return
    hangs_up = settings_of(person, transition.policy).when_person_leaves == target_settings.HANG_UP
    name = _leave_stage(transition, action)
    if without_agent(record) or (reason == PERSON_LEFT and hangs_up):
        note_end(transition, "person_left")
        transition.arm(SetTimer.CLOSING, 0)
    else:
        _come_back(transition, action, {"name": name, "reason": reason, "joined": True})


def cancel_interrupted(transition: Transition, event: CallEvent) -> None:
    """Cancel an agent's transfer because the caller speaks. The agent hears the caller, so it is not notified."""
    action = find_action(transition.record, transition.record.transfer)
    if action is not None:
        name = _leave_stage(transition, action)
        detail = {"name": name, "reason": INTERRUPTED, "joined": False}
        instruct(transition, action.id, Instruction.RETURNED, detail)
        finish(transition, action, "canceled", "the caller is still talking")


def cancel_for_end(transition: Transition, event: CallEvent) -> None:
    """Cancel a transfer because the call is being ended."""
    fail_transfer(transition, CANCELED, "canceled")


def withdraw(transition: Transition, person: Participant) -> None:
    """Cancel the invitation of a person, or remove a person from the call; then check that they are gone."""
    if person.state == JOINED:
        transition.issue(RemoveParticipant, raw_id=person.raw_id)
    elif person.invitation_id:
        transition.issue(CancelAdd, invitation_id=person.invitation_id)
    state = LEFT if person.state == JOINED else FAILED
    transition.record = with_person(transition.record, replace(person, state=state, at_ms=transition.now_ms))
    if person.state == JOINED or person.invitation_id:
        transition.arm_by(SetTimer.ROSTER, SETTLE_MS)


def dismiss_ringing(transition: Transition) -> None:
    """Cancel all invitations: the call ends."""
    for person in people_in(transition.record, RINGING):
        withdraw(transition, person)


def report_people(transition: Transition) -> None:
    """Report the participants to the relay, and whether the caller is on hold."""
    if without_agent(transition.record):
        return
    names = [one.name or "another participant" for one in people_in(transition.record, JOINED)]
    detail = {"names": names, "caller_on_hold": transition.record.caller_on_hold}
    instruct(transition, f"people-{transition.record.command_seq}", Instruction.PEOPLE, detail)


def _come_back(transition: Transition, action: CallAction, detail: Mapping[str, object]) -> None:
    """Return to the agent. Without voice or media, human agents follow as for any call."""
    instruct(transition, action.id, Instruction.RETURNED, detail)
    resume_caller(transition)
    if armed(transition.record, SetTimer.MEDIA) is not None:
        media.start_over(transition)
    if not transition.record.voice_ready and armed(transition.record, SetTimer.VOICE) is None:
        transition.arm(SetTimer.VOICE, 0)


def _leave_stage(transition: Transition, action: CallAction) -> str:
    """End the transfer in the record, and withdraw its person. Return the name of the target."""
    transition.disarm(SetTimer.WORDS, SetTimer.TRANSFER, SetTimer.SCREENING)
    person = person_of(transition.record, action.id)
    if person is not None and person.state in (RINGING, JOINED):
        withdraw(transition, person)
        await_ringing(transition)
    # A call without an agent remains one until it is hung up.
    transfer = action.id if action.by == ROUTING else ""
    transition.record = replace(transition.record, transfer=transfer, transfer_stage=TransferStage.NONE)
    return person.name if person is not None else argument_of(action, "target")


def _transfer_to(transition: Transition, raw_id: str, action_id: str) -> str:
    """Transfer the caller. Return the operation context of the request."""
    others = people_in(transition.record, RINGING, JOINED)
    transferee = acs_id_of_caller(transition.record) if others else ""
    command = transition.issue(Transfer, target=raw_id, transferee=transferee, action_id=action_id)
    transition.arm(SetTimer.TRANSFER, transition.policy.transfer_ms, operation=command.operation_context)
    return command.operation_context


def _enter(transition: Transition, action: CallAction, stage: TransferStage) -> None:
    transition.record = replace(with_action(transition.record, action), transfer=action.id, transfer_stage=stage)


def _topic_of(action: CallAction) -> dict[str, object]:
    topic = argument_of(action, "topic")
    return {"topic": topic} if topic else {}


def _instruct_agent(
    transition: Transition, action: CallAction, what: Instruction, detail: Mapping[str, object]
) -> None:
    if action.by != ROUTING:
        instruct(transition, action.id, what, detail)
