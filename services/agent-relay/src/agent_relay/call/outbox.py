"""Outbox of a call: a task that performs the call's deferred writes to Redis in order, and starts its tool calls."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final, Protocol, TypeAlias

from agent_relay import metrics
from agent_relay.call_context import CallContext
from agent_relay.core.announcements.announcement_queue import SAY, report_of
from agent_relay.core.dialog.conversation_commands import (
    MarkGreeted,
    MarkSaid,
    Ready,
    Record,
    ReportGoodbye,
    ReportScreening,
    RequestAction,
    RunTool,
)
from agent_relay.tools.runner import Tool, ToolCall, run_tool
from bridge_common.base.errors import OutsideError
from bridge_common.base.log import fields
from bridge_common.base.retry import Backoff, retry
from bridge_common.store.leases import Claim
from bridge_common.wire.entries import Act, GoodbyeOver, InboxEntry, Notice, ScreeningOver, VoiceLost

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Reporter:
    """Write the entry to call-control's inbox if this relay still owns the call. Retry after a failure only if
    `insist`.
    """

    entry: InboxEntry
    insist: bool = False


@dataclass(frozen=True, slots=True)
class ForgetKey:
    """Delete the entry of a masked key from the uplink."""

    entry_id: str


Deferred: TypeAlias = (
    Record
    | Ready
    | MarkGreeted
    | MarkSaid
    | RunTool
    | RequestAction
    | ReportGoodbye
    | ReportScreening
    | Reporter
    | ForgetKey
)
_BACKOFF: Final = Backoff.constant(0.2)


class Answers(Protocol):
    """Receives the results of commands. Implemented by `Driver`."""

    def greeting_granted(self, granted: bool) -> None: ...

    def tool_answered(self, function_call_id: str, output: str) -> None: ...


class Outbox:
    """Deferred writes and tool calls of one call. `lease_lost` is called when another relay owns the call."""

    def __init__(
        self,
        context: CallContext,
        claim: Claim,
        answers: Answers,
        lease_lost: Callable[[], None],
        *,
        keeps_transcript: bool,
        tools: Mapping[str, Tool],
        profile_version: str,
        call_reference: str = "",
    ) -> None:
        self._tools = tools
        self._profile_version = profile_version
        self._call_reference = call_reference
        self._context = context
        self._claim = claim
        self._answers = answers
        self._lease_lost = lease_lost
        self._keeps_transcript = keeps_transcript
        self._announced = False
        self._queue: asyncio.Queue[Deferred | None] = asyncio.Queue()

    def put(self, item: Deferred) -> None:
        self._queue.put_nowait(item)

    def finish(self) -> None:
        self._queue.put_nowait(None)

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tools:
            while item := await self._queue.get():
                match item:
                    case Record():
                        await self._write_record(item)
                    case Ready():
                        await self._insist(partial(self._write_session, item))
                    case MarkGreeted():
                        await self._insist(self._mark_greeted)
                    case MarkSaid():
                        await self._insist(partial(self._mark_said, item))
                    case RequestAction():
                        act = Act(self._claim.call_id, item.action_id, item.action, item.arguments, item.by)
                        await self._insist(partial(self._put, act))
                    case ReportGoodbye():
                        over = GoodbyeOver(self._claim.call_id, item.action_id, item.outcome)
                        await self._insist(partial(self._put, over))
                    case ReportScreening():
                        screened = ScreeningOver(self._claim.call_id, item.action_id, item.outcome)
                        await self._insist(partial(self._put, screened))
                    case Reporter():
                        await self._report(item)
                    case ForgetKey():
                        await self._insist(partial(self._context.store.forget_key, self._claim.call_id, item.entry_id))
                    case RunTool():
                        tools.create_task(self._run_tool(item))

    async def report_voice_lost(self, reason: str) -> None:
        """Report to call-control that the call has no voice session. The lease is kept until call-control ends the
        call, so that no other relay claims the call and fails in the same way.
        """
        await self._insist(partial(self._put_voice_lost, VoiceLost(self._claim.call_id, self._claim.epoch, reason)))

    async def _put_voice_lost(self, lost: VoiceLost) -> None:
        if not await self._put(lost):
            self._lease_lost()

    def _put(self, entry: InboxEntry) -> Awaitable[bool]:
        return self._context.inbox.put_as_owner(entry, self._context.leases.owner_text(self._claim))

    async def _report(self, reporter: Reporter) -> None:
        if reporter.insist:
            await self._insist(partial(self._put, reporter.entry))
            return
        try:
            await self._put(reporter.entry)
        except OutsideError as error:
            log.warning(
                "failed to report to call-control", extra=fields(call_id=self._claim.call_id, error=error.message)
            )

    async def _write_record(self, record: Record) -> None:
        entry = record.entry
        if isinstance(entry, Notice):
            log.info("transcript notice recorded", extra=fields(call_id=self._claim.call_id, what=entry.what))
            if entry.what == SAY:
                metrics.count_announcement(report_of(entry).outcome)
        private = record.private or not self._keeps_transcript
        await self._insist(
            lambda: self._context.store.append_transcript(self._claim.call_id, entry, private=private),
        )

    async def _write_session(self, ready: Ready) -> None:
        claim, context = self._claim, self._context
        ours = await context.store.note_voice(
            claim,
            context.leases.owner_text(claim),
            conversation_id=ready.conversation_id,
            voice_session_id=ready.session_id,
            voice_resource=ready.resource,
            profile_version=self._profile_version,
            call_reference=self._call_reference,
            announced=self._announced,
        )
        if not ours:
            self._lease_lost()
        elif not self._announced:
            self._announced = True
            log.info("voice session ready", extra=fields(call_id=claim.call_id, session_id=ready.session_id))

    async def _mark_greeted(self) -> None:
        granted = await self._context.store.mark_greeted(self._claim.call_id)
        self._answers.greeting_granted(granted)

    async def _mark_said(self, mark: MarkSaid) -> None:
        await self._context.says.note_said(
            self._claim,
            self._context.leases.owner_text(self._claim),
            said=mark.said,
            dropped=mark.dropped,
            keep_from=mark.keep_from,
        )

    async def _run_tool(self, item: RunTool) -> None:
        call_id = self._claim.call_id
        call = ToolCall(f"{call_id}:{item.call_id}", call_id, item.arguments, item.typed)
        self._answers.tool_answered(item.call_id, await run_tool(self._tools, item.name, call))

    async def _insist(self, attempt: Callable[[], Awaitable[object]]) -> None:
        """Retry while Redis is unavailable. A write that Redis rejects is dropped, because Redis would reject
        it again.
        """
        try:
            await retry(attempt, _BACKOFF, OutsideError, on_failure=self._on_failure)
        except OutsideError as error:
            log.warning(
                "Redis rejected a write; dropping it", extra=fields(call_id=self._claim.call_id, error=error.message)
            )
        else:
            self._context.noting.worked()

    def _on_failure(self, error: OutsideError, _: float) -> None:
        self._context.noting.failed(call_id=self._claim.call_id, error=error.message)
