"""Commands of the call machine, and their form in the record's outbox until the result is known.

A command is saved together with the state change that caused it and leaves the outbox when its result is applied. A
crash in between loses nothing: the replica that claims the inbox entry `cause` finds the command in the outbox. `seq`
is part of the Repeatability-Request-ID, which makes repeated requests to ACS idempotent.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import ClassVar, Final, TypeAlias, get_args

from bridge_common.wire.call_record import PendingCommand


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    seq: int
    cause: str
    """Id of the inbox entry that caused this command; it is acknowledged only when the result is known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AcsCommand(Command):
    """A request to Call Automation."""

    @property
    def operation_context(self) -> str:
        """Value of `operationContext` in callbacks for this command."""
        return f"{type(self).__name__}-{self.seq}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer(AcsCommand):
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class Reject(AcsCommand):
    reason: str
    """`busy`, `forbidden` or `none` (values of Call Automation)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Redirect(AcsCommand):
    target: str
    """Raw id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HangUp(AcsCommand):
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer(AcsCommand):
    """Transfer the caller. ACS calls the target, and disconnects our leg when the target answers."""

    target: str
    """Raw id."""
    transferee: str = ""
    """Raw id of the participant to transfer; required if the call has more than two."""
    action_id: str = ""
    """The action that contains the context for the target; empty for a transfer to human agents."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AddParticipant(AcsCommand):
    """Invite a person into the call."""

    target: str
    """Raw id."""
    ring_s: int
    action_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelAdd(AcsCommand):
    """Cancel an invitation that was not accepted yet."""

    invitation_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveParticipant(AcsCommand):
    raw_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ListParticipants(AcsCommand):
    """Fetch the participants of the call from ACS."""

    confirms: bool = False
    """Whether the list before this one lacked the caller."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldParticipant(AcsCommand):
    raw_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class UnholdParticipant(AcsCommand):
    raw_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MuteParticipant(AcsCommand):
    raw_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Leave(AcsCommand):
    """Leave the call; the others stay connected."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StartDtmf(AcsCommand):
    """Start to report the keys of a participant."""

    raw_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StartMediaStreaming(AcsCommand):
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class StopMediaStreaming(AcsCommand):
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class SendDtmf(AcsCommand):
    """Send tones to the caller."""

    tones: str
    """`0` to `9`, `A` to `D`, `*`, `#`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LookUp(AcsCommand):
    """Fetch the state of the call from ACS."""

    confirms: str = ""
    """Name of the command that ACS answered with 404, if the state is fetched for this reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer(Command):
    """Offer the call to the relays; one of them claims it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Withdraw(Command):
    """Withdraw the offer from the relays, and give up the call's place in a rule."""

    rule: str
    """Empty if the call keeps its place, or has none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FindRelay(Command):
    """Check whether a relay has claimed the call and, if not, whether any relay has free capacity."""

    CLAIMED: ClassVar[str] = "claimed"
    FULL: ClassVar[str] = "full"
    """Every live relay is at capacity."""
    UNCLAIMED: ClassVar[str] = "unclaimed"


@dataclass(frozen=True, slots=True, kw_only=True)
class InstructRelay(Command):
    """Send an instruction to the call's relay: append an `entries.Instruct` to its stream."""

    instruction_id: str
    what: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class End(Command):
    """Release the call's lease and streams, and its place in a rule."""

    reason: str
    apologize: bool = False
    """Whether the gateway plays an apology."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SetTimer(Command):
    """Set a timer. It remains in the outbox until it fires or is disarmed. `seq` counts timers, not commands."""

    name: str
    due_ms: int
    """Unix ms."""
    last: bool = False
    """Whether the deadline ends the attempts."""
    operation: str = ""
    """Media and transfer timers: if ACS reports that this operation failed, the wait ends early. Roster timer:
    `CALLER_MISSING`, or empty.
    """
    lost_epoch: int = 0
    """Media timer: the newest uplink epoch known to be lost; only a media socket with a newer epoch ends the wait."""

    CALLER_MISSING: ClassVar[str] = "caller missing"
    WAIT: ClassVar[str] = "wait"
    PLACE: ClassVar[str] = "place"
    VOICE: ClassVar[str] = "voice"
    CLAIM: ClassVar[str] = "claim"
    TRANSFER: ClassVar[str] = "transfer"
    APOLOGY: ClassVar[str] = "apology"
    CONNECT: ClassVar[str] = "connect"
    MEDIA: ClassVar[str] = "media"
    LENGTH: ClassVar[str] = "length"
    WARNING: ClassVar[str] = "warning"
    CLOSING: ClassVar[str] = "closing"
    TONES: ClassVar[str] = "tones"
    WORDS: ClassVar[str] = "words"
    RING: ClassVar[str] = "ring"
    SCREENING: ClassVar[str] = "screening"
    PEOPLE: ClassVar[str] = "people"
    ROSTER: ClassVar[str] = "roster"
    ENDING: ClassVar[str] = "ending"
    ALL: ClassVar[tuple[str, ...]] = (
        *(WAIT, PLACE, VOICE, CLAIM, CONNECT, MEDIA, TRANSFER, APOLOGY, LENGTH, WARNING, CLOSING, TONES, ENDING),
        *(WORDS, RING, SCREENING, PEOPLE, ROSTER),
    )


ToAcs: TypeAlias = (
    Answer
    | Reject
    | Redirect
    | HangUp
    | Transfer
    | AddParticipant
    | CancelAdd
    | RemoveParticipant
    | ListParticipants
    | HoldParticipant
    | UnholdParticipant
    | MuteParticipant
    | Leave
    | StartDtmf
    | StartMediaStreaming
    | StopMediaStreaming
    | SendDtmf
    | LookUp
)
AtOnce: TypeAlias = ToAcs | Offer | Withdraw | FindRelay | InstructRelay | End
"""Commands whose result is known as soon as they were executed."""
AnyCommand: TypeAlias = AtOnce | SetTimer

_CLASSES: Final[dict[str, type[AnyCommand]]] = {cls.__name__: cls for cls in get_args(AnyCommand)}


def to_pending(command: AnyCommand) -> PendingCommand:
    values = asdict(command)
    return PendingCommand(seq=values.pop("seq"), kind=type(command).__name__, argument=json.dumps(values))


def of_pending(pending: PendingCommand) -> AnyCommand | None:
    """Rebuild a stored command; `None` for a command of a newer release, which only that release can execute."""
    cls = _CLASSES.get(pending.kind)
    if cls is None:
        return None
    try:
        return cls(seq=pending.seq, **json.loads(pending.argument))
    except (TypeError, ValueError):
        return None
