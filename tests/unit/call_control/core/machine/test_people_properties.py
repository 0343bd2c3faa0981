"""Invariants of transfers and participants, for events in any order and any number."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from bridge_common.wire.call_record import CallAction, CallRecord, Status, TransferStage
from bridge_common.wire.entries import Act, Due, GoodbyeOver, MediaLost, MediaOpen, ScreeningOver, VoiceLost, VoiceReady
from call_control.core.events.callbacks import AcsEvent
from call_control.core.machine.call_commands import (
    AddParticipant,
    AnyCommand,
    CancelAdd,
    End,
    HangUp,
    Leave,
    ListParticipants,
    RemoveParticipant,
    SetTimer,
    Transfer,
    of_pending,
    to_pending,
)
from call_control.core.machine.call_events import CallEvent, CommandDone, CommandFailed, RosterEntry
from call_control.core.machine.call_machine import apply
from call_control.core.policy.routing import Accepted
from tests.support.nightly import examples
from tests.unit.support.call_life import CALL, CONNECTION
from tests.unit.support.people_life import APPLICATION, BILLING, CALLER, RULES, SALES, TARGETS

REQUESTS = (
    *(("transfer", {"target": name}) for name in TARGETS),
    ("transfer", {"target": "sales", "mode": "attended"}),
    ("add_participant", {"target": "billing"}),
    ("add_participant", {"target": "sales"}),
    ("remove_participant", {"participant": "billing"}),
    ("hold", {}),
    ("resume", {}),
    ("mute", {"participant": "sales"}),
    ("return_to_agent", {}),
)
CALLBACKS = (
    *("AddParticipantSucceeded", "AddParticipantFailed", "CancelAddParticipantSucceeded"),
    *("CancelAddParticipantFailed", "RemoveParticipantSucceeded", "RemoveParticipantFailed", "HoldFailed"),
    *("CallTransferAccepted", "CallTransferFailed", "ContinuousDtmfRecognitionToneReceived"),
)
REPEATABLE = (Act, GoodbyeOver, ScreeningOver, Due)
REPEATED_CALLBACKS = set(CALLBACKS) - {
    "ContinuousDtmfRecognitionToneReceived",
    "RemoveParticipantFailed",
    "AddParticipantFailed",
}
"""A repeated tone is a repeated instruction, which the relay ignores; a repeated roster, or removal that has failed,
leads to one more request; a repeated failure to join ends the repetition of the cancellation.
"""
TRANSFER_ENDS = (7015, 7000, 5002, 560000, 5010)


class PeopleOfACall(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.record = CallRecord(call_id=CALL, status=Status.RINGING, caller=CALLER, callee="4:+18005551212")
        self.now_ms, self.entries, self.actions = 1, 0, 0
        self.issued: list[AnyCommand] = []
        self.news: list[tuple[CallEvent, str]] = []
        self.outcomes: dict[str, tuple[str, str]] = {}

    @initialize()
    def connected(self) -> None:
        for event in (Accepted("default"), VoiceReady(CALL, 1)):
            self.happens(event)
        answer = next(one for one in self.issued if type(one).__name__ == "Answer")
        self.happens(CommandDone(answer.seq, CONNECTION))
        self.happens(AcsEvent("connected", "CallConnected", CONNECTION))
        self.record = replace(self.record, uplink_epoch=1)
        self.happens(MediaOpen(CALL, 1))
        assert self.record.status is Status.CONNECTED

    def happens(self, event: CallEvent) -> None:
        self.entries += 1
        before, cause = self.record, f"{self.entries}-0"
        step = apply(before, event, self.now_ms, RULES, cause)
        if step.ignored:
            assert step.record == before
        elif isinstance(event, REPEATABLE) or (isinstance(event, AcsEvent) and event.type in REPEATED_CALLBACKS):
            self.news.append((event, cause))
        for command in step.commands:
            assert to_pending(command) in step.record.pending
        self.record = step.record
        self.issued += step.commands
        self.one_outcome_for_each_action()
        self.nobody_rings_in_vain(before)
        for earlier, its_cause in self.news[-6:]:
            again = apply(self.record, earlier, self.now_ms, RULES, its_cause)
            assert again.record == self.record, f"{earlier} came twice and changed something"
            assert not again.commands

    def one_outcome_for_each_action(self) -> None:
        for action in self.record.actions:
            known = self.outcomes.get(action.id)
            if known is not None:
                assert (action.state, action.reason) == known, f"{action.id} has two outcomes"
            elif not action.open:
                self.outcomes[action.id] = (action.state, action.reason)

    def nobody_rings_in_vain(self, before: CallRecord) -> None:
        """An invitation that is given up is canceled, unless its id is unknown or it is over."""
        for was in before.participants:
            now = next(one for one in self.record.participants if one.raw_id == was.raw_id)
            if (was.state, now.state) == ("ringing", "failed") and now.invitation_id:
                canceled = [one for one in self.issued if isinstance(one, CancelAdd)]
                assert any(one.invitation_id == now.invitation_id for one in canceled)

    # -- events
    @rule(ms=st.sampled_from([0, 100, 1_000, 3_000, 20_000]))
    def time_passes(self, ms: int) -> None:
        self.now_ms += ms

    @rule(request=st.sampled_from(REQUESTS), by=st.sampled_from(["operator", "agent", "caller"]))
    def somebody_acts(self, request: tuple[str, dict[str, str]], by: str) -> None:
        self.requests(request, by)

    @precondition(lambda self: not self.record.transfer)
    @rule(name=st.sampled_from(sorted(TARGETS)), mode=st.sampled_from(["attended", "attended", "blind"]))
    def somebody_transfers(self, name: str, mode: str) -> None:
        self.requests(("transfer", {"target": name, "mode": mode}), "operator")

    @rule(seldom=st.integers(0, 5), by=st.sampled_from(["operator", "agent"]))
    def somebody_hangs_up(self, seldom: int, by: str) -> None:
        if not seldom:
            self.requests(("hang_up", {}), by)

    @precondition(lambda self: any(one.state == "ringing" for one in self.record.participants))
    @rule(data=st.data())
    def a_person_answers(self, data: st.DataObject) -> None:
        ringing = [one.action_id for one in self.record.participants if one.state == "ringing"]
        action_id = data.draw(st.sampled_from(ringing))
        [operation] = [one.operation for one in self.record.actions if one.id == action_id]
        event = AcsEvent(f"added-{self.entries}", "AddParticipantSucceeded", CONNECTION, operation_context=operation)
        self.happens(event)

    @precondition(lambda self: self.record.transfer_stage is TransferStage.SCREENING)
    @rule()
    def a_person_confirms(self) -> None:
        self.happens(ScreeningOver(CALL, self.record.transfer, "confirmed"))

    def requests(self, request: tuple[str, dict[str, str]], by: str) -> None:
        self.actions += 1
        self.happens(Act(CALL, f"act-{self.actions}", request[0], json.dumps(request[1]), by))

    @rule(outcome=st.sampled_from(["heard", "heard", "interrupted", "failed"]), closing=st.booleans())
    def words_end(self, outcome: str, closing: bool) -> None:
        action_id = self.record.closing if closing else self.record.transfer
        self.happens(GoodbyeOver(CALL, action_id, outcome))

    @rule(outcome=st.sampled_from(["confirmed", "confirmed", "unconfirmed"]))
    def screening_ends(self, outcome: str) -> None:
        self.happens(ScreeningOver(CALL, self.record.transfer, outcome))

    @rule(data=st.data(), type_=st.sampled_from(CALLBACKS), code=st.sampled_from([0, 5234, 560486]))
    def acs_calls_back(self, data: st.DataObject, type_: str, code: int) -> None:
        operations = [one.operation for one in self.record.actions if one.operation]
        operations += [timer.operation for timer in self.timers() if timer.operation]
        operation = data.draw(st.sampled_from([*operations, "Transfer-999"]))
        invitations = [one.invitation_id for one in self.record.participants]
        invitation = data.draw(st.sampled_from([*invitations, ""])) if "Cancel" in type_ else ""
        context = "" if invitation else operation
        event = AcsEvent(f"{type_}-{self.entries}", type_, CONNECTION, operation_context=context, tone="1")
        self.happens(replace(event, invitation_id=invitation, code=200, sub_code=code))

    @rule(listed=st.sets(st.sampled_from([CALLER, CALLER, APPLICATION, BILLING, "4:+14255550199"])))
    def roster_changes(self, listed: set[str]) -> None:
        roster = tuple(sorted(listed))
        self.happens(AcsEvent(f"roster-{self.entries}", "ParticipantsUpdated", CONNECTION, listed=roster))

    @rule(lost=st.booleans())
    def voice(self, lost: bool) -> None:
        self.happens(VoiceLost(CALL, 2, "budget") if lost else VoiceReady(CALL, 2))

    @rule(lost=st.booleans())
    def media(self, lost: bool) -> None:
        self.record = replace(self.record, uplink_epoch=self.record.uplink_epoch + (not lost))
        epoch = self.record.uplink_epoch
        self.happens(MediaLost(CALL, epoch, 1006) if lost else MediaOpen(CALL, epoch))

    @rule(data=st.data(), seldom=st.integers(0, 5))
    def deadline(self, data: st.DataObject, seldom: int) -> None:
        of_the_call = {"length", "warning", "closing"} if seldom else set()
        if timers := [timer for timer in self.timers() if timer.name not in of_the_call]:
            timer = data.draw(st.sampled_from(timers))
            self.now_ms = max(self.now_ms, timer.due_ms)
            self.happens(Due(CALL, timer.name, timer.seq))

    @precondition(lambda self: any(item.kind != "SetTimer" for item in self.record.pending))
    @rule(
        data=st.data(),
        good=st.sampled_from([True, True, True, False]),
        code=st.sampled_from(["8501", "unavailable", "overtaken"]),
        gone=st.sampled_from([False] * 9 + [True]),
        others=st.sets(st.sampled_from([BILLING, SALES, "4:+14255550199"])),
        with_caller=st.sampled_from([True] * 9 + [False]),
    )
    def result_comes(
        self, data: st.DataObject, good: bool, code: str, gone: bool, others: set[str], with_caller: bool
    ) -> None:
        present = others | {CALLER} if with_caller else others
        waiting = [c for c in map(of_pending, self.record.pending) if c is not None and not isinstance(c, SetTimer)]
        command = data.draw(st.sampled_from(waiting))
        if not good:
            self.happens(CommandFailed(command.seq, code, gone))
        elif isinstance(command, ListParticipants):
            roster = tuple(RosterEntry(one) for one in (APPLICATION, *sorted(present)))
            before = self.record
            self.happens(CommandDone(command.seq, roster=roster))
            self.nobody_stays_without_the_caller(before, present, confirmed=command.confirms)
        elif isinstance(command, AddParticipant):
            self.happens(CommandDone(command.seq, invitation_id=f"invitation-{command.seq}"))
        else:
            self.happens(CommandDone(command.seq, state="connected"))

    @rule(sub_code=st.sampled_from(TRANSFER_ENDS), seldom=st.integers(0, 5))
    def call_ends(self, sub_code: int, seldom: int) -> None:
        if not seldom:
            self.happens(AcsEvent(f"end-{self.entries}", "CallDisconnected", CONNECTION, code=200, sub_code=sub_code))

    def nobody_stays_without_the_caller(self, before: CallRecord, present: set[str], *, confirmed: bool) -> None:
        timers = {timer.name for timer in _timers(before)}
        strangers = present - {CALLER, BILLING, SALES} - {one.raw_id for one in before.participants}
        if before.status is Status.CONNECTED and CALLER not in present and not strangers and "transfer" not in timers:
            # A known target that nobody has called could be the caller under another id.
            known = {one.raw_id for one in before.participants}
            if present <= known and not confirmed:
                assert self.record.status is Status.ENDING or "roster" in {timer.name for timer in self.timers()}
            elif present <= known:
                assert self.record.status is Status.ENDING
                assert any(isinstance(one, HangUp) for one in self.issued)

    def timers(self) -> list[SetTimer]:
        return _timers(self.record)

    # -- invariants
    @invariant()
    def a_person_is_called_once_for_each_action(self) -> None:
        called = Counter(one.action_id for one in self.issued if isinstance(one, AddParticipant))
        assert not called or max(called.values()) == 1
        moved = Counter(one.action_id for one in self.issued if isinstance(one, Transfer) and one.action_id)
        assert not moved or max(moved.values()) == 1

    @invariant()
    def released_exactly_once_when_no_longer_live(self) -> None:
        assert sum(isinstance(one, End) for one in self.issued) == (0 if self.record.status.live else 1)

    @invariant()
    def stage_and_transfer_agree(self) -> None:
        record = self.record
        if record.status is not Status.CONNECTED:
            return
        assert (record.transfer == "") is (record.transfer_stage is TransferStage.NONE)
        if not record.transfer:
            assert not any(one.open and one.kind == "transfer" for one in record.actions)
            return
        [action] = [one for one in record.actions if one.id == record.transfer]
        assert action.open is (record.transfer_stage is not TransferStage.BRIDGED)
        self.the_person_is_in_the_right_state(action)

    def the_person_is_in_the_right_state(self, action: CallAction) -> None:
        people = [one.state for one in self.record.participants if one.action_id == action.id]
        match self.record.transfer_stage:
            case TransferStage.DIALING:
                assert people == ["ringing"]
            case TransferStage.SCREENING | TransferStage.BRIDGED:
                assert people == ["joined"]
            case _:
                assert people == []

    @invariant()
    def every_stage_has_a_deadline(self) -> None:
        timers = {timer.name for timer in self.timers()}
        if self.record.status is not Status.CONNECTED:
            return
        assert timers & {"length", "closing"}
        needed = {
            TransferStage.CONNECTING: "words",
            TransferStage.TRANSFERRING: "transfer",
            TransferStage.DIALING: "ring",
            TransferStage.SCREENING: "screening",
        }.get(self.record.transfer_stage)
        assert needed is None or needed in timers
        if any(one.state == "ringing" for one in self.record.participants):
            assert "ring" in timers
        if any(one.state == "joined" for one in self.record.participants):
            assert "roster" in timers

    @invariant()
    def an_ended_call_has_only_outcomes(self) -> None:
        if self.record.status is Status.ENDED:
            assert not any(action.open for action in self.record.actions)
            assert {one.state for one in self.record.participants} <= {"left", "failed"}

    @invariant()
    def we_leave_only_people_who_talk(self) -> None:
        assert sum(isinstance(one, Leave) for one in self.issued) <= len(self.outcomes)
        removed = [one.raw_id for one in self.issued if isinstance(one, RemoveParticipant)]
        assert CALLER not in removed


def _timers(record: CallRecord) -> list[SetTimer]:
    return [one for one in map(of_pending, record.pending) if isinstance(one, SetTimer)]


TestPeopleOfACall = PeopleOfACall.TestCase
TestPeopleOfACall.settings = settings(max_examples=examples(150), stateful_step_count=50, deadline=None)
