"""Keypad input of the caller: the keys of one entry form one message to the agent and one notice in the transcript."""

from __future__ import annotations

from typing import Protocol

from agent_relay.core.dialog.conversation_commands import Command, WallClock
from agent_relay.core.dialog.debt import DebtKind
from agent_relay.core.dialog.history import KEYS, TONES, History, keypad_text
from agent_relay.core.dialog.key_entry import KeyEntry
from agent_relay.core.dialog.prompts import Prompts
from agent_relay.core.dialog.session_profile import SessionProfile
from agent_relay.core.protocol.voice_events import FunctionCall, create_message


class KeyReceiver(Protocol):
    """Receives the keys of one call: `Keypad`, or `MaskedKeypad` if the agent must not see them."""

    @property
    def next_at(self) -> float | None:
        """When `tick` is due next; None if no deadline is known."""

    @property
    def idle(self) -> bool:
        """Whether the caller neither types nor is expected to."""

    @property
    def unsent(self) -> bool:
        """Whether the next relay reads the latest keys again if this one dies, because the agent does not have them."""

    @property
    def mutes_caller(self) -> bool:
        """Whether the agent must not receive caller audio now, because it may contain the sound of the keys."""

    def session_ready(self) -> None:
        """Handle that a voice session is ready."""

    def called(self, event: FunctionCall, now: float) -> list[Command]:
        """Handle a call of a function in `SessionProfile.keypad_tools`."""

    def press(self, tone: str, now: float) -> list[Command]: ...

    def reset(self, now: float) -> list[Command]:
        """Drop the keys, because the caller talks with another person now."""

    def tick(self, now: float) -> list[Command]: ...

    def advance(self, now: float, *, quiet: bool) -> list[Command]:
        """Return the commands that are due. Call it after every event. `quiet`: nobody speaks, apart from
        announcements.
        """


class KeyReport:
    """Reports complete keys to the agent, which owes an answer, and to the transcript."""

    def __init__(self, history: History, prompts: Prompts, clock: WallClock) -> None:
        self._history = history
        self._prompts = prompts
        self._clock = clock

    def __call__(self, shown: str, began_at: float, now: float, *, count: int | None) -> list[Command]:
        """`shown`: what the agent sees of the keys. `count`: what readers of the transcript see instead; None: the
        same.
        """
        text = keypad_text(shown)
        self._history.caller(f"tones {self._clock.unix_ms(began_at)}", text)
        self._prompts.owed.owe(DebtKind.KEYS, now)
        records: list[Command] = [self._clock.notice(TONES, shown, began_at, private=count is not None)]
        if count is not None:
            records.append(self._clock.notice(KEYS, str(count), began_at))
        return [*records, *self._prompts.to_session([create_message("user", text)])]


class Keypad:
    """Sends the keys to the agent."""

    mutes_caller = False

    def __init__(self, profile: SessionProfile, report: KeyReport) -> None:
        self._shown = profile.dtmf.mode == "transcript"
        self._most = profile.dtmf.max_digits
        self._entry = KeyEntry(profile.dtmf)
        self._report = report

    @property
    def next_at(self) -> float | None:
        """When the keys pressed so far are sent to the agent; None if there are none."""
        return self._entry.next_at

    @property
    def idle(self) -> bool:
        return self._entry.next_at is None

    @property
    def unsent(self) -> bool:
        return not self.idle

    def session_ready(self) -> None:
        pass

    def called(self, event: FunctionCall, now: float) -> list[Command]:
        return []  # the agent has the digits: no function waits for them

    def press(self, tone: str, now: float) -> list[Command]:
        return self._send(now) if self._entry.press(tone, self._most, now) else []

    def reset(self, now: float) -> list[Command]:
        self._entry.take()
        return []

    def tick(self, now: float) -> list[Command]:
        return self._send(now) if self._entry.paused(now) else []

    def advance(self, now: float, *, quiet: bool) -> list[Command]:
        return []

    def _send(self, now: float) -> list[Command]:
        tones = self._entry.take()
        return self._report(tones, self._entry.began_at, now, count=None if self._shown else len(tones))
