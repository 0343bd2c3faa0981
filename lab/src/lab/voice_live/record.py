"""The history of one session for the control API. Times are monotonic seconds, comparable across one machine."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from lab.simulator import log
from lab.voice_live.conversation_items import ConversationItems
from lab.voice_live.handshake import AgentMode, Mode, ModelMode, VoiceAgentMode
from lab.voice_live.server_events import Event

_QUIET = frozenset({"first_delta", "first_audio_in"})


@dataclass
class SessionRecord:
    id: str
    mode: Mode
    script: str
    conversation: ConversationItems
    resumed: bool = False
    client_request_id: str | None = None
    openai_beta: str | None = None
    ga_names: bool = False
    """True if events are sent with the GA names of OpenAI."""
    pretended: Counter[str] = field(default_factory=Counter)
    """Fields that the client used and that have no effect in the simulator."""
    state: str = "open"
    close_code: int | None = None
    session: Event = field(default_factory=dict)
    timeline: list[Event] = field(default_factory=list)
    said: list[Event] = field(default_factory=list)
    speech: dict[str, bytearray] = field(default_factory=dict)
    """Audio sent for each item, in the output format of the session. It is stored because synthesis is not
    reproducible.
    """
    heard: bytearray = field(default_factory=bytearray)
    """PCM16 that the client sent, if the agent script keeps it."""
    heard_rate_hz: int = 24_000
    user_turns: list[Event] = field(default_factory=list)
    truncations: list[Event] = field(default_factory=list)
    counters: Counter[str] = field(default_factory=Counter)
    marks_sent: list[tuple[int, int, float]] = field(default_factory=list)
    marks_heard: list[tuple[int, int, float]] = field(default_factory=list)
    marks_shift_ms: float | None = None
    """Delay of the received marks within their frames; see `MarkStream.shift_ms`."""
    interrupted_at: list[float] = field(default_factory=list)
    """Times at which `speech_started` was written to the socket, in marks mode."""

    def note(self, now: float, kind: str, **facts: object) -> None:
        self.timeline.append({"t": now, "event": kind, **facts})
        if kind not in _QUIET:
            log.info(kind, extra={"session": self.id, "facts": facts})

    @property
    def kind(self) -> str:
        if isinstance(self.mode, AgentMode):
            return "agent"
        if isinstance(self.mode, VoiceAgentMode):
            return "voice_agent"
        return "openai" if self.mode.openai else "model"

    def summary(self) -> Event:
        agent = None if isinstance(self.mode, ModelMode) else self.mode
        return {
            "id": self.id,
            "mode": self.kind,
            "agent": agent.name if agent else None,
            "project": agent.project if agent else None,
            "model": self.mode.model if isinstance(self.mode, ModelMode) else None,
            "api_version": self.mode.api_version,
            "script": self.script,
            "conversation_id": self.conversation.id,
            "resumed": self.resumed,
            "client_request_id": self.client_request_id,
            "state": self.state,
            "close_code": self.close_code,
            "counters": dict(self.counters),
            "pretended": dict(self.pretended),
        }

    def to_json(self) -> Event:
        items = [item.to_wire() | {"text": item.text, "audio_ms": item.audio_ms} for item in self.conversation.items]
        return self.summary() | {
            "openai_beta": self.openai_beta,
            "timeline": self.timeline,
            "said": self.said,
            "user_turns": self.user_turns,
            "truncations": self.truncations,
            "items": items,
            "session": self.session,
        }
