"""Keypad input of the caller: keys that belong together are sent to the agent and recorded as one entry."""

from __future__ import annotations

from agent_relay.core.dialog.conversation_commands import Command
from agent_relay.core.dialog.debt import DebtKind
from agent_relay.core.dialog.history import KEYS, TONES, History, keypad_text
from agent_relay.core.dialog.keypad import Keypad
from agent_relay.core.dialog.prompts import Prompts
from agent_relay.core.dialog.session_profile import SessionProfile
from agent_relay.core.dialog.wall_clock import WallClock
from agent_relay.core.protocol.voice_events import create_message


class TypedKeys:
    def __init__(self, plan: SessionProfile, history: History, prompts: Prompts, clock: WallClock) -> None:
        self._shown = plan.dtmf == "transcript"
        self._history = history
        self._prompts = prompts
        self._clock = clock
        self._keypad = Keypad()

    @property
    def next_at(self) -> float | None:
        """When the keys so far are sent to the agent; None if there are none."""
        return self._keypad.next_at

    def press(self, tone: str, now: float) -> list[Command]:
        return self._typed(self._keypad.press(tone, now), now)

    def tick(self, now: float) -> list[Command]:
        return self._typed(self._keypad.due(now), now)

    def _typed(self, tones: str | None, now: float) -> list[Command]:
        if not tones:
            return []
        text, began_at = keypad_text(tones), self._keypad.began_at
        self._history.caller(f"tones {self._clock.unix_ms(began_at)}", text)
        self._prompts.owed.owe(DebtKind.KEYS, now)
        written: list[Command] = [self._clock.notice(TONES, tones, began_at, private=not self._shown)]
        if not self._shown:
            written.append(self._clock.notice(KEYS, str(len(tones)), began_at))
        return [*written, *self._prompts.to_session([create_message("user", text)])]
