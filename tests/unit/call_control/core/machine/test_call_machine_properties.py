"""Invariants of every call, for events in any order and any number."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from bridge_common.wire.call_record import CallRecord, Status
from bridge_common.wire.entries import (
    Act,
    Due,
    GoodbyeOver,
    HangUp,
    MediaLost,
    MediaOpen,
    UplinkMissed,
    VoiceLost,
    VoiceReady,
)
from call_control.core.events.callbacks import AcsEvent
from call_control.core.machine.call_commands import (
    Answer,
    AnyCommand,
    End,
    Redirect,
    Reject,
    SendDtmf,
    SetTimer,
    Transfer,
    of_pending,
    to_pending,
)
from call_control.core.machine.call_events import CallEvent, CommandDone, CommandFailed
from call_control.core.machine.call_machine import apply
from call_control.core.machine.transition import CallPolicy
from call_control.core.policy.routing import Accepted, Decision, Redirected, Rejected
from tests.support.nightly import examples

CALL = "call_0123456789abcdef01234567"
RANK = {
    Status.RINGING: 0,
    Status.ANSWERING: 1,
    Status.DIVERTING: 2,
    Status.CONNECTED: 2,
    Status.TRANSFERRING: 3,
    Status.ENDING: 4,
    Status.ENDED: 5,
}
OPERATIONS = ("Answer", "Start", "Transfer")
STATES = ("connected", "connecting", "full", "unclaimed")
TIMERS = SetTimer.ALL
CALLBACKS = (
    "CallConnected",
    "CallDisconnected",
    "AnswerFailed",
    "MediaStreamingStarted",
    "MediaStreamingStopped",
    "MediaStreamingFailed",
    "ParticipantsUpdated",
    "CallTransferAccepted",
    "CallTransferFailed",
    "SendDtmfTonesCompleted",
    "SendDtmfTonesFailed",
    "Invented",
)


class AnyLife(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.record = CallRecord(call_id=CALL, status=Status.RINGING)
        self.house_rules = CallPolicy()
        self.now_ms = 1
        self.issued: list[AnyCommand] = []
        self.news: list[tuple[CallEvent, str]] = []
        self.entries = 0

    @initialize(
        decision=st.sampled_from([Accepted("a"), Accepted("a"), Accepted("a"), Redirected("4:+1"), Rejected("busy")]),
        at_once=st.booleans(),
        people=st.sampled_from(["", "4:+18005550000"]),
        helpers=st.sampled_from(["", "4:+18005550001"]),
    )
    def arrives(self, decision: Decision, at_once: bool, people: str, helpers: str) -> None:
        self.house_rules = CallPolicy(answer_at_once=at_once, redirect_target=people, transfer_target=helpers)
        self.happens(decision)

    def happens(self, event: CallEvent) -> None:
        self.entries += 1
        before = self.record
        cause = f"{self.entries}-0"
        step = apply(before, event, self.now_ms, self.house_rules, cause)
        assert RANK[step.record.status] >= RANK[before.status]
        if step.ignored:
            assert step.record == before
            assert not step.commands
        else:
            self.news.append((event, cause))
        for command in step.commands:
            assert to_pending(command) in step.record.pending
        self.record = step.record
        self.issued += step.commands
        for earlier, its_cause in self.news:
            again = apply(self.record, earlier, self.now_ms, self.house_rules, its_cause)
            assert again.record == self.record, f"{earlier} came twice and changed something"
            assert not again.commands

    @rule(ms=st.integers(0, 60_000))
    def time_passes(self, ms: int) -> None:
        self.now_ms += ms

    @rule(ready=st.booleans(), epoch=st.integers(1, 3))
    def voice(self, ready: bool, epoch: int) -> None:
        self.happens(VoiceReady(CALL, epoch) if ready else VoiceLost(CALL, epoch, "budget"))

    @precondition(lambda self: self.record.status.live)
    @rule()
    def gateway_attaches(self) -> None:
        self.record = replace(self.record, uplink_epoch=self.record.uplink_epoch + 1)

    @precondition(lambda self: self.record.uplink_epoch > 0)
    @rule(data=st.data(), opens=st.booleans())
    def gateway_tells(self, data: st.DataObject, opens: bool) -> None:
        epoch = data.draw(st.integers(1, self.record.uplink_epoch))
        self.happens(MediaOpen(CALL, epoch) if opens else MediaLost(CALL, epoch, 1006))

    @precondition(lambda self: self.record.uplink_epoch > 0)
    @rule(data=st.data())
    def relay_misses_the_uplink(self, data: st.DataObject) -> None:
        self.happens(UplinkMissed(CALL, data.draw(st.integers(1, self.record.uplink_epoch))))

    @rule()
    def operator_hangs_up(self) -> None:
        self.happens(HangUp(CALL, "operator", ""))

    @rule(
        number=st.integers(0, 5),
        request=st.sampled_from(
            [("hang_up", "{}"), ("send_dtmf", '{"tones":"1"}'), ("note", '{"text":"a"}'), ("dance", "{}")]
        ),
        by=st.sampled_from(["operator", "agent", "silence_policy"]),
    )
    def somebody_acts(self, number: int, request: tuple[str, str], by: str) -> None:
        self.happens(Act(CALL, f"act-{number}", *request, by))

    @rule(outcome=st.sampled_from(["heard", "interrupted", "failed"]), current=st.booleans(), number=st.integers(0, 5))
    def goodbye_over(self, outcome: str, current: bool, number: int) -> None:
        self.happens(GoodbyeOver(CALL, self.record.closing if current else f"act-{number}", outcome))

    @rule(timer=st.sampled_from(TIMERS), seq=st.integers(0, 8))
    def any_deadline(self, timer: str, seq: int) -> None:
        self.happens(Due(CALL, timer, seq))

    @rule(data=st.data())
    def armed_deadline(self, data: st.DataObject) -> None:
        timers = [c for c in map(of_pending, self.record.pending) if isinstance(c, SetTimer)]
        if timers:
            timer = data.draw(st.sampled_from(timers))
            self.happens(Due(CALL, timer.name, timer.seq))

    @rule(
        type_=st.sampled_from(CALLBACKS),
        context=st.integers(0, 6),
        by=st.sampled_from(["Answer", "Start", "Stop", "Transfer", "SendDtmf"]),
    )
    def acs_calls_back(self, type_: str, context: int, by: str) -> None:
        name = f"{by}MediaStreaming" if by in ("Start", "Stop") else by
        self.happens(AcsEvent(f"{type_}{context}", type_, "connection", operation_context=f"{name}-{context}"))

    @rule(
        data=st.data(),
        good=st.booleans(),
        gone=st.booleans(),
        state=st.sampled_from(["connected", "connecting", "full", "unclaimed"]),
    )
    def result_comes(self, data: st.DataObject, good: bool, gone: bool, state: str) -> None:
        waiting = [c for c in map(of_pending, self.record.pending) if c is not None and not isinstance(c, SetTimer)]
        if waiting:
            seq = data.draw(st.sampled_from(waiting)).seq
            self.happens(CommandDone(seq, "connection", state) if good else CommandFailed(seq, "500", gone))

    @invariant()
    def answered_at_most_once_and_never_after_diverting(self) -> None:
        kinds = [type(command) for command in self.issued]
        assert kinds.count(Answer) <= 1
        diverted = [index for index, kind in enumerate(kinds) if kind in (Redirect, Reject)]
        assert not (diverted and Answer in kinds[diverted[0] :])

    @invariant()
    def people_are_rung_at_most_once(self) -> None:
        assert sum(isinstance(command, Transfer) for command in self.issued) <= 1

    @invariant()
    def released_exactly_once_when_no_longer_live(self) -> None:
        ends = sum(isinstance(command, End) for command in self.issued)
        assert ends == (0 if self.record.status.live else 1)

    @invariant()
    def every_action_has_one_outcome(self) -> None:
        ids = [action.id for action in self.record.actions]
        assert len(ids) == len(set(ids))
        if self.record.status is Status.ENDED:
            assert not any(action.open for action in self.record.actions)
        elif self.record.status is Status.CONNECTED:
            closes = any(action.open and action.kind == "hang_up" for action in self.record.actions)
            assert closes is (self.record.closing != "")

    @invariant()
    def tones_are_sent_once_for_each_request(self) -> None:
        tones = sum(isinstance(command, SendDtmf) for command in self.issued)
        assert tones <= sum(action.kind == "send_dtmf" for action in self.record.actions)

    @invariant()
    def numbers_are_unique(self) -> None:
        for timers in (True, False):
            counts = Counter(command.seq for command in self.issued if isinstance(command, SetTimer) is timers)
            assert not counts or max(counts.values()) == 1

    @invariant()
    def something_always_wakes_a_call_that_is_not_over(self) -> None:
        timers = {c.name for c in map(of_pending, self.record.pending) if isinstance(c, SetTimer)}
        match self.record.status:
            case Status.ENDED:
                assert timers <= {"ending"}, "a call that ACS connected late is hung up"
            case Status.ENDING:
                assert timers in ({"ending"}, {"apology"})
            case Status.DIVERTING:
                assert timers == {"ending"}
            case Status.TRANSFERRING:
                assert {"transfer", "length"} <= timers
            case Status.CONNECTED:
                assert timers & {"length", "closing"}
            case Status.ANSWERING:
                assert "connect" in timers
            case Status.RINGING:
                assert timers in ({"voice"}, {"voice", "claim"}) or self.record.command_seq == 0


TestAnyLife = AnyLife.TestCase
TestAnyLife.settings = settings(max_examples=examples(150), stateful_step_count=40, deadline=None)
