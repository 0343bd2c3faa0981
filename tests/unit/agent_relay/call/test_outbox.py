from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

import pytest

from agent_relay.call.outbox import ForgetKey, Outbox, Reporter
from agent_relay.call_context import CallContext
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
from agent_relay.core.dialog.typed_digits import TypedDigits
from agent_relay.tools.runner import Tool, ToolCall
from bridge_common.base.errors import OutsideError
from bridge_common.base.outage_logger import OutageLogger
from bridge_common.store.leases import Claim
from bridge_common.wire.entries import (
    Act,
    GoodbyeOver,
    InboxEntry,
    MediaOpen,
    Notice,
    ScreeningOver,
    TranscriptEntry,
    UplinkMissed,
    VoiceLost,
)

CLAIM = Claim("call_1", 7)


@dataclass
class Redis:
    """A store, an inbox and leases that record the writes, and fail `fails` times."""

    done: list[object] = field(default_factory=list)
    fails: int = 0
    retry: bool = True
    ours: bool = True

    def _reached(self, what: object) -> None:
        if self.fails:
            self.fails -= 1
            raise OutsideError("Redis is unavailable", retry=self.retry)
        self.done.append(what)

    async def append_transcript(self, call_id: str, entry: TranscriptEntry, *, private: bool) -> None:
        self._reached(("private", entry) if private else entry)

    async def note_voice(
        self,
        claim: Claim,
        owner: str,
        *,
        conversation_id: str,
        voice_session_id: str,
        voice_resource: str,
        announced: bool,
        profile_version: str = "",
        call_reference: str = "",
    ) -> bool:
        self._reached((claim, owner, conversation_id, voice_session_id, "again" if announced else "announced"))
        return self.ours

    async def forget_key(self, call_id: str, entry_id: str) -> None:
        self._reached(f"forgot {entry_id} of {call_id}")

    async def mark_greeted(self, call_id: str) -> bool:
        self._reached("greeted")
        return True

    async def note_said(self, claim: Claim, owner: str, *, said: str, dropped: str, keep_from: str) -> bool:
        self._reached((said, dropped, keep_from))
        return self.ours

    async def put_as_owner(self, entry: InboxEntry, owner: str) -> bool:
        self._reached(entry)
        return self.ours

    def owner_text(self, claim: Claim) -> str:
        return f"me|{claim.epoch}"


@dataclass
class Answers:
    """A driver that records the answers."""

    received: list[str] = field(default_factory=list)

    def greeting_granted(self, granted: bool) -> None:
        self.received.append(f"greeting {granted}")

    def tool_answered(self, function_call_id: str, output: str) -> None:
        self.received.append(f"{function_call_id} {output}")


@dataclass
class Stage:
    redis: Redis
    outbox: Outbox
    answers: list[str]
    lost: list[str]

    async def run(self, *items: Any) -> None:
        for item in items:
            self.outbox.put(item)
        self.outbox.finish()
        await asyncio.wait_for(self.outbox.run(), 5)


def _stage(*, keeps_transcript: bool = True, **redis: Any) -> Stage:
    one = Redis(**redis)

    async def answer(call: ToolCall) -> str:
        typed = f"; {call.typed.argument} typed" if call.typed and call.typed.digits == "471147" else ""
        return f"<{call.arguments}> of {call.key}{typed}"

    noting = OutageLogger(logging.getLogger("outbox"), "writing of calls")
    context = SimpleNamespace(store=one, says=one, inbox=one, leases=one, noting=noting)
    answers = Answers()
    lost: list[str] = []
    outbox = Outbox(
        cast(CallContext, context),
        CLAIM,
        answers,
        lambda: lost.append("lease"),
        keeps_transcript=keeps_transcript,
        tools={"look": Tool(answer)},
        profile_version="5d41402abc4b",
    )
    return Stage(one, outbox, answers.received, lost)


def _notice(what: str) -> Record:
    return Record(Notice(what, "", 1))


@pytest.mark.parametrize("keeps", [True, False])
async def test_readers_of_the_transcript_do_not_see_private_entries(keeps: bool) -> None:
    stage = _stage(keeps_transcript=keeps)
    await stage.run(_notice("a"), Record(Notice("b", "", 1), private=True))
    first: object = Notice("a", "", 1)
    assert stage.redis.done == [first if keeps else ("private", first), ("private", Notice("b", "", 1))]


