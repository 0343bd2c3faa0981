"""The people in the call, and whose audio the gateway sends to the agent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from agent_relay.core.dialog.conversation_commands import Append, Command
from bridge_common.wire.entries import Listen

TO_CALLER: Final = Listen("caller")
TO_ALL: Final = Listen("all")
TO_OTHERS: Final = Listen("others")
TO_NOBODY: Final = Listen("caller", bridged=True)
"""The agent rests while people talk. The gateway sends the caller's audio, which the relay does not forward."""


@dataclass(frozen=True, slots=True)
class CallParties:
    """The people in a call when a relay claims it. `caller`: raw id. `caller_name`: as it is spoken, "" if unknown.
    `people`: names of the other participants.
    """

    caller: str = ""
    caller_name: str = ""
    people: tuple[str, ...] = ()
    caller_on_hold: bool = False


UNKNOWN_PARTIES: Final = CallParties()


class Audience:
    """`hears_all`: the agent hears all people in a call with several. `unknown`: the previous relay may have
    selected another audio.
    """

    def __init__(self, parties: CallParties, *, hears_all: bool, unknown: bool) -> None:
        self._people = parties.people
        self._caller = parties.caller
        self._hears_all = hears_all
        self._selected: Listen | None = None if unknown else TO_CALLER

    @property
    def several(self) -> bool:
        """Whether other people than the caller are in the call."""
        return bool(self._people)

    def gathered(self, names: Sequence[str]) -> bool:
        """Replace the people in the call besides the caller. Return whether they have changed."""
        before, self._people = self._people, tuple(names)
        if self._people == before:
            return False
        self.joined()
        return True

    def joined(self) -> None:
        """Repeat the selection next time, also if it is the same: with each entry the gateway looks up who has joined.
        Until it knows of several people, it does not fill the pauses of those whose silence ACS does not send.
        """
        self._selected = None

    def may_be_caller(self, participant: str) -> bool:
        """`participant`: raw id, "" if ACS did not send it."""
        return not self._caller or participant.casefold() in ("", self._caller.casefold())

    @property
    def usual(self) -> Listen:
        """The selection while the agent talks with the caller."""
        return TO_ALL if self.several and self._hears_all else TO_CALLER

    def select(self, wanted: Listen) -> list[Command]:
        if wanted == self._selected:
            return []
        self._selected = wanted
        return [Append(wanted)]

    def media_attached(self) -> list[Command]:
        """Repeat the selection for a new media socket. Without an entry, it sends the caller's audio."""
        return [] if self._selected in (None, TO_CALLER) else [Append(self._selected)]
