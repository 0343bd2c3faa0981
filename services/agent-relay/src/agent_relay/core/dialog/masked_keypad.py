"""Keypad input that only a tool receives: card numbers, PINs. The agent and the transcript get the number of digits.

A function call whose tool has a keypad argument waits here for the digits. Digits that were complete before the call
are used for it. They exist in the memory of one relay only: the next relay informs the agent that the caller has to
type again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from agent_relay.core.announcements.announcer import NO_ENTRY, Announcer
from agent_relay.core.dialog.agent_turns import AgentTurns
from agent_relay.core.dialog.conversation_commands import Command, WallClock
from agent_relay.core.dialog.history import KEYS, History
from agent_relay.core.dialog.key_entry import KeyEntry
from agent_relay.core.dialog.keypad import Keypad, KeyReceiver, KeyReport
from agent_relay.core.dialog.prompts import Prompts
from agent_relay.core.dialog.session_profile import SessionProfile
from agent_relay.core.dialog.turns import Turns
from agent_relay.core.dialog.typed_digits import TypedDigits
from agent_relay.core.protocol.keypad_profile import KeypadArgument
from agent_relay.core.protocol.voice_events import FunctionCall
from bridge_common.wire.entries import Say

HELD_S: Final = 60.0
"""Digits that no tool has asked for are dropped after this time."""
LONGEST_S: Final = 180.0
"""A tool waits for its digits at most this time, whatever the caller does."""
_SOUND_S: Final = 0.5
"""The sound of the last key of an entry may last this long."""
BUSY: Final = "The caller types for another function. Call this function again after the result of that one."


@dataclass(slots=True)
class _Request:
    """A function call that waits for digits. `since`: since when nobody has spoken or typed."""

    call: FunctionCall
    wanted: KeypadArgument
    session: int
    began_at: float
    since: float | None = None
    asked: bool = False


class MaskedKeypad:
    """A `KeyReceiver`. `resumed`: another relay drove this call before, and may have processed the first digits of an
    entry.
    """

    unsent = False

    def __init__(
        self,
        profile: SessionProfile,
        report: KeyReport,
        prompts: Prompts,
        clock: WallClock,
        agent: AgentTurns,
        announcements: Announcer,
        *,
        resumed: bool,
    ) -> None:
        self._tools: Mapping[str, KeypadArgument] = profile.keypad_tools
        self._end_key = profile.dtmf.end_key
        self._correction = "#" if profile.dtmf.end_key == "*" else "*"
        self._most = profile.dtmf.max_digits
        self._entry = KeyEntry(profile.dtmf)
        self._report = report
        self._prompts = prompts
        self._clock = clock
        self._agent = agent
        self._announcements = announcements
        self._request: _Request | None = None
        self._presses = 0
        """Keys pressed since the latest complete entry, with corrections."""
        self._sounds_until: float | None = None
        self._held = ""
        self._held_until = 0.0
        self._maybe_partial = resumed
        """Whether earlier keys may be unknown to this relay: until its first voice session is ready."""
        self._partial = False
        """Whether the beginning of the current entry may be missing."""

    @property
    def mutes_caller(self) -> bool:
        return self._entry.next_at is not None or self._sounds_until is not None

    @property
    def idle(self) -> bool:
        return self._entry.next_at is None and self._request is None

    @property
    def next_at(self) -> float | None:
        times = [self._entry.next_at, self._sounds_until]
        if (request := self._request) is not None:
            times.append(request.began_at + LONGEST_S)
            times.append(None if request.since is None else request.since + request.wanted.wait_s)
        return min((at for at in times if at is not None), default=None)

    def session_ready(self) -> None:
        self._maybe_partial = False

    # -- keys
    def press(self, tone: str, now: float) -> list[Command]:
        entry, request = self._entry, self._request
        self._sounds_until = now + _SOUND_S
        if request is not None:
            request.since = None
        if tone == self._correction:
            entry.restart(now)
            self._presses += 1
            return []
        ends = tone == self._end_key
        if not ends and not tone.isdecimal():
            return []
        if not entry.keys:
            if ends:
                return []  # it belongs to the entry that its number of digits has completed
            self._partial = self._maybe_partial
        self._presses += 1
        most = self._most if request is None else request.wanted.max_digits
        return self._complete(now) if entry.press(tone, most, now) else []

    def reset(self, now: float) -> list[Command]:
        self._entry.take()
        self._held, self._presses, self._sounds_until = "", 0, None
        request, self._request = self._request, None
        return [] if request is None else self._refuse(request, _NOTHING, now)

    def tick(self, now: float) -> list[Command]:
        if self._sounds_until is not None and now >= self._sounds_until:
            self._sounds_until = None
        if not self._entry.paused(now) or not self._entry.keys:
            return []
        wanted = None if self._request is None else self._request.wanted
        # A pause does not complete too few digits: people look at their card between the groups.
        few = wanted is not None and len(self._entry.keys) < wanted.min_digits
        return [] if few else self._complete(now)

    def _complete(self, now: float) -> list[Command]:
        began_at, presses = self._entry.began_at, self._presses
        digits, self._presses = self._entry.take().removesuffix(self._end_key), 0
        if self._partial:
            lost = "digits of which some were lost; ask the caller to type them again"
            return self._report(lost, began_at, now, count=presses)
        if (request := self._request) is not None:
            self._request = None
            return [self._clock.notice(KEYS, str(presses), began_at), *self._run(request, digits, now)]
        self._held, self._held_until = digits, now + HELD_S
        use = "; a function that needs them can use them now" if self._tools else ""
        return self._report(f"{_count(len(digits))}, not shown to you{use}", began_at, now, count=presses)

    # -- the function that needs them
    def called(self, event: FunctionCall, now: float) -> list[Command]:
        """Handle a function call that needs digits."""
        began = self._agent.await_keys(event, now)
        if began is None:
            return []
        request = _Request(event, self._tools[event.name], self._agent.session, now)
        if self._request is not None:
            return began + self._refuse(request, BUSY, now)
        held, self._held = self._held, ""
        if _fits(held, request.wanted) and not self._entry.keys:
            return began + self._run(request, held, now)
        self._request = request
        return began

    def advance(self, now: float, *, quiet: bool) -> list[Command]:
        if now >= self._held_until:
            self._held = ""
        request = self._request
        if request is None:
            return []
        commands: list[Command] = []
        spoke = self._agent.spoke_before_keys(request.call)
        if not request.asked and spoke is not None:
            request.asked = True
            if not spoke:
                self._prompts.owed.replaced()
                if not self._entry.keys:
                    commands += self._ask(request.wanted.ask_text, now)
        if not quiet or not self._announcements.quiet or self.mutes_caller:
            request.since = None
        elif request.since is None:
            request.since = now
        since = now if request.since is None else request.since
        if now >= min(since + request.wanted.wait_s, request.began_at + LONGEST_S):
            self._request = None
            if self._entry.keys:
                commands.append(self._clock.notice(KEYS, str(self._presses), self._entry.began_at))
            typed, self._presses = len(self._entry.take()), 0
            commands += self._refuse(request, _wrong_number(typed, request.wanted) if typed else _NOTHING, now)
        return commands

    def _ask(self, text: str, now: float) -> list[Command]:
        say = Say(f"keypad-{self._clock.unix_ms(now)}", 0, text, last=True)
        return self._announcements.piece(NO_ENTRY, say, now)

    def _run(self, request: _Request, digits: str, now: float) -> list[Command]:
        if not _fits(digits, request.wanted):
            return self._refuse(request, _wrong_number(len(digits), request.wanted), now)
        typed = TypedDigits(request.wanted.argument, digits)
        return self._agent.run_tool(request.call, request.session, now, typed)

    def _refuse(self, request: _Request, why: str, now: float) -> list[Command]:
        return self._agent.refuse_tool(request.call, request.session, json.dumps({"error": why}), now)


_NOTHING: Final = (
    "The caller typed nothing. Nothing was sent. Ask whether they want to type it, then call this function again."
)


def _fits(digits: str, wanted: KeypadArgument) -> bool:
    return wanted.min_digits <= len(digits) <= wanted.max_digits


def _wrong_number(typed: int, wanted: KeypadArgument) -> str:
    least, most = wanted.min_digits, wanted.max_digits
    needed = str(least) if least == most else f"{least} to {most}"
    return (
        f"The caller typed {_count(typed)}, but {needed} are needed. Nothing was sent. Ask them to type it again, then "
        "call this function again."
    )


def _count(digits: int) -> str:
    return "1 digit" if digits == 1 else f"{digits} digits"


def key_receiver(
    profile: SessionProfile, history: History, prompts: Prompts, clock: WallClock, turns: Turns, *, resumed: bool
) -> KeyReceiver:
    """Return the receiver for the profile's `dtmf`."""
    report = KeyReport(history, prompts, clock)
    if profile.dtmf.mode != "masked":
        return Keypad(profile, report)
    return MaskedKeypad(profile, report, prompts, clock, turns.of_agent, turns.announcements, resumed=resumed)
