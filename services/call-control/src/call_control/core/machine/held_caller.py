"""Resumes a caller who is on hold before a transfer or a goodbye: a caller on hold hears nobody."""

from __future__ import annotations

import json
from dataclasses import replace

from bridge_common.wire.action_kinds import CALLER, HOLD, RESUME, TRANSFER
from bridge_common.wire.call_record import CallAction, CallRecord
from call_control.core.machine.action_book import argument_of, with_action
from call_control.core.machine.call_commands import SetTimer, UnholdParticipant
from call_control.core.machine.call_people import is_caller
from call_control.core.machine.transition import Transition, armed


def release_caller(transition: Transition) -> None:
    """Resume the caller if they are on hold, or if a request to put them on hold is open."""
    if not _is_held(transition.record):
        return
    raw_id, now_ms = transition.record.caller, transition.now_ms
    command = transition.issue(UnholdParticipant, raw_id=raw_id)
    operation, arguments = command.operation_context, json.dumps({"participant": CALLER})
    action = CallAction(f"{RESUME}-{command.seq}", RESUME, arguments, TRANSFER, now_ms, "running")
    transition.record = with_action(transition.record, replace(action, operation=operation))
    if armed(transition.record, SetTimer.PEOPLE) is None:
        transition.arm(SetTimer.PEOPLE, transition.policy.people_ms)


def _is_held(record: CallRecord) -> bool:
    changes = [
        one.kind
        for one in record.actions
        if one.open and one.kind in (HOLD, RESUME) and is_caller(record, argument_of(one, "participant"))
    ]
    return changes[-1] == HOLD if changes else record.caller_on_hold
