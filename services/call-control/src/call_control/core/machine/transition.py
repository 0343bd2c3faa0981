"""One transition of a call: the new record, the commands issued, and the resulting outbox."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from bridge_common.wire.call_record import CallRecord, PendingCommand
from bridge_common.wire.entries import Due
from call_control.core.machine.call_commands import (
    AnyCommand,
    AtOnce,
    End,
    FindRelay,
    InstructRelay,
    Offer,
    SetTimer,
    Withdraw,
    of_pending,
    to_pending,
)
from call_control.core.policy.transfer_targets import TransferTarget

C = TypeVar("C", bound=AnyCommand)


@dataclass(frozen=True, slots=True)
class CallPolicy:
    """Configured call policy. Times in ms."""

    answer_at_once: bool = False
    """Whether to answer without waiting for a voice session."""
    redirect_target: str = ""
    """Raw id that receives calls when no relay has capacity; empty: those calls are rejected as busy."""
    transfer_target: str = ""
    """Raw id that receives a caller whose voice session cannot be restored; empty: the caller hears an apology."""
    ring_ms: int = 60_000
    """Maximum age of the IncomingCall event; a call with an older event is not answered."""
    claim_ms: int = 500
    """How long a relay may take to claim a call before call-control checks for free capacity."""
    place_ms: int = 500
    """Interval between the checks whether a waiting call has a place in its rule."""
    offer_again_ms: int = 2_000
    """A waiting call whose relay got no voice session is offered again after this time."""
    transfer_ms: int = 65_000
    """Limit for a transfer. ACS itself gives up after a minute."""
    apology_ms: int = 12_000
    """Limit for the apology. The gateway requests the hang-up after it; if not, call-control hangs up."""
    voice_ms: int = 8_000
    """Limit from the ring to a voice session. ACS lets a phone ring for about 30 s."""
    connect_ms: int = 15_000
    media_ms: int = 5_000
    """Limit from `CallConnected` to the first media socket."""
    redial_ms: int = 1_000
    """How long ACS may take to reconnect a lost media socket without a request."""
    started_media_ms: int = 3_000
    """Limit from the start of media streaming to the socket. ACS allows a socket about a second to open."""
    media_patience_ms: int = 20_000
    """How long call-control tries to restore lost media."""
    tones_ms: int = 30_000
    """Limit for the outcome of tones; 18 tones take about 10 s."""
    ending_ms: int = 5_000
    """How long ACS may take to report the end of a call after it has accepted the hang-up."""
    hang_up_ms: int = 15_000
    """Limit for the result of a request to hang up; beyond it the request is repeated."""
    hang_up_patience_ms: int = 4 * 3600 * 1000
    """How long a hang-up is repeated; a call that is not known to be gone after this time is abandoned."""
    diverting_ms: int = 20_000
    longest_call_ms: int = 4 * 3600 * 1000
    warning_ms: int = 60_000
    """How long before `longest_call_ms` the caller hears that the call will end; 0: no warning."""
    goodbye_ms: int = 12_000
    """Limit for the goodbye: a requested hang-up follows after this time at the latest."""
    targets: Mapping[str, TransferTarget] = field(default_factory=dict)
    """Targets of transfers and invitations by name, from the routing policy in force."""
    ring_margin_ms: int = 15_000
    """How long ACS may take, beyond the ringing time, to report that an invited person did not answer."""
    screening_ms: int = 45_000
    """Limit for the confirmation of a person who answered a transfer."""
    people_ms: int = 10_000
    """Limit for the outcome of an action on a participant."""
    roster_ms: int = 5_000
    """Interval between the requests for the participants while a person rings or is in the call."""
    roster_pause_ms: int = 500
    """Shortest interval between two such requests."""


@dataclass(slots=True)
class Transition:
    """A transition in progress: `before` is the unchanged record; actions change `record` and append to `issued`."""

    before: CallRecord
    policy: CallPolicy
    now_ms: int
    cause: str
    record: CallRecord
    issued: list[AnyCommand] = field(default_factory=list)

    def issue(self, make: Callable[..., C], **arguments: str | bool | int) -> C:
        seq = self.record.command_seq + 1
        command = make(seq=seq, cause=self.cause, **arguments)
        self.record = replace(self.record, command_seq=seq, pending=(*self.record.pending, to_pending(command)))
        self.issued.append(command)
        return command

    def arm(self, name: str, in_ms: int, *, last: bool = False, operation: str = "", lost_epoch: int = 0) -> None:
        """Set a timer; it replaces one of the same name."""
        self.disarm(name)
        seq = self.record.timer_seq + 1
        timer = SetTimer(
            seq=seq,
            cause=self.cause,
            name=name,
            due_ms=self.now_ms + in_ms,
            last=last,
            operation=operation,
            lost_epoch=lost_epoch,
        )
        self.record = replace(self.record, timer_seq=seq, pending=(*self.record.pending, to_pending(timer)))
        self.issued.append(timer)

    def arm_by(self, name: str, in_ms: int) -> None:
        """Set a timer, unless it is due before."""
        timer = armed(self.record, name)
        if timer is None or timer.due_ms > self.now_ms + in_ms:
            self.arm(name, in_ms)

    def annotate(self, timer: SetTimer) -> None:
        """Replace the fields of an armed timer without setting it again."""
        kept = tuple(to_pending(timer) if _is_timer(item, timer.name) else item for item in self.record.pending)
        self.record = replace(self.record, pending=kept)

    def adopt_outbox(self) -> None:
        """Make the current inbox entry the cause of the pending commands, whose own entries are lost."""
        kept: list[PendingCommand] = []
        for item in self.record.pending:
            command = of_pending(item)
            if command is not None:
                adopted = replace(command, cause=self.cause)
                self.issued.append(adopted)
                item = to_pending(adopted)
            kept.append(item)
        self.record = replace(self.record, pending=tuple(kept))

    def disarm(self, *names: str) -> None:
        kept = tuple(item for item in self.record.pending if not any(_is_timer(item, name) for name in names))
        self.record = replace(self.record, pending=kept)
        self.issued = [item for item in self.issued if not (isinstance(item, SetTimer) and item.name in names)]

    def disarm_all(self) -> None:
        self.disarm(*SetTimer.ALL)


def armed(record: CallRecord, name: str) -> SetTimer | None:
    for item in record.pending:
        command = of_pending(item)
        if isinstance(command, SetTimer) and command.name == name:
            return command
    return None


def newly_due(before: CallRecord, after: CallRecord) -> dict[Due, int]:
    """Return the timers to set with this step and their deadlines (Unix ms): armed, or adopted by a restored call."""
    known = {(timer.seq, timer.cause) for timer in _timers(before)}
    return {_due(after, timer): timer.due_ms for timer in _timers(after) if (timer.seq, timer.cause) not in known}


def no_longer_due(before: CallRecord, after: CallRecord) -> list[Due]:
    """Return the timers that this step removed from the outbox: fired or disarmed."""
    kept = {timer.seq for timer in _timers(after)}
    return [_due(before, timer) for timer in _timers(before) if timer.seq not in kept]


def awaited(record: CallRecord, seq: int) -> AnyCommand | None:
    """Return the pending command with this `seq`, timers excluded."""
    for item in record.pending:
        command = of_pending(item)
        if command is not None and command.seq == seq and not isinstance(command, SetTimer):
            return command
    return None


def outstanding(record: CallRecord, cause: str) -> list[AtOnce]:
    """Return the pending commands of the inbox entry `cause`, oldest first. Timers are not included: they are set with
    the record (`newly_due`).
    """
    commands = [of_pending(item) for item in record.pending]
    return local_first([c for c in commands if c is not None and not isinstance(c, SetTimer) and c.cause == cause])


def local_first(commands: Sequence[C]) -> list[C]:
    """Return the commands with local ones first: the release of the voice session must not wait for ACS."""
    local = (End, SetTimer, Withdraw, Offer, FindRelay, InstructRelay)
    return sorted(commands, key=lambda command: not isinstance(command, local))


def without_command(record: CallRecord, seq: int) -> CallRecord:
    kept = tuple(item for item in record.pending if item.seq != seq or item.kind == SetTimer.__name__)
    return replace(record, pending=kept)


def _timers(record: CallRecord) -> list[SetTimer]:
    commands = [of_pending(item) for item in record.pending if item.kind == SetTimer.__name__]
    return [command for command in commands if isinstance(command, SetTimer)]


def _due(record: CallRecord, timer: SetTimer) -> Due:
    return Due(record.call_id, timer.name, timer.seq)


def _is_timer(item: PendingCommand, name: str) -> bool:
    command = of_pending(item)
    return isinstance(command, SetTimer) and command.name == name
