"""Dependencies that all calls of a process share, and the conversation of a claimed call."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from agent_relay import metrics
from agent_relay.core.dialog.conversation import Conversation
from agent_relay.core.dialog.debt import Limits
from agent_relay.core.dialog.history import from_transcript
from agent_relay.core.dialog.session_profile import session_profile_of
from agent_relay.core.protocol.agent_profile import AgentProfile
from agent_relay.core.protocol.spoken_text import Form
from agent_relay.profiles import DEFAULT
from agent_relay.tools.runner import Tool
from agent_relay.voice.voice_resources import VoiceResources
from agent_relay.voice.warm_pool import WarmPool
from bridge_common.base.log import fields
from bridge_common.base.outage_logger import OutageLogger
from bridge_common.base.retry import Backoff
from bridge_common.store.announcement_store import AnnouncementStore
from bridge_common.store.call_store import CallStore
from bridge_common.store.fleet import Fleet
from bridge_common.store.inbox import Inbox
from bridge_common.store.leases import Leases
from bridge_common.streams.reader import StreamReader
from bridge_common.streams.writer import StreamWriter
from bridge_common.wire.call_record import CallRecord
from bridge_common.wire.keys import Keys

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class CallContext:
    voice: VoiceResources
    profiles: Mapping[str, AgentProfile]
    reader: StreamReader
    writer: StreamWriter
    store: CallStore
    says: AnnouncementStore
    say_reader: StreamReader
    """Separate from `reader`, which never sleeps: this one does while no text arrives."""
    inbox: Inbox
    fleet: Fleet
    leases: Leases
    keys: Keys
    warm: WarmPool = field(default_factory=WarmPool)
    backoff: Backoff = field(default_factory=lambda: Backoff(budget_s=20.0))
    greeting_delay_s: float | None = None
    limits: Limits = field(default_factory=Limits)
    dtmf_interrupts: bool = True
    history_turns: int = 40
    stop_within_s: float = 0.5
    """After a hand-over: time limit for the previous owner to store where it stopped."""
    keep_transcripts: bool = True
    tools: Mapping[str, Tool] = field(default_factory=dict)
    say_forms: tuple[Form, ...] = ()
    """Overrides the forms of the connection mode."""
    noting: OutageLogger = field(default_factory=lambda: OutageLogger(log, "writing of calls"))
    """Shared by all calls, because an outage of Redis affects all of them."""


def was_held(record: CallRecord) -> bool:
    """Whether another relay has driven this call before; then it is resumed."""
    return bool(record.greeted or record.conversation_id or record.voice_session_id)


async def begin_conversation(context: CallContext, record: CallRecord) -> Conversation:
    """The conversation of a claimed call, with the state that a previous owner stored. Raises `OutsideError`."""
    resumed = was_held(record)
    metrics.CLAIMS.labels("taken over" if resumed else "new").inc()
    transcript = await context.store.read_whole_transcript(record.call_id) if resumed else []
    profile = context.profiles.get(record.profile)
    if profile is None:
        log.warning("unknown profile", extra=fields(call_id=record.call_id, profile=record.profile))
        profile = context.profiles[DEFAULT]
    plan = session_profile_of(
        profile,
        context.voice.target,
        greeting_delay_s=context.greeting_delay_s,
        limits=context.limits,
        keys_interrupt=context.dtmf_interrupts,
        keep_transcripts=context.keep_transcripts,
        tools=frozenset(context.tools),
        say_forms=context.say_forms,
    )
    return Conversation(
        plan,
        from_transcript(transcript, context.history_turns),
        greeted=record.greeted,
        resumed=resumed,
        media_attached=record.media_seen,
        conversation_id=record.conversation_id,
        transcript=transcript,
        unix_offset_s=time.time() - asyncio.get_running_loop().time(),
        said=record.said,
    )
