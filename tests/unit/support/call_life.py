"""Drives the state machine of one call: a test passes events and gets the names of the commands."""

from __future__ import annotations

from dataclasses import replace

from bridge_common.wire.call_record import CallRecord, Status
from bridge_common.wire.entries import Due, HangUp, MediaOpen, VoiceReady
from call_control.core.events.callbacks import AcsEvent
from call_control.core.machine import call_commands
from call_control.core.machine.call_commands import AnyCommand, SetTimer
from call_control.core.machine.call_events import CallEvent, CommandDone, CommandFailed
from call_control.core.machine.call_machine import AppliedEvent, apply
from call_control.core.machine.transition import CallPolicy, armed
from call_control.core.policy.routing import Accepted

CALL = "call_0123456789abcdef01234567"
CONNECTION = "441f1200"
RULES = CallPolicy(redirect_target="4:+18005550000")


class Life:
    """One call; each `on` applies an event and returns the names of its commands."""

    def __init__(self, rules: CallPolicy = RULES) -> None:
        self.rules = rules
        self.record = CallRecord(call_id=CALL, incoming_call_context="context", status=Status.RINGING, created_ms=1)
        self.now_ms = 1_000
        self.step = AppliedEvent(self.record)
        self.entries = 0

    def on(self, event: CallEvent, cause: str = "") -> list[str]:
        """`cause`: the id of the inbox entry, by default the next number."""
        self.entries += 1
        cause = cause or f"{self.entries}-0"
        self.step = apply(self.record, event, self.now_ms, self.rules, cause)
        self.record = self.step.record
        return [name_of(command) for command in self.step.commands]

    def due(self, timer: str) -> list[str]:
        found = armed(self.record, timer)
        assert found is not None, f"timer {timer} is not armed"
        self.now_ms = found.due_ms
        return self.on(Due(CALL, timer, found.seq))

    def issued(self, cls: type[AnyCommand]) -> AnyCommand:
        [found] = [command for command in self.step.commands if isinstance(command, cls)]
        return found

    def done(self, cls: type[AnyCommand], connection_id: str = "", state: str = "") -> list[str]:
        return self.on(CommandDone(self.waiting(cls), connection_id, state))

    def failed(self, cls: type[AnyCommand], code: str = "500", *, gone: bool = False) -> list[str]:
        return self.on(CommandFailed(self.waiting(cls), code, gone))

    def waiting(self, cls: type[AnyCommand]) -> int:
        return max(item.seq for item in self.record.pending if item.kind == cls.__name__)

    def attach(self, epoch: int) -> list[str]:
        """A gateway accepts the media socket and reports it."""
        self.record = replace(self.record, uplink_epoch=epoch)
        return self.on(MediaOpen(CALL, epoch))

    def wait(self) -> SetTimer:
        """The timer that limits the time without media."""
        found = armed(self.record, SetTimer.MEDIA)
        assert found is not None
        return found

    @property
    def waits(self) -> bool:
        return armed(self.record, SetTimer.MEDIA) is not None

    def at(self, status: Status) -> bool:
        return self.record.status is status


def name_of(command: AnyCommand) -> str:
    return f"SetTimer {command.name}" if isinstance(command, SetTimer) else type(command).__name__


def callback(type_: str, *, code: int = 200, sub_code: int = 0, context: str = "") -> AcsEvent:
    return AcsEvent(type_, type_, CONNECTION, operation_context=context, code=code, sub_code=sub_code)


def ringing(rules: CallPolicy = RULES) -> Life:
    life = Life(rules)
    assert life.on(Accepted("default")) == ["Offer", "SetTimer voice", "SetTimer claim"]
    life.done(call_commands.Offer)
    return life


def answering(rules: CallPolicy = RULES) -> Life:
    life = ringing(rules)
    assert life.on(VoiceReady(CALL, 5)) == ["SetTimer connect", "Answer"]
    return life


def connected(rules: CallPolicy = RULES) -> Life:
    life = answering(rules)
    context = f"Answer-{life.waiting(call_commands.Answer)}"
    life.done(call_commands.Answer, CONNECTION)
    assert life.on(callback("CallConnected", context=context)) == [
        "SetTimer length",
        "SetTimer warning",
        "SetTimer media",
    ]
    return life


def talking(rules: CallPolicy = RULES) -> Life:
    life = connected(rules)
    assert life.attach(10) == []
    assert armed(life.record, SetTimer.MEDIA) is None
    return life


def ending() -> Life:
    life = talking()
    assert life.on(HangUp(CALL, "operator", "")) == ["SetTimer ending", "End", "HangUp"]
    assert life.at(Status.ENDING)
    return life
