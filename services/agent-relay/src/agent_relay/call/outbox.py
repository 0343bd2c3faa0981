"""Outbox of a call: its writes to Redis and its tool calls, in order, in a task of the call's own."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Final, Protocol, TypeAlias

from agent_relay import metrics
from agent_relay.call_context import CallContext
from agent_relay.core.announcements.announcement_queue import SAY, outcome_of
from agent_relay.core.dialog.conversation_commands import MarkGreeted, MarkSaid, Ready, Record, RunTool
from agent_relay.tools import run_tool
from bridge_common.base.errors import OutsideError
from bridge_common.base.log import fields
from bridge_common.store.leases import Claim
from bridge_common.wire.entries import InboxEntry, Notice, VoiceLost

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Reporter:
    """Put the entry into call-control's inbox if this relay still owns the call; retry only if `insist`."""

    entry: InboxEntry
    insist: bool = False


Errand: TypeAlias = Record | Ready | MarkGreeted | MarkSaid | RunTool | Reporter
_REDIS_RETRY_S: Final = 0.2


class Answers(Protocol):
    """Receives the answers to commands (the driver of the call)."""

    def greeting_granted(self, granted: bool) -> None: ...

    def tool_answered(self, function_call_id: str, output: str) -> None: ...


class Outbox:
    """`lease_lost` is called when another relay owns the call."""

    def __init__(
        self,
        desk: CallContext,
        claim: Claim,
        answers: Answers,
        lease_lost: Callable[[], None],
        *,
        keeps_transcript: bool,
    ) -> None:
        self._desk = desk
        self._claim = claim
        self._answers = answers
        self._lease_lost = lease_lost
        self._keeps_transcript = keeps_transcript
        self._announced = False
        self._waiting: asyncio.Queue[Errand | None] = asyncio.Queue()

    def put(self, errand: Errand) -> None:
        self._waiting.put_nowait(errand)

    def finish(self) -> None:
        """`run` returns when all that was put is done."""
        self._waiting.put_nowait(None)

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tools:
            while errand := await self._waiting.get():
                match errand:
                    case Record():
                        await self._note(errand)
                    case Ready():
                        await self._insist(partial(self._announce, errand))
                    case MarkGreeted():
                        await self._insist(self._mark_greeted)
                    case MarkSaid():
                        await self._insist(partial(self._mark_said, errand))
                    case Reporter():
                        await self._report(errand)
                    case RunTool():
                        tools.create_task(self._run_tool(errand))

    async def tell_voice_lost(self, reason: str) -> None:
        """Notify call-control and keep the lease until it ends the call, so that no other relay tries the same."""
        await self._insist(partial(self._tell_voice_lost, VoiceLost(self._claim.call_id, self._claim.epoch, reason)))

    async def _tell_voice_lost(self, lost: VoiceLost) -> None:
        if not await self._desk.inbox.put_as_owner(lost, self._desk.leases.owner_text(self._claim)):
            self._lease_lost()

    async def _report(self, errand: Reporter) -> None:
        owner_text = self._desk.leases.owner_text(self._claim)
        put = partial(self._desk.inbox.put_as_owner, errand.entry, owner_text)
        if errand.insist:
            await self._insist(put)
            return
        try:
            await put()
        except OutsideError as error:
            log.warning("report not delivered", extra=fields(call_id=self._claim.call_id, error=error.message))

    async def _note(self, record: Record) -> None:
        entry = record.entry
        if isinstance(entry, Notice):
            log.info("notice", extra=fields(call_id=self._claim.call_id, what=entry.what))
            if entry.what == SAY:
                metrics.count_announcement(outcome_of(entry.detail))
        private = record.private or not self._keeps_transcript
        await self._insist(
            lambda: self._desk.store.append_transcript(self._claim.call_id, entry, private=private),
        )

    async def _announce(self, ready: Ready) -> None:
        claim, desk = self._claim, self._desk
        ours = await desk.store.note_voice(
            claim,
            desk.leases.owner_text(claim),
            conversation_id=ready.conversation_id,
            voice_session_id=ready.session_id,
            voice_resource=ready.resource,
            announced=self._announced,
        )
        if not ours:
            self._lease_lost()
        elif not self._announced:
            self._announced = True
            log.info("voice session ready", extra=fields(call_id=claim.call_id, session_id=ready.session_id))

    async def _mark_greeted(self) -> None:
        granted = await self._desk.store.mark_greeted(self._claim.call_id)
        self._answers.greeting_granted(granted)

    async def _mark_said(self, errand: MarkSaid) -> None:
        await self._desk.says.note_said(
            self._claim,
            self._desk.leases.owner_text(self._claim),
            said=errand.said,
            dropped=errand.dropped,
            keep_from=errand.keep_from,
        )

    async def _run_tool(self, errand: RunTool) -> None:
        output = await run_tool(self._desk.tools, errand.name, errand.arguments)
        self._answers.tool_answered(errand.call_id, output)

    async def _insist(self, attempt: Callable[[], Awaitable[object]]) -> None:
        """Retry until Redis has done it. A refused write is given up, because a retry would be refused again."""
        while True:
            try:
                await attempt()
                self._desk.noting.worked()
                return
            except OutsideError as error:
                if not error.retry:
                    log.warning("not written", extra=fields(call_id=self._claim.call_id, error=error.message))
                    return
                self._desk.noting.failed(call_id=self._claim.call_id, error=error.message)
            await asyncio.sleep(_REDIS_RETRY_S)
