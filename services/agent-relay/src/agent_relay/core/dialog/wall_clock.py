"""Converts the monotonic seconds of a conversation to the Unix time of its transcript."""

from __future__ import annotations

from dataclasses import dataclass

from agent_relay.core.dialog.conversation_commands import Record
from bridge_common.wire.entries import Notice


@dataclass(frozen=True, slots=True)
class WallClock:
    offset_s: float = 0.0

    def unix_ms(self, now: float) -> int:
        return int((now + self.offset_s) * 1000)

    def monotonic(self, unix_ms: int) -> float:
        return unix_ms / 1000 - self.offset_s

    def notice(self, what: str, detail: str, now: float, *, private: bool = False) -> Record:
        return Record(Notice(what, detail, self.unix_ms(now)), private)