async def test_items_are_done_in_order_and_all_before_the_end() -> None:
    stage = _stage()
    await stage.run(_notice("a"), Ready("sess_1", "conv_1"), _notice("b"), MarkGreeted())
    assert stage.redis.done == [
        Notice("a", "", 1),
        (CLAIM, "me|7", "conv_1", "sess_1", "announced"),
        Notice("b", "", 1),
        "greeted",
    ]
    assert stage.answers == ["greeting True"]


async def test_call_control_is_notified_once_of_the_first_voice_session() -> None:
    stage = _stage()
    await stage.run(Ready("sess_1", ""), Ready("sess_2", ""))
    assert stage.redis.done == [
        (CLAIM, "me|7", "", "sess_1", "announced"),
        (CLAIM, "me|7", "", "sess_2", "again"),
    ]


async def test_a_lost_lease_is_noticed() -> None:
    stage = _stage(ours=False)
    await stage.run(Ready("sess_1", ""))
    assert stage.lost == ["lease"]


async def test_a_failed_write_is_retried() -> None:
    stage = _stage(fails=2)
    await stage.run(_notice("a"), _notice("b"))
    assert stage.redis.done == [Notice("a", "", 1), Notice("b", "", 1)]


async def test_a_refused_write_is_dropped() -> None:
    stage = _stage(fails=1, retry=False)
    await stage.run(_notice("a"), _notice("b"))
    assert stage.redis.done == [Notice("b", "", 1)]


async def test_tools_run_beside_the_rest() -> None:
    stage = _stage()
    await stage.run(RunTool("c1", "look", "{}"), _notice("a"))
    assert stage.answers == ["c1 <{}> of call_1:c1"]


async def test_a_masked_key_is_deleted_also_after_an_outage() -> None:
    stage = _stage(fails=1)
    await stage.run(ForgetKey("5-1"))
    assert stage.redis.done == ["forgot 5-1 of call_1"]


async def test_what_the_caller_typed_reaches_the_tool_only() -> None:
    stage = _stage()
    await stage.run(RunTool("f1", "look", "{}", TypedDigits("pin", "471147")))
    assert stage.answers == ["f1 <{}> of call_1:f1; pin typed"]
    assert "471147" not in str(stage.redis.done)


async def test_actions_and_goodbyes_go_to_the_inbox() -> None:
    stage = _stage(fails=1)
    await stage.run(RequestAction("fn_1", "hang_up", "{}", "agent"), ReportGoodbye("fn_1", "heard"))
    assert stage.redis.done == [Act("call_1", "fn_1", "hang_up", "{}", "agent"), GoodbyeOver("call_1", "fn_1", "heard")]


async def test_the_outcome_of_a_screening_goes_to_the_inbox() -> None:
    stage = _stage(fails=1)
    await stage.run(ReportScreening("act_1", "confirmed"))
    assert stage.redis.done == [ScreeningOver("call_1", "act_1", "confirmed")]


async def test_a_lost_voice_goes_to_the_inbox() -> None:
    stage = _stage(fails=1)
    await stage.outbox.report_voice_lost("gone")
    assert stage.redis.done == [VoiceLost("call_1", 7, "gone")]
    assert not stage.lost


async def test_a_relay_without_the_lease_does_not_end_the_call() -> None:
    stage = _stage(ours=False)
    await stage.outbox.report_voice_lost("gone")
    assert stage.lost == ["lease"]


async def test_progress_of_announcements_is_written_until_redis_has_it_and_a_refusal_is_no_lost_lease() -> None:
    stage = _stage(fails=1, ours=False)
    await stage.run(MarkSaid("say_1:14", "say_0", "5-0"))
    assert stage.redis.done == [("say_1:14", "say_0", "5-0")]
    assert stage.lost == [], "the next renewal of the lease shows that"


async def test_a_missed_uplink_is_reported_once_and_its_return_until_redis_has_it() -> None:
    """A late report would concern a gateway that has recovered; the next report follows within a second."""
    stage = _stage(fails=1)
    await stage.run(Reporter(UplinkMissed("call_1", 9)))
    assert stage.redis.done == []
    stage.redis.fails = 2
    await stage.run(Reporter(MediaOpen("call_1", 9), insist=True))
    assert stage.redis.done == [MediaOpen("call_1", 9)]


async def test_a_report_that_is_not_ours_to_make_is_no_lost_lease() -> None:
    """The call may be claimed by another relay while this one still speaks in it."""
    stage = _stage(ours=False)
    await stage.run(Reporter(UplinkMissed("call_1", 9)))
    assert stage.lost == []
