"""What the call machine wants done, and how it stands in the record's outbox until its result is known.

A command is saved together with the state change that caused it and leaves the outbox when its result is applied. So
a crash in between loses nothing: whoever takes over the inbox entry `cause` finds the command still there. `seq` makes
the Repeatability-Request-ID, so that asking ACS twice is asking once.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import ClassVar, Final, TypeAlias

from bridge_common.wire.call_record import PendingCommand


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    seq: int
    cause: str
    """Id of the inbox entry that is done only when this command is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AcsCommand(Command):
    """A request to Call Automation."""

    @property
    def operation_context(self) -> str:
        """What callbacks about this command say in `operationContext`."""
        return f"{type(self).__name__}-{self.seq}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer(AcsCommand):
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class Reject(AcsCommand):
    reason: str
    """`busy`, `forbidden` or `none`, as Call Automation spells them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Redirect(AcsCommand):
    target: str
    """Raw id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HangUp(AcsCommand):
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer(AcsCommand):
    """Let people take over; ACS rings them and lets us go when they answer."""

    target: str
    """Raw id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StartMediaStreaming(AcsCommand):
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class StopMediaStreaming(AcsCommand):
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class LookUp(AcsCommand):
    """Ask ACS in which state the call is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer(Command):
    """Let a relay claim the call."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FindRelay(Command):
    """Look whether a relay has claimed the call, and else whether any has room."""

    CLAIMED: ClassVar[str] = "claimed"
    FULL: ClassVar[str] = "full"
    """All relays that live are."""
    UNCLAIMED: ClassVar[str] = "unclaimed"


@dataclass(frozen=True, slots=True, kw_only=True)
class End(Command):
    """Release everything of the call: its lease and its streams."""

    reason: str
    apologize: bool = False
    """The gateway has to say that we are sorry."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SetTimer(Command):
    """Stands in the outbox until it fires or is disarmed; `seq` counts timers, not commands."""

    name: str
    due_ms: int
    """Unix ms."""
    last: bool = False
    """No second try after this deadline."""
    operation: str = ""
    """Media timer: the operation whose failure, when ACS reports it, makes waiting longer pointless."""
    lost_epoch: int = 0
    """Media timer: the newest uplink epoch known to be lost; only a newer one ends the wait."""

    VOICE: ClassVar[str] = "voice"
    CLAIM: ClassVar[str] = "claim"
    TRANSFER: ClassVar[str] = "transfer"
    APOLOGY: ClassVar[str] = "apology"
    CONNECT: ClassVar[str] = "connect"
    MEDIA: ClassVar[str] = "media"
    LENGTH: ClassVar[str] = "length"
    ENDING: ClassVar[str] = "ending"
    ALL: ClassVar[tuple[str, ...]] = (VOICE, CLAIM, CONNECT, MEDIA, TRANSFER, APOLOGY, LENGTH, ENDING)


ToAcs: TypeAlias = Answer | Reject | Redirect | HangUp | Transfer | StartMediaStreaming | StopMediaStreaming | LookUp
AtOnce: TypeAlias = ToAcs | Offer | FindRelay | End
"""Has a result as soon as it is carried out."""
AnyCommand: TypeAlias = AtOnce | SetTimer

_CLASSES: Final[dict[str, type[AnyCommand]]] = {
    cls.__name__: cls
    for cls in (
        Answer,
        Reject,
        Redirect,
        HangUp,
        Transfer,
        StartMediaStreaming,
        StopMediaStreaming,
        LookUp,
        Offer,
        FindRelay,
        End,
        SetTimer,
    )
}


def to_pending(command: AnyCommand) -> PendingCommand:
    values = asdict(command)
    return PendingCommand(seq=values.pop("seq"), kind=type(command).__name__, argument=json.dumps(values))


def of_pending(pending: PendingCommand) -> AnyCommand | None:
    """None for a command of a newer version, which only that version can carry out."""
    cls = _CLASSES.get(pending.kind)
    if cls is None:
        return None
    try:
        return cls(seq=pending.seq, **json.loads(pending.argument))
    except (TypeError, ValueError):
        return None
