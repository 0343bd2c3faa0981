"""Dependencies that all calls of a process share, and the setup of a claimed call's conversation."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from agent_relay import metrics
from agent_relay.agents import Agents, AgentVersion
from agent_relay.core.dialog.conversation import Conversation
from agent_relay.core.dialog.debt import Limits
from agent_relay.core.dialog.history import from_transcript, left_saying
from agent_relay.core.dialog.manners import PendingGoodbye
from agent_relay.core.dialog.recorded_transfer import left_transfer, parties_of
from agent_relay.core.dialog.session_profile import SessionProfile, session_profile_of
from agent_relay.core.protocol.spoken_text import Form
from agent_relay.profile_versions import ProfileVersions
from agent_relay.voice.connection_quota import ConnectionQuota
from bridge_common.base.log import fields
from bridge_common.base.outage_logger import OutageLogger
from bridge_common.base.retry import Backoff
from bridge_common.store.announcement_store import AnnouncementStore
from bridge_common.store.call_references import CallReferences
from bridge_common.store.call_store import CallStore
from bridge_common.store.fleet import Fleet
from bridge_common.store.inbox import Inbox
from bridge_common.store.leases import Leases
from bridge_common.streams.reader import StreamReader
from bridge_common.streams.writer import StreamWriter
from bridge_common.wire import call_reference
from bridge_common.wire.action_kinds import AGENTS
from bridge_common.wire.call_record import CallRecord, TransferStage
from bridge_common.wire.call_reference import ReferredCall
from bridge_common.wire.entries import TranscriptEntry, Turn
from bridge_common.wire.keys import Keys

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class CallContext:
    agents: Agents
    versions: ProfileVersions
    quota: ConnectionQuota
    reader: StreamReader
    writer: StreamWriter
    store: CallStore
    says: AnnouncementStore
    say_reader: StreamReader
    """Reader of announcement streams. It is separate from `reader`, because it sleeps while no text arrives; `reader`
    never sleeps.
    """
    inbox: Inbox
    fleet: Fleet
    leases: Leases
    keys: Keys
    backoff: Backoff = field(default_factory=lambda: Backoff(budget_s=20.0))
    greeting_delay_s: float | None = None
    limits: Limits = field(default_factory=Limits)
    dtmf_interrupts: bool = True
    history_turns: int = 40
    stop_within_s: float = 0.5
    """After a hand-over: how long to wait for the previous owner to store its uplink position."""
    keep_transcripts: bool = True
    references: CallReferences | None = None
    say_forms: tuple[Form, ...] = ()
    """Forms in which announcements are requested. If set, they override those of the connection mode."""
    noting: OutageLogger = field(
        default_factory=lambda: OutageLogger(
            log, begun="failed to access call data in Redis; retrying", over="call data access recovered"
        )
    )
    """Logs failures to access call data. It is shared by all calls, because an outage of Redis affects all of them."""


def was_held(record: CallRecord) -> bool:
    """Return whether another relay has driven this call before, so that the conversation is resumed."""
    return bool(record.greeted or record.conversation_id or record.voice_session_id)


async def begin_conversation(context: CallContext, record: CallRecord, agent: AgentVersion) -> Conversation:
    """Create the conversation of a claimed call, with the state that a previous owner stored. Raises `OutsideError`."""
    resumed = was_held(record)
    metrics.CLAIMS.labels("taken over" if resumed else "new").inc()
    transcript = await context.store.read_whole_transcript(record.call_id) if resumed else []
    if agent.name != record.profile:
        log.warning("unknown profile; using the default", extra=fields(call_id=record.call_id, profile=record.profile))
    plan = session_profile_of(
        agent.profile,
        agent.voice.target,
        greeting_delay_s=context.greeting_delay_s,
        limits=context.limits,
        keys_interrupt=context.dtmf_interrupts,
        keep_transcripts=context.keep_transcripts,
        tools=frozenset(agent.tools),
        say_forms=context.say_forms,
        mcp=agent.mcp,
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
        pending=pending_goodbye(record, transcript),
        transfer=left_transfer(record, transcript),
        parties=parties_of(record),
        reference=await _reference(context, record, plan),
    )


def pending_goodbye(record: CallRecord, transcript: Sequence[TranscriptEntry]) -> PendingGoodbye | None:
    """Return the hang-up or the transfer whose words the caller has not heard. Speech of the agent at the time of the
    request, or later, counts as the words.
    """
    connecting = record.transfer if record.transfer_stage is TransferStage.CONNECTING else ""
    action = next((action for action in record.actions if action.id == (record.closing or connecting)), None)
    if action is None:
        return None
    turns = (one for one in transcript if isinstance(one, Turn) and one.role == "agent")
    ends_ms = [turn.at_ms + max(turn.heard_ms, 0) for turn in turns]
    ends_ms += [saying.at_ms + saying.generated_ms for saying in left_saying(transcript)]
    said = any(end_ms >= action.at_ms for end_ms in ends_ms)
    return PendingGoodbye(action.id, action.by in AGENTS, said, action.kind, action.arguments)


async def _reference(context: CallContext, record: CallRecord, profile: SessionProfile) -> str:
    """Return the call's reference for the tools of a Foundry agent, after storing it for call-control; "" if none is
    needed.
    """
    if not profile.names_call or context.references is None:
        return ""
    reference = record.call_reference or call_reference.mint()
    referred = ReferredCall(record.call_id, tuple(profile.actions), tuple(profile.transfer.targets))
    await context.references.bind(reference, referred)
    return reference
