"""A connected call with targets for transfers, and the events of the people in it."""

from __future__ import annotations

import json
from dataclasses import replace

from bridge_common.wire.call_record import Participant, Status, TransferStage
from bridge_common.wire.entries import Act, GoodbyeOver, ScreeningOver
from call_control.core.events.callbacks import AcsEvent
from call_control.core.machine import call_commands
from call_control.core.machine.call_commands import AnyCommand, InstructRelay, SetTimer
from call_control.core.machine.call_events import CommandDone, RosterEntry
from call_control.core.machine.transition import CallPolicy, armed
from call_control.core.policy.transfer_targets import TransferTarget
from tests.unit.support.call_life import CALL, CONNECTION, Life, talking

CALLER = "4:+14255550100"
BILLING = "4:+14255550177"
SALES = "8:orgid:0b0c"
HUMANS = "4:+18005550000"
APPLICATION = "8:acs:1111_2222"
TARGETS = {
    "billing": TransferTarget("billing", BILLING),
    "sales": TransferTarget("sales", SALES, mode="blind"),
    "leaver": TransferTarget("leaver", BILLING, after_join="leave"),
    "mover": TransferTarget("mover", BILLING, after_join="transfer"),
    "last": TransferTarget("last", BILLING, when_person_leaves="hang_up"),
}
RULES = CallPolicy(targets=TARGETS, transfer_target=HUMANS)


class PeopleLife(Life):
    @property
    def stage(self) -> TransferStage:
        return self.record.transfer_stage

    def act(self, action: str, action_id: str = "act-1", by: str = "operator", **arguments: str) -> list[str]:
        return self.on(Act(CALL, action_id, action, json.dumps(arguments), by))

    def outcome(self, action_id: str = "act-1") -> tuple[str, str]:
        [action] = [one for one in self.record.actions if one.id == action_id]
        return action.state, action.reason

    def person(self, raw_id: str = BILLING) -> Participant:
        [person] = [one for one in self.record.participants if one.raw_id == raw_id]
        return person

    def words(self, outcome: str = "heard", action_id: str = "act-1") -> list[str]:
        return self.on(GoodbyeOver(CALL, action_id, outcome))

    def screened(self, outcome: str = "confirmed", action_id: str = "act-1") -> list[str]:
        return self.on(ScreeningOver(CALL, action_id, outcome))

    def invited(self, invitation_id: str = "invitation-1") -> list[str]:
        seq = self.waiting(call_commands.AddParticipant)
        return self.on(CommandDone(seq, invitation_id=invitation_id))

    def reported(self, type_: str, code: int = 200, sub_code: int = 0, action_id: str = "act-1") -> list[str]:
        """ACS reports the outcome of the action's command."""
        [action] = [one for one in self.record.actions if one.id == action_id]
        return self.on(event(type_, code, sub_code, operation_context=action.operation))

    def looked(self, *raw_ids: str, held: str = "", muted: str = "") -> list[str]:
        """ACS answers the request for the participants."""
        roster = tuple(RosterEntry(one, one == held, one == muted) for one in (APPLICATION, *raw_ids))
        return self.on(CommandDone(self.waiting(call_commands.ListParticipants), roster=roster))

    def caller_missed(self, *raw_ids: str) -> list[str]:
        """ACS lists the participants twice without the caller."""
        assert self.looked(*raw_ids) == ["SetTimer roster"], "one list is not believed"
        self.due(SetTimer.ROSTER)
        return self.looked(*raw_ids)

    def looks(self) -> bool:
        return any(item.kind == "ListParticipants" for item in self.record.pending)

    def instructed(self) -> dict[str, dict[str, object]]:
        """Return the details of the latest step's instructions, by their kind."""
        sent = [command for command in self.step.commands if isinstance(command, InstructRelay)]
        return {command.what: json.loads(command.detail) for command in sent}

    def named(self, cls: type[AnyCommand], field: str) -> object:
        return getattr(self.issued(cls), field)

    def timer(self, name: str) -> SetTimer:
        found = armed(self.record, name)
        assert found is not None, name
        return found

    def is_armed(self, timer: str) -> bool:
        return armed(self.record, timer) is not None


def event(
    type_: str,
    code: int = 200,
    sub_code: int = 0,
    *,
    operation_context: str = "",
    invitation_id: str = "",
    participant: str = "",
    tone: str = "",
    listed: tuple[str, ...] = (),
) -> AcsEvent:
    return AcsEvent(
        id=type_,
        type=type_,
        connection_id=CONNECTION,
        code=code,
        sub_code=sub_code,
        operation_context=operation_context,
        invitation_id=invitation_id,
        participant=participant,
        tone=tone,
        listed=listed,
    )


def phoned(rules: CallPolicy = RULES) -> PeopleLife:
    """A phone caller talks with the agent."""
    made = talking(rules)
    life = PeopleLife(rules)
    life.record = replace(made.record, caller=CALLER, callee="4:+18005551212", uplink_epoch=10, voice_epoch=5)
    life.now_ms, life.entries = made.now_ms, made.entries
    return life


def dialing(target: str = "billing", by: str = "operator", rules: CallPolicy = RULES) -> PeopleLife:
    life = phoned(rules)
    life.act("transfer", by=by, target=target)
    life.words()
    life.invited()
    assert life.stage is TransferStage.DIALING
    return life


def added(by: str = "operator") -> PeopleLife:
    """A person whom an action has added is in the call."""
    life = phoned()
    life.act("add_participant", "add", by=by, target="billing")
    life.invited()
    life.reported("AddParticipantSucceeded", action_id="add")
    if life.looks():
        life.looked(CALLER, BILLING)
    life.now_ms += 3_000
    return life


def look(life: PeopleLife) -> None:
    """Fetch the participants, at the next timer if no request is pending."""
    if not life.looks():
        life.due(SetTimer.ROSTER)


def screening(target: str = "billing", by: str = "operator", rules: CallPolicy = RULES) -> PeopleLife:
    life = dialing(target, by, rules)
    life.reported("AddParticipantSucceeded")
    assert life.stage is TransferStage.SCREENING
    if life.looks():
        life.looked(CALLER, BILLING)
    life.now_ms += 3_000
    return life


def bridged(target: str = "billing", by: str = "operator", rules: CallPolicy = RULES) -> PeopleLife:
    life = screening(target, by, rules)
    life.screened()
    assert life.stage is TransferStage.BRIDGED
    return life


def moving(by: str = "operator", rules: CallPolicy = RULES) -> PeopleLife:
    """ACS transfers the caller (blind)."""
    life = phoned(rules)
    life.act("transfer", by=by, target="sales")
    life.words()
    life.done(call_commands.Transfer)
    assert life.stage is TransferStage.TRANSFERRING
    return life


def back_with_agent(life: PeopleLife) -> bool:
    """Whether the agent continues with the caller."""
    timers = (SetTimer.WORDS, SetTimer.SCREENING, SetTimer.TRANSFER)
    nothing_left = life.record.transfer == "" and life.stage is TransferStage.NONE
    return life.at(Status.CONNECTED) and nothing_left and not any(map(life.is_armed, timers))
