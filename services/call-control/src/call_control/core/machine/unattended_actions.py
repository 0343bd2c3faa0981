"""Guards and actions of the call machine's table for calls that are answered without an agent, and connected to a
person.

The routing policy decides so, for example for a call on behalf of a callee. A call to a Teams resource account whose
agent is not available is connected to human agents in this way, because ACS advises against redirecting it.
"""

from __future__ import annotations

import json
from dataclasses import replace

from bridge_common.wire.action_kinds import TRANSFER
from bridge_common.wire.call_record import CallAction, CallRecord, TransferStage
from call_control.core.machine.action_book import with_action
from call_control.core.machine.call_actions import fleet_full, looked_up_connected, voice_current
from call_control.core.machine.call_commands import SetTimer, Withdraw
from call_control.core.machine.call_events import CallEvent
from call_control.core.machine.call_people import ROUTING, without_agent
from call_control.core.machine.requested_actions import valid
from call_control.core.machine.transition import CallPolicy, Transition
from call_control.core.machine.waiting_actions import voice_noted, waiting
from call_control.core.policy.parties import is_resource_account
from call_control.core.policy.routing import Connected, Routed


# -- guards -----------------------------------------------------------------------------------------------------------
def unattended(record: CallRecord, event: CallEvent, policy: CallPolicy) -> bool:
    """True for a call without an agent."""
    return without_agent(record)


def hang_up_requested(record: CallRecord, event: CallEvent, policy: CallPolicy) -> bool:
    """True for a valid request to hang up a call without an agent: there is no goodbye to wait for."""
    return valid(record, event, policy) and without_agent(record) and not record.closing


def looked_up_unattended(record: CallRecord, event: CallEvent, policy: CallPolicy) -> bool:
    return without_agent(record) and looked_up_connected(record, event, policy)


def not_redirected(record: CallRecord, event: CallEvent, policy: CallPolicy) -> bool:
    """True if the call is for a Teams resource account, and there are human agents to connect it to."""
    return is_resource_account(record.callee) and policy.redirect_target not in ("", record.callee)


def no_relay_in_time(record: CallRecord, event: CallEvent, policy: CallPolicy) -> bool:
    return not_redirected(record, event, policy) and not voice_noted(record, event, policy)


def no_relay_free(record: CallRecord, event: CallEvent, policy: CallPolicy) -> bool:
    return not_redirected(record, event, policy) and fleet_full(record, event, policy)


def no_voice_left(record: CallRecord, event: CallEvent, policy: CallPolicy) -> bool:
    is_lost = voice_current(record, event, policy) and not waiting(record, event, policy)
    return is_lost and not_redirected(record, event, policy)


# -- actions ----------------------------------------------------------------------------------------------------------
def note_target(transition: Transition, event: CallEvent) -> None:
    """Note the person to whom the call is connected without an agent."""
    decision = event.decision if isinstance(event, Routed) else event
    if isinstance(decision, Connected):
        _note_target(transition, decision.target)


def note_human_agents(transition: Transition, event: CallEvent) -> None:
    """Take the call from the relays, and note that it is connected to human agents without an agent."""
    transition.issue(Withdraw, rule=transition.record.slot)
    transition.disarm(SetTimer.WAIT, SetTimer.PLACE, SetTimer.VOICE, SetTimer.CLAIM)
    transition.record = replace(transition.record, slot="")
    _note_target(transition, transition.policy.redirect_target)


def _note_target(transition: Transition, raw_id: str) -> None:
    arguments = json.dumps({"target": raw_id})
    action = CallAction("connect", TRANSFER, arguments, ROUTING, transition.now_ms, "running")
    record = with_action(transition.record, action)
    transition.record = replace(record, transfer=action.id, transfer_stage=TransferStage.CONNECTING)


def expect_person(transition: Transition, event: CallEvent) -> None:
    transition.disarm(SetTimer.CONNECT, SetTimer.MEDIA)
    transition.arm(SetTimer.LENGTH, transition.policy.longest_call_ms)
