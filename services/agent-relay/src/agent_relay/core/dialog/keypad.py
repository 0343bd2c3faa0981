"""Keypad input of the caller: the keys up to `#` or a pause form one entry for the agent and the transcript."""

from __future__ import annotations

from typing import Final

from agent_relay.core.dialog.conversation_commands import Command, WallClock
from agent_relay.core.dialog.debt import DebtKind
from agent_relay.core.dialog.history import KEYS, TONES, History, keypad_text
from agent_relay.core.dialog.prompts import Prompts
from agent_relay.core.dialog.session_profile import SessionProfile
from agent_relay.core.protocol.voice_events import create_message

PAUSE_S: Final = 1.5
MOST_TONES: Final = 64


class Keypad:
    def __init__(self, profile: SessionProfile, history: History, prompts: Prompts, clock: WallClock) -> None:
        self.next_at: float | None = None
        """When the keys pressed so far are sent to the agent; None if there are none."""
        self._shown = profile.dtmf == "transcript"
        self._history = history
        self._prompts = prompts
        self._clock = clock
        self._tones = ""
        self._began_at = 0.0

    def press(self, tone: str, now: float) -> list[Command]:
        if not self._tones:
            self._began_at = now
        self._tones += tone
        if tone == "#" or len(self._tones) >= MOST_TONES:
            return self._send(now)
        self.next_at = now + PAUSE_S
        return []

    def tick(self, now: float) -> list[Command]:
        return self._send(now) if self.next_at is not None and now >= self.next_at else []

    def _send(self, now: float) -> list[Command]:
        tones, self._tones, self.next_at = self._tones, "", None
        text, began_at = keypad_text(tones), self._began_at
        self._history.caller(f"tones {self._clock.unix_ms(began_at)}", text)
        self._prompts.owed.owe(DebtKind.KEYS, now)
        records: list[Command] = [self._clock.notice(TONES, tones, began_at, private=not self._shown)]
        if not self._shown:
            records.append(self._clock.notice(KEYS, str(len(tones)), began_at))
        return [*records, *self._prompts.to_session([create_message("user", text)])]
