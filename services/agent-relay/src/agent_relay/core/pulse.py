"""Whether a voice session still works while something is due from it.

A slow model is no dead session: when nothing has come for a moment, something is asked that the service itself answers
at once, whatever the model does. Only silence to that means that the session has died with its socket open.
"""

from __future__ import annotations

from typing import Final

from agent_relay.core.commands import Abandon, Command, Send
from agent_relay.core.voice_live import ClientEvent, ErrorEvent, ServerEvent

PROBE_S: Final = 1.0
"""Nothing for so long: ask."""
ANSWER_S: Final = 1.2
"""No answer for so long: dead. With `PROBE_S`, a mute session is noticed in 2.2 s."""
STALL_S: Final = 15.0
"""The service answers, but the response that is due makes no progress for so long: it will not."""
_NAME: Final = "probe-"
_NEVER: Final = float("-inf")


class Pulse:
    """To be looked at only while something is due; `asked_at` is when it was last asked for."""

    __slots__ = ("_probed_at", "_probes", "heard_at", "progress_at")

    def __init__(self) -> None:
        self.heard_at = self.progress_at = 0.0
        """When anything came, and when anything but a refusal did."""
        self._probed_at = _NEVER
        self._probes = 0

    def begin(self, now: float) -> None:
        """A new session."""
        self.heard_at = self.progress_at = now
        self._probed_at = _NEVER

    def is_own(self, event: ServerEvent, now: float) -> bool:
        """Take note of what came; True for the answer to a probe, which is nobody else's concern."""
        self.heard_at = now
        if type(event) is ErrorEvent:
            return answers_probe(event)
        self.progress_at = now
        return False

    def next_at(self, asked_at: float) -> float:
        if self._probed_at > self.heard_at:
            return self._probed_at + ANSWER_S
        quiet_since = max(self.heard_at, asked_at)
        return min(quiet_since + PROBE_S, max(self.progress_at, asked_at) + STALL_S)

    def feel(self, asked_at: float, now: float) -> list[Command]:
        """What has to be done about a session that says nothing."""
        if now < self.next_at(asked_at):
            return []
        if self._probed_at > self.heard_at:
            return [Abandon("the voice session does not answer any more")]
        if now >= max(self.progress_at, asked_at) + STALL_S:
            return [Abandon("the voice session has stalled")]
        self._probed_at = now
        self._probes += 1
        # Nobody knows this item: refused at once, and nothing is changed by it.
        ask: ClientEvent = {
            "type": "conversation.item.retrieve",
            "event_id": f"{_NAME}{self._probes}",
            "item_id": _NAME,
        }
        return [Send(ask)]


def answers_probe(event: ErrorEvent) -> bool:
    return event.event_id.startswith(_NAME)
