"""Transfers in the record of a call: a relay that takes over the call decodes them, and restores lost stages."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from agent_relay.core.dialog.audience import CallParties
from agent_relay.core.dialog.history import TRANSFER as NOTICE
from agent_relay.core.dialog.instruction_detail import detail_of, text_in
from agent_relay.core.dialog.transfer_course import Step, TransferState, decode_transfer
from agent_relay.core.dialog.transfer_texts import caller_name
from bridge_common.wire.action_kinds import AGENT, OPERATOR, TRANSFER
from bridge_common.wire.call_record import CallAction, CallRecord, TransferStage
from bridge_common.wire.entries import Notice, TranscriptEntry

_STEPS: Final = {
    TransferStage.CONNECTING: Step.CONNECTING,
    TransferStage.TRANSFERRING: Step.WAITING,
    TransferStage.DIALING: Step.WAITING,
    TransferStage.SCREENING: Step.SCREENING,
    TransferStage.BRIDGED: Step.BRIDGED,
}
_STAGES: Final = {
    Step.WAITING: TransferStage.DIALING,
    Step.SCREENING: TransferStage.SCREENING,
    Step.BRIDGED: TransferStage.BRIDGED,
}
"""The stages that a relay restores. If an attended and a blind transfer look the same to it, call-control looks for the
person in the call, and reports the failure after its deadline.
"""
_ORDER: Final = list(Step)


def parties_of(record: CallRecord) -> CallParties:
    joined = (one for one in record.participants if one.joined)
    names = tuple(one.name or one.raw_id for one in joined if one.raw_id != record.caller)
    name = caller_name(record.caller, record.caller_display_name)
    return CallParties(record.caller, name, names, record.caller_on_hold)


def left_transfer(record: CallRecord, transcript: Iterable[TranscriptEntry]) -> TransferState | None:
    """Return the transfer that the previous relay has not finished: it is under way, or its end was not reported."""
    if record.closing:
        return None
    if record.transfer and (step := _STEPS.get(record.transfer_stage)) is not None:
        action = _action(record, record.transfer)
        arguments = detail_of("" if action is None else action.arguments)
        person = next((one.raw_id for one in record.participants if one.action_id == record.transfer), "")
        target, topic = text_in(arguments, "target"), text_in(arguments, "topic")
        return TransferState(record.transfer, step, target, topic, person=person)
    notices = (one.detail for one in transcript if isinstance(one, Notice) and one.what == NOTICE)
    noted = [one for one in map(decode_transfer, notices) if one is not None]
    if not noted:
        return None
    last = noted[-1]
    action = _action(record, last.action_id)
    refused = last.step is Step.CONNECTING and action is not None and action.state == "failed"
    if not last.step.rests and not refused:
        return None
    reason = action.reason if action is not None and action.state == "failed" else ""
    return replace(last, step=Step.RETURNED, reason=reason, joined=last.step is Step.BRIDGED)


def with_transfer(record: CallRecord, known: TransferState | None, at_ms: int) -> CallRecord:
    """Return the record with the stage that this relay knows, if the record is older. `at_ms`: Unix ms."""
    if known is None or record.transfer not in ("", known.action_id):
        return record
    action = _action(record, known.action_id)
    if known.step is Step.RETURNED:
        if action is None or record.transfer != known.action_id:
            return record
        ended = replace(action, state="failed", reason=known.reason) if action.open else action
        actions = tuple(ended if one is action else one for one in record.actions)
        return replace(record, transfer="", transfer_stage=TransferStage.NONE, actions=actions)
    stage = _STAGES.get(known.step)
    if stage is None or (action is not None and not action.open and not record.transfer):
        return record  # the relay requests it again itself, or call-control knows that it has ended
    recorded = _STEPS.get(record.transfer_stage)
    if recorded is not None and _ORDER.index(recorded) >= _ORDER.index(known.step):
        return record
    lost = action or _lost_action(known, at_ms)
    agreeing = _agreeing(lost, stage)
    actions = tuple(agreeing if one is action else one for one in record.actions)
    if action is None:
        actions = (*actions, agreeing)
    return replace(record, transfer=known.action_id, transfer_stage=stage, actions=actions)


def _action(record: CallRecord, action_id: str) -> CallAction | None:
    return next((one for one in record.actions if one.id == action_id), None)


def _agreeing(action: CallAction, stage: TransferStage) -> CallAction:
    """Return the action with the state that belongs to the stage."""
    if stage is TransferStage.BRIDGED:
        return replace(action, state="done", reason="connected")
    return replace(action, state="running") if action.open else action


def _lost_action(known: TransferState, at_ms: int) -> CallAction:
    arguments = json.dumps({"target": known.target, "topic": known.topic}, sort_keys=True)
    by = AGENT if known.action_id.startswith("fn_") else OPERATOR
    return CallAction(known.action_id, TRANSFER, arguments, by, at_ms, state="running")
