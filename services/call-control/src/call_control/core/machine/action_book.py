"""The actions in a call's record: find, add and complete them, and notify the agent of their outcome (ADR 37)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace

from bridge_common.wire.action_kinds import AGENTS, target_fault
from bridge_common.wire.call_record import CallAction, CallRecord
from bridge_common.wire.entries import Act
from bridge_common.wire.instructions import Instruction
from call_control.core.events.callbacks import AcsEvent
from call_control.core.machine.call_commands import AcsCommand, InstructRelay
from call_control.core.machine.call_events import CallEvent, CommandDone, CommandFailed
from call_control.core.machine.transition import Transition


def action_of(request: Act, now_ms: int) -> CallAction:
    return CallAction(request.action_id, request.action, request.arguments, request.by, now_ms)


def find_action(record: CallRecord, action_id: str) -> CallAction | None:
    return next((action for action in record.actions if action.id == action_id), None)


def with_action(record: CallRecord, action: CallAction) -> CallRecord:
    """Add the action to the record, or replace it."""
    if find_action(record, action.id) is None:
        return replace(record, actions=(*record.actions, action))
    return replace(record, actions=tuple(action if known.id == action.id else known for known in record.actions))


def argument_of(action: CallAction, name: str) -> str:
    """Return an argument of an action, "" if it is missing, or if the arguments are not a JSON object."""
    try:
        given = json.loads(action.arguments or "{}")
    except ValueError:
        return ""
    return str(given.get(name, "")) if isinstance(given, dict) else ""


def target_name(action: CallAction) -> str:
    """Return the name of the action's target, "" if it has none or is called by number."""
    name = argument_of(action, "target")
    return "" if target_fault("", name) else name


def of_operation(record: CallRecord, event: CallEvent) -> CallAction | None:
    """Return the open action whose outcome the callback reports."""
    if not isinstance(event, AcsEvent) or not event.operation_context:
        return None
    return next((one for one in record.actions if one.open and one.operation == event.operation_context), None)


def of_done(record: CallRecord, event: CallEvent, *commands: type[AcsCommand]) -> CallAction | None:
    """Return the open action whose command ACS has accepted. `commands`: the possible classes of the command."""
    return _of_command(record, event.seq, commands) if isinstance(event, CommandDone) else None


def of_failed(record: CallRecord, event: CallEvent, *commands: type[AcsCommand]) -> CallAction | None:
    """Return the open action whose command failed. `commands`: the possible classes of the command."""
    return _of_command(record, event.seq, commands) if isinstance(event, CommandFailed) else None


def finish(transition: Transition, action: CallAction, state: str, reason: str) -> None:
    """Complete the action, and notify the agent if it has requested it."""
    action = replace(action, state=state, reason=reason)
    transition.record = with_action(transition.record, action)
    notify(transition, action)


def notify(transition: Transition, action: CallAction) -> None:
    """Notify the agent of the outcome, if it requested the action."""
    if action.by in AGENTS:
        detail = {"action": action.kind, "state": action.state, "reason": action.reason}
        detail |= {"target": name} if (name := target_name(action)) else {}
        instruct(transition, action.id, Instruction.OUTCOME, detail)


def instruct(transition: Transition, instruction_id: str, what: Instruction, detail: Mapping[str, object]) -> None:
    transition.issue(InstructRelay, instruction_id=instruction_id, what=what.value, detail=json.dumps(detail))


def _of_command(record: CallRecord, seq: int, commands: Iterable[type[AcsCommand]]) -> CallAction | None:
    operations = {f"{command.__name__}-{seq}" for command in commands}
    return next((one for one in record.actions if one.open and one.operation in operations), None)
