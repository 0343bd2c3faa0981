"""The simulated Foundry resource: agent scripts, conversations, quota, faults and past sessions."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Protocol

from lab.scenario import Agent
from lab.unsupported import Unsupported
from lab.voice_live.conversation_items import ConversationItems
from lab.voice_live.handshake import AgentMode, Credentials, Mode
from lab.voice_live.injected_faults import VoiceLiveFaults
from lab.voice_live.measuring import MarksTicker
from lab.voice_live.platform_tools import PlatformTools
from lab.voice_live.record import SessionRecord
from lab.voice_live.server_events import new_id
from lab.voice_live.settings import VoiceLiveSettings
from lab.voice_live.unsupported_by_voice_live import unsupported_fields

KEPT_SESSIONS = 1000
QUOTA_WINDOW_S = 60.0
MARKS_APART = 1000
"""Difference between the first mark numbers of two sessions of a call, so that both can send at the same time."""


class KeptSession(Protocol):
    """The members of a session that the control API uses."""

    record: SessionRecord

    def drop(self) -> None: ...

    def mute(self) -> None: ...

    async def close(self, code: int, reason: str) -> None: ...

    def follow(self, agent: Agent) -> bool: ...


@dataclass
class HandshakeQuota:
    """Limits handshakes in a rolling minute; 0: no limit."""

    per_minute: int
    most: int = 0
    """The highest number of handshakes in any minute."""
    _taken_at: deque[float] = field(default_factory=deque)

    @property
    def next_at(self) -> float:
        """The time at which the oldest connection of the minute no longer counts."""
        return self._taken_at[0] + QUOTA_WINDOW_S if self._taken_at else 0.0

    def take(self, now: float) -> bool:
        """Count a handshake and return true if the quota allows it; a rejected one does not count."""
        if self.per_minute and self.counted(now) >= self.per_minute:
            return False
        self._taken_at.append(now)
        self.most = max(self.most, self.counted(now))
        return True

    def counted(self, now: float) -> int:
        while self._taken_at and self._taken_at[0] <= now - QUOTA_WINDOW_S:
            self._taken_at.popleft()
        return len(self._taken_at)


@dataclass
class Resource:
    settings: VoiceLiveSettings
    agent: Agent = field(default_factory=Agent)
    """Script of connections to which no script in `agents` applies."""
    agents: dict[str, Agent] = field(default_factory=dict)
    faults: VoiceLiveFaults = field(default_factory=VoiceLiveFaults)
    sessions: dict[str, KeptSession] = field(default_factory=dict)
    ticker: MarksTicker = field(default_factory=MarksTicker)
    api_keys: tuple[str, ...] = field(init=False)
    """Accepted API keys. A resource in Azure has two, which are regenerated one at a time."""
    quota: HandshakeQuota = field(init=False)
    tools: PlatformTools = field(init=False)
    unsupported: Unsupported = field(init=False)
    refused_handshakes: list[dict[str, object]] = field(default_factory=list)
    _conversations: dict[str, ConversationItems] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.api_keys = (self.settings.api_key,)
        self.quota = HandshakeQuota(self.settings.new_connections_per_minute)
        self.tools = PlatformTools(self.settings.agent_tools_url, self.settings.agent_tools_key)
        self.unsupported = unsupported_fields(strict=self.settings.lab_strict)

    def credentials(self, wall_s: float) -> Credentials:
        """Return the accepted credentials. `wall_s`: current Unix time in seconds."""
        settings = self.settings
        return Credentials(self.api_keys, settings.lab_identity_secret, settings.allow_any_bearer, wall_s)

    def agent_for(self, mode: Mode, script: str | None) -> Agent:
        """Return the script that the connection selects, or else the one with the name of its agent or model, or else
        the default one.
        """
        return self.agents.get(script or mode.given_name, self.agent)

    def conversation_for(self, mode: Mode) -> tuple[ConversationItems, bool]:
        """Return the conversation of a new session, and whether it was resumed. Like in Azure, an id that this agent
        and project do not have results in a new conversation without an error.
        """
        if not isinstance(mode, AgentMode):
            return self._new_conversation("conv"), False
        owner = (mode.name, mode.project)
        known = self._conversations.get(mode.conversation_id or "")
        if known is not None and known.owner == owner:
            return known, True
        conversation = self._new_conversation("thread" if mode.classic else "conv", owner)
        self._conversations[conversation.id] = conversation
        return conversation, False

    def _new_conversation(self, kind: str, owner: tuple[str, str] | None = None) -> ConversationItems:
        settings = self.settings
        return ConversationItems(
            new_id(kind),
            owner,
            refuses_zero=settings.refuse_truncation_at_zero,
            any_part=settings.truncate_any_part,
        )

    def first_mark(self, call: int | None) -> int:
        """Return the first mark number of a new session of the call. Numbers identify the session that sent a mark."""
        sent = [session.record.marks_sent[-1] for session in self.sessions.values() if session.record.marks_sent]
        return max((number + MARKS_APART for of_call, number, _ in sent if of_call == call), default=0)

    def keep(self, session: KeptSession) -> None:
        self.sessions[session.record.id] = session
        while len(self.sessions) > KEPT_SESSIONS:
            self.sessions.pop(next(iter(self.sessions)))
