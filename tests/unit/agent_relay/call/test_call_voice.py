"""The budget for winning a voice session back."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import cast

import pytest

from agent_relay.call.call_trace import CallTrace
from agent_relay.call.call_voice import CallVoice, VoiceEvents
from agent_relay.call_context import CallContext
from bridge_common.base.errors import BridgeError, OutsideError
from bridge_common.base.retry import Backoff
from bridge_common.wire.call_record import CallRecord, Status
from tests.unit.support.talk import profile_for

BUDGET_S = 20.0


@dataclass
class Flapping:
    """A resource whose sessions all end `lasts_s` after they were ready, and the clock that this moves."""

    lasts_s: float
    refused_after: int = 1000
    """From this session on none is opened any more, and every attempt takes `lasts_s`."""
    now: float = 100.0
    sessions: int = 0
    many: asyncio.Event = field(default_factory=asyncio.Event)

    def voice(self, monkeypatch: pytest.MonkeyPatch) -> CallVoice:
        desk = cast(CallContext, SimpleNamespace(backoff=Backoff(first_s=0.0, most_s=0.0, budget_s=BUDGET_S)))
        events = cast(VoiceEvents, SimpleNamespace(voice_event=lambda _: None, session_lost=lambda _: None))
        trace = cast(CallTrace, SimpleNamespace(following=lambda follower: follower))
        record = CallRecord(call_id="call_1", status=Status.CONNECTED, voice_session_id="sess_0")
        voice = CallVoice(desk, record, profile_for(), trace, events)
        monkeypatch.setattr(voice, "_now", lambda: self.now)

        async def one_session() -> BridgeError:
            voice._ready_since = self.now if self.sessions < self.refused_after else None
            self.now += self.lasts_s
            self.sessions += 1
            if self.sessions == 100:
                self.many.set()
            return OutsideError("dropped", retry=True)

        monkeypatch.setattr(voice, "_one_session", one_session)
        return voice


async def test_a_resource_that_flaps_does_not_renew_the_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    flapping = Flapping(lasts_s=4.0)
    why = await asyncio.wait_for(flapping.voice(monkeypatch).hold(), 5)
    assert why == "dropped"
    assert flapping.sessions == 1 + BUDGET_S / 4.0, "the budget counts from the first loss"


async def test_a_session_that_lasted_renews_the_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    flapping = Flapping(lasts_s=6.0)
    holding = asyncio.create_task(flapping.voice(monkeypatch).hold())
    await asyncio.wait_for(flapping.many.wait(), 5)
    assert not holding.done()
    holding.cancel()
    await asyncio.gather(holding, return_exceptions=True)


@pytest.mark.parametrize(("sessions", "lost"), [(0, 0), (1, 1)])
async def test_attempts_in_a_row_are_two_lines_in_the_log(
    sessions: int, lost: int, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A spent quota is asked several times in a second while a phone rings."""
    caplog.set_level("INFO", logger="agent_relay.call.call_voice")
    flapping = Flapping(lasts_s=1.0, refused_after=sessions)
    await asyncio.wait_for(flapping.voice(monkeypatch).hold(), 5)
    assert flapping.sessions > 15
    messages = [record.message for record in caplog.records]
    assert messages == ["voice session lost"] * lost + ["voice session not opened"] * 2
