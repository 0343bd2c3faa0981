"""Speech that the caller is owed, with a service that is slow, silent or over its quota: in the end it is heard.

Each fault of the simulated Voice Live is played in each form that it could take on the wire.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any, Final

import pytest

from agent_relay.core.agent_profile import AgentProfile, Greeting
from agent_relay.core.connection import Mode, Target
from agent_relay.core.debt import Limits
from bridge_common.audio import FRAME_MS, ms_of_bytes
from bridge_common.entries import (
    Audio,
    AudioFrame,
    Clear,
    Dtmf,
    ItemEnd,
    Notice,
    Played,
    Playing,
    VoiceLost,
    VoiceReady,
)
from bridge_common.redis_clients import RedisClients
from bridge_common.telemetry import REGISTRY
from eventually import eventually
from lab.speech import synthesize
from lab.voice_live.agent_script import AFTER_THE_SCRIPT
from lab.voice_live.settings import DEFAULT_API_KEY
from relay_call import Call, calls, relay_process
from simulators import Simulator, control_of, simulator, simulator_process

GREETING: Final = "Welcome to Contoso."
FIRST: Final = "It is on its way and will arrive tomorrow before noon."
SECOND: Final = "Main Street."
FALLBACK: Final = "Sorry, could you say that again?"
AGENT: Final = {
    "mode": "script",
    "greeting": GREETING,
    "replies": [{"heard": "Where is my order?", "say": FIRST}, {"heard": "Which street?", "say": SECOND}],
}
PROFILE: Final = AgentProfile(greeting=Greeting(say_how="Greet the caller."), fallback_text=FALLBACK)
SHORT: Final = Limits(start_s=0.8, patience_s=2.0, fallback_s=2.0)
"""For faults that only time shows. All others are tested with the default limits, which no test lasts for."""
SERVER_ERROR: Final = {"type": "server_error", "code": None}
NEVER: Final = {"delay_s": 600}
ONCE: Final = {"times": 1}
FAST: Final = {"REPLY_DELAY_S": "0.02", "SESSION_SETUP_S": "0.01"}

Overdue = list[tuple[str, str]]


class Line:
    """A call whose caller hears what is said, and what operators see of it."""

    def __init__(self, call: Call, voice_live: Simulator, sessions_before: int) -> None:
        self.call = call
        self.voice_live = voice_live
        self._sessions_before = sessions_before
        self._counted_before = _counted()
        self._begun: list[str] = []

    async def begin(self, *, agent: Mapping[str, object] = AGENT, **faults: object) -> None:
        await self.voice_live.put("/lab/agent", agent)
        await self.now(**faults)
        await self.call.begin()
        await self.call.told(VoiceReady)
        await self.call.attach()
        self.call.speak()

    async def now(self, **faults: object) -> None:
        await self.voice_live.put("/lab/faults", faults)

    # -- the caller
    async def asks(self) -> None:
        """Words and the silence after them, faster than they would be spoken. The script knows what they are."""
        pcm = synthesize("Hello there", 24_000) + bytes(48 * 1000)
        size = 48 * FRAME_MS
        for at in range(0, len(pcm) - size, size * 40):
            frames = range(at, min(at + size * 40, len(pcm) - size), size)
            self.call.send(*[AudioFrame(pcm[i : i + size]) for i in frames])
            await self.call.flush()

    async def begins_to_hear(self) -> str:
        """The first sound of the agent's next item is played; the item's id."""
        item_id = await eventually(lambda: next(iter(self._unheard()), ""), what="audio on the downlink")
        self._begun.append(item_id)
        self.call.send(Playing(item_id))
        return item_id

    async def hears(self) -> None:
        """The agent's next item, to its end."""
        item_id = await self.begins_to_hear()
        await eventually(lambda: any(_is_of(end, item_id) for end in self.call.of(ItemEnd)), what="the item's end")
        audio = (e.pcm24k for e in self.call.downlink if isinstance(e, Audio) and e.item_id == item_id)
        self.call.send(Played(item_id, int(ms_of_bytes(sum(map(len, audio)), 24_000)), True))

    def _unheard(self) -> list[str]:
        return [e.item_id for e in self.call.downlink if isinstance(e, Audio) and e.item_id not in self._begun]

    # -- what came of it
    async def ends(self, *agent_said: str, overdue: Overdue, sessions: int = 1) -> None:
        """The agent was heard with these words and no others."""

        async def written_down() -> bool:
            return len(await self._agent_said()) >= len(agent_said) and len(await self.overdue()) >= len(overdue)

        await eventually(written_down)
        assert await self._agent_said() == list(agent_said)
        assert not self._unheard()
        assert await self.overdue() == overdue
        assert _counted() - self._counted_before == Counter(overdue)
        assert len(await self.sessions()) == sessions
        await self.call.end()

    async def _agent_said(self) -> list[str]:
        turns = sorted(await self.call.turns(), key=lambda turn: turn.at_ms)
        return [turn.text for turn in turns if turn.role == "agent"]

    async def overdue(self) -> Overdue:
        """Kind and outcome of each notice."""
        entries = [entry for _, entry in await self.call.store.read_transcript(self.call.call_id)]
        details = [entry.detail for entry in entries if isinstance(entry, Notice) and entry.what == "speech_overdue"]
        return [(detail.partition(":")[0], detail.rpartition("; ")[2]) for detail in details]

    async def sessions(self) -> list[dict[str, Any]]:
        found = (await self.voice_live.get("/lab/sessions"))["sessions"]
        assert isinstance(found, list)
        return found[self._sessions_before :]

    async def timeline(self, event: str) -> list[dict[str, Any]]:
        """What the service did in all sessions of the call."""
        whole = [await self.voice_live.get(f"/lab/sessions/{one['id']}") for one in await self.sessions()]
        rows: list[dict[str, Any]] = [row for session in whole for row in session["timeline"]]  # type: ignore[attr-defined]
        return [row for row in rows if row["event"] == event]


def _is_of(end: object, item_id: str) -> bool:
    return isinstance(end, ItemEnd) and end.item_id == item_id


def _counted() -> Counter[tuple[str, str]]:
    """`bridge_relay_overdue_speech_total` by kind and outcome."""
    samples = [sample for metric in REGISTRY.collect() for sample in metric.samples]
    counted = [sample for sample in samples if sample.name == "bridge_relay_overdue_speech_total"]
    return Counter({(one.labels["kind"], one.labels["outcome"]): int(one.value) for one in counted})


def model(voice_live: Simulator) -> Target:
    return Target(
        mode=Mode.MODEL, endpoint=voice_live.url, api_version="2026-07-15", model="gpt-4.1", api_key=DEFAULT_API_KEY
    )


@pytest.fixture(scope="module")
def voice_live_port() -> Iterator[int]:
    with simulator_process("voice-live", **FAST, SPEED="0") as port:
        yield port


@pytest.fixture
async def voice_live(voice_live_port: int) -> AsyncIterator[Simulator]:
    """One process for all tests of this module: each replaces its faults and its agent."""
    async with control_of(voice_live_port) as running:
        yield running


@pytest.fixture
async def line(clients: RedisClients, voice_live: Simulator) -> AsyncIterator[Line]:
    async with calls(clients) as ten:
        yield await line_on(ten[0], voice_live)


async def line_on(call: Call, voice_live: Simulator) -> Line:
    before = (await voice_live.get("/lab/sessions"))["sessions"]
    assert isinstance(before, list)
    return Line(call, voice_live, len(before))


# -- responses
SILENT: Final = ("text", "transcript", "empty")
AGAIN: Final = "asked_again"


@pytest.mark.parametrize("form", SILENT)
async def test_a_greeting_without_audio_is_asked_for_again(clients: RedisClients, line: Line, form: str) -> None:
    async with relay_process(clients, model(line.voice_live), profile=PROFILE):
        await line.begin(response_silent={"form": form, **ONCE})
        await line.hears()
        await line.asks()
        await line.hears()
        await line.ends(GREETING, FIRST, overdue=[("greeting", AGAIN)])


@pytest.mark.parametrize("form", SILENT)
async def test_an_answer_without_audio_is_asked_for_again(clients: RedisClients, line: Line, form: str) -> None:
    async with relay_process(clients, model(line.voice_live), profile=PROFILE):
        await line.begin()
        await line.hears()
        await line.now(response_silent={"form": form, **ONCE})
        await line.asks()
        await line.hears()
        await line.asks()
        await line.hears()
        await line.ends(GREETING, FIRST, SECOND, overdue=[("words", AGAIN)])


@pytest.mark.parametrize("form", SILENT)
async def test_an_answer_without_audio_after_a_tool(clients: RedisClients, line: Line, form: str) -> None:
    runs: list[str] = []

    async def look_up(arguments: str) -> str:
        runs.append(arguments)
        return "found"

    reply = {"heard": "Where is my order?", "call": {"name": "lookup", "arguments": {"id": 7}}, "say": FIRST}
    async with relay_process(clients, model(line.voice_live), profile=PROFILE, tools={"lookup": look_up}):
        await line.begin(agent={**AGENT, "replies": [reply]})
        await line.hears()
        await line.now(response_silent={"form": form, **ONCE})
        await line.asks()
        await line.hears()
        assert runs == ['{"id": 7}']
        await line.ends(GREETING, FIRST, overdue=[("words", AGAIN)])


@pytest.mark.parametrize("form", SILENT)
async def test_an_agent_that_stays_silent_is_given_up(clients: RedisClients, line: Line, form: str) -> None:
    async with relay_process(clients, model(line.voice_live), profile=PROFILE):
        await line.begin()
        await line.hears()
        await line.now(response_silent={"form": form})
        await line.asks()
        lost = await line.call.told(VoiceLost)
        assert isinstance(lost, VoiceLost)
        assert lost.reason == "nothing is heard of the agent: words: no audio"
        assert len(await line.timeline("response_created")) == 1 + 3, "the answer twice, the fallback text once"
        await line.ends(GREETING, overdue=[("words", AGAIN), ("words", "fallback"), ("words", "given_up")])


async def test_the_fallback_text_is_spoken(clients: RedisClients, line: Line) -> None:
    async with relay_process(clients, model(line.voice_live), profile=PROFILE):
        await line.begin()
        await line.hears()
        await line.now(response_silent={"form": "empty", "times": 2})
        await line.asks()
        await line.hears()
        await line.asks()
        await line.hears()
        await line.ends(GREETING, FALLBACK, SECOND, overdue=[("words", AGAIN), ("words", "fallback")])


@pytest.mark.parametrize("form", SILENT)
async def test_an_answer_without_audio_of_azure_openai_ga(clients: RedisClients, line: Line, form: str) -> None:
    target = Target(
        mode=Mode.AZURE_OPENAI_GA,
        endpoint=line.voice_live.url,
        api_version="v1",
        deployment="my-realtime",
        api_key=DEFAULT_API_KEY,
    )
    async with relay_process(clients, target, profile=PROFILE):
        await line.begin()
        await line.hears()
        await line.now(response_silent={"form": form, **ONCE})
        await line.asks()
        await line.hears()
        await line.ends(GREETING, FIRST, overdue=[("words", AGAIN)])


async def test_an_agent_that_works_long_is_waited_for(clients: RedisClients, line: Line) -> None:
    """Longer than a response may take to begin."""
    limits = Limits(start_s=0.5, patience_s=30.0, fallback_s=2.0)
    async with relay_process(clients, model(line.voice_live), profile=PROFILE, limits=limits):
        await line.begin()
        await line.hears()
        await line.now(response_slow={"delay_s": 1.5, **ONCE})
        await line.asks()
        await line.hears()
        assert len(await line.timeline("response_created")) == 2
        await line.ends(GREETING, FIRST, overdue=[])


async def test_a_response_that_only_appears_with_its_answer_is_not_asked_for_twice(
    clients: RedisClients, line: Line
) -> None:
    """The request meets the response that is under way, and waits for it."""
    limits = Limits(start_s=0.5, patience_s=30.0, fallback_s=2.0)
    async with relay_process(clients, model(line.voice_live), profile=PROFILE, limits=limits):
        await line.begin()
        await line.hears()
        await line.now(response_slow={"delay_s": 1.5, "created": "late", **ONCE})
        await line.asks()
        await line.hears()
        assert len(await line.timeline("response_created")) == 2
        codes = [row["code"] for row in await line.timeline("error_sent")]
        assert codes.count("conversation_already_has_active_response") == 1
        await line.ends(GREETING, FIRST, overdue=[("words", AGAIN)])


@pytest.mark.parametrize("created", ["early", "late"])
async def test_a_response_that_never_comes_costs_one_session(clients: RedisClients, line: Line, created: str) -> None:
    async with relay_process(clients, model(line.voice_live), profile=PROFILE, limits=SHORT):
        await line.begin(response_slow={**NEVER, "created": created, **ONCE})
        await line.hears()
        await line.asks()
        await line.hears()
        await line.ends(GREETING, FIRST, overdue=[("greeting", AGAIN)], sessions=2)


# -- requests
@pytest.mark.parametrize("named", [True, False])
@pytest.mark.parametrize(
    "error",
    [
        SERVER_ERROR,
        {"type": "server_error", "code": "internal_error"},
        {"type": "invalid_request_error", "code": "invalid_value"},
        {"type": "invalid_request_error", "code": None},
    ],
    ids=lambda error: f"{error['type']}-{error['code']}",
)
async def test_a_refused_request_is_sent_again(
    clients: RedisClients, line: Line, error: dict[str, object], named: bool
) -> None:
    async with relay_process(clients, model(line.voice_live), profile=PROFILE):
        await line.begin(request_error={**error, "named": named, **ONCE})
        await line.hears()
        await line.now(request_error={**error, "named": named, **ONCE})
        line.call.send(Dtmf("1"), Dtmf("#"))
        await line.hears()
        assert (await line.call.notices()).count("request_refused") == 2
        await line.ends(GREETING, FIRST, overdue=[("greeting", AGAIN), ("keys", AGAIN)])


async def test_a_form_of_greeting_that_is_refused_is_no_failure(clients: RedisClients, line: Line) -> None:
    refusal = {"type": "invalid_request_error", "code": "invalid_value", "named": True, **ONCE}
    profile = AgentProfile(greeting=Greeting(text=GREETING))
    async with relay_process(clients, model(line.voice_live), profile=profile):
        await line.begin(request_error=refusal)
        await line.hears()
        await line.ends(GREETING, overdue=[])


async def test_an_unanswered_request_costs_one_session(clients: RedisClients, line: Line) -> None:
    async with relay_process(clients, model(line.voice_live), profile=PROFILE, limits=SHORT):
        await line.begin(request_ignored=ONCE)
        await line.hears()
        await line.asks()
        await line.hears()
        await line.ends(GREETING, FIRST, overdue=[("greeting", AGAIN)], sessions=2)


async def test_a_service_that_answers_no_request_is_given_up(clients: RedisClients, line: Line) -> None:
    async with relay_process(clients, model(line.voice_live), profile=PROFILE, limits=SHORT):
        await line.begin(request_ignored={})
        await line.call.told(VoiceLost)
        overdue = [("greeting", AGAIN), ("greeting", "fallback"), ("greeting", "given_up")]
        assert len(await line.timeline("request_ignored")) == 3
        await line.ends(overdue=overdue, sessions=2)


# -- quotas
QUOTAS: Final = (
    {"code": "rate_limit_exceeded", "type": "requests", "message": "Rate limit reached. Please try again in 200ms."},
    {"code": "rate_limit_exceeded", "type": "tokens", "message": "Rate limit reached. Please try again in 0.2s."},
    {"code": None, "type": "rate_limit_exceeded", "message": "Please retry after 1 seconds."},
    {"code": "429", "type": "invalid_request_error", "message": "Requests have exceeded the call rate limit."},
    {"code": "too_many_requests", "type": "server_error", "message": ""},
)


@pytest.mark.parametrize("form", ["done", "both"])
@pytest.mark.parametrize("quota", QUOTAS, ids=lambda quota: quota["message"][-12:] or "no hint")
async def test_an_answer_is_asked_for_again_after_the_quotas_wait(
    clients: RedisClients, line: Line, quota: dict[str, object], form: str
) -> None:
    async with relay_process(clients, model(line.voice_live), profile=PROFILE):
        await line.begin()
        await line.hears()
        await line.now(response_failed={**quota, "form": form, **ONCE})
        await line.asks()
        await line.hears()
        await line.asks()
        await line.hears()
        await line.ends(GREETING, FIRST, SECOND, overdue=[("words", "put_off")])


@pytest.mark.parametrize("named", [True, False])
@pytest.mark.parametrize("quota", QUOTAS[:3], ids=lambda quota: quota["message"][-12:])
async def test_a_request_is_sent_again_after_the_quotas_wait(
    clients: RedisClients, line: Line, quota: dict[str, object], named: bool
) -> None:
    async with relay_process(clients, model(line.voice_live), profile=PROFILE):
        await line.begin(request_error={**quota, "named": named, **ONCE})
        await line.hears()
        await line.asks()
        await line.hears()
        await line.ends(GREETING, FIRST, overdue=[("greeting", "put_off")])


async def test_an_error_instead_of_the_answer_is_borne(clients: RedisClients, line: Line) -> None:
    """Nobody had asked for that response: the error names nothing, and no request is under way."""
    async with relay_process(clients, model(line.voice_live), profile=PROFILE, limits=SHORT):
        await line.begin()
        await line.hears()
        await line.now(response_failed={**QUOTAS[1], "form": "error", **ONCE})
        await line.asks()
        await line.hears()
        await line.asks()
        await line.hears()
        await line.ends(GREETING, FIRST, SECOND, overdue=[("words", AGAIN)])


@pytest.mark.parametrize("form", ["done", "error", "both"])
async def test_a_quota_that_lasts_ends_a_running_call_on_the_same_session(
    clients: RedisClients, line: Line, form: str
) -> None:
    """The greeting was heard before the quota was spent."""
    limits = Limits(start_s=0.8, patience_s=1.5, fallback_s=2.0)
    async with relay_process(clients, model(line.voice_live), profile=PROFILE, limits=limits):
        await line.begin()
        await line.hears()
        await line.now(response_failed={**QUOTAS[3], "form": form})
        await line.asks()
        await line.call.told(VoiceLost)
        first = AGAIN if form == "error" else "put_off"
        overdue = [("words", first), ("words", "fallback"), ("words", "given_up")]
        await line.ends(GREETING, overdue=overdue)


@pytest.mark.parametrize("form", ["done", "error", "both"])
async def test_a_quota_that_lasts_is_given_up_on_the_same_session(clients: RedisClients, line: Line, form: str) -> None:
    limits = Limits(start_s=0.8, patience_s=1.5, fallback_s=2.0)
    async with relay_process(clients, model(line.voice_live), profile=PROFILE, limits=limits):
        await line.begin(response_failed={**QUOTAS[3], "form": form})
        await line.call.told(VoiceLost)
        asked = await line.timeline("error_sent" if form == "error" else "response_created")
        assert len([row for row in asked if row.get("code") in (None, "429")]) == 3
        overdue = [("greeting", "put_off"), ("greeting", "fallback"), ("greeting", "given_up")]
        await line.ends(overdue=overdue)


# -- noises
@pytest.mark.parametrize("transcription", ["completed", "failed"])
async def test_nothing_is_owed_for_a_noise(clients: RedisClients, line: Line, transcription: str) -> None:
    async with relay_process(clients, model(line.voice_live), profile=PROFILE, limits=SHORT):
        await line.begin()
        await line.hears()
        await line.now(no_words={"transcription": transcription, **ONCE})
        await line.asks()
        await eventually(lambda: line.timeline("no_words"))
        await line.asks()
        await line.hears()
        assert len(await line.timeline("response_created")) == 2
        await line.ends(GREETING, FIRST, overdue=[])


async def test_speech_that_nothing_follows_is_answered(clients: RedisClients, line: Line) -> None:
    """Without a transcript it may have been words."""
    async with relay_process(clients, model(line.voice_live), profile=PROFILE, limits=SHORT):
        await line.begin()
        await line.hears()
        await line.now(no_words={"transcription": "never", **ONCE})
        await line.asks()
        await line.hears()
        await line.asks()
        await line.hears()
        await line.ends(GREETING, AFTER_THE_SCRIPT, FIRST, overdue=[("words", AGAIN)])


@pytest.mark.parametrize("speed", ["0", "2"])
@pytest.mark.parametrize("transcription", ["completed", "failed"])
async def test_what_a_noise_cut_off_goes_on(clients: RedisClients, transcription: str, speed: str) -> None:
    """`speed` 0: the whole answer has come and is being played; 2: the noise cancels its response."""
    async with (
        simulator("voice-live", **FAST, SPEED=speed) as voice_live,
        calls(clients) as ten,
        relay_process(clients, model(voice_live), profile=PROFILE),
    ):
        line = await line_on(ten[0], voice_live)
        await line.begin()
        await line.hears()
        await line.asks()
        cut_off = await line.begins_to_hear()
        await line.now(no_words={"transcription": transcription, **ONCE})
        await line.asks()
        await eventually(lambda: line.call.of(Clear))
        line.call.send(Played(cut_off, 300, False))
        await line.hears()
        part = await eventually(lambda: _text_of(line, cut_off))
        assert FIRST.startswith(part)
        assert part != FIRST
        await line.ends(GREETING, part, FIRST, overdue=[("rest", "resumed")])


async def _text_of(line: Line, item_id: str) -> str:
    return next((turn.text for turn in await line.call.turns() if turn.item_id == item_id), "")


@pytest.mark.parametrize(
    ("transcription", "outcome"), [("completed", "resumed"), ("failed", "resumed"), ("never", AGAIN)]
)
async def test_a_noise_while_the_agent_works_loses_no_answer(
    clients: RedisClients, line: Line, transcription: str, outcome: str
) -> None:
    """The noise cancels the response before anything of it was heard."""
    async with relay_process(clients, model(line.voice_live), profile=PROFILE, limits=SHORT):
        await line.begin()
        await line.hears()
        await line.now(response_slow={**NEVER, **ONCE})
        await line.asks()
        await eventually(lambda: _begun(line, 2))
        await line.now(no_words={"transcription": transcription, **ONCE})
        await line.asks()
        await line.hears()
        await line.ends(GREETING, FIRST, overdue=[("words", outcome)])


async def _begun(line: Line, responses: int) -> bool:
    return len(await line.timeline("response_created")) == responses


# -- the liveness probe
@pytest.mark.parametrize(
    "probes",
    [
        None,
        {"answer": "ignored"},
        {"answer": "unnamed"},
        {"answer": "unnamed", "code": None},
        {"answer": "unnamed", "code": None, "message": "The request is invalid."},
    ],
    ids=["answered", "ignored", "unnamed", "no code", "no code, no id in the text"],
)
async def test_a_slow_answer_is_heard_whatever_becomes_of_probes(
    clients: RedisClients, line: Line, probes: dict[str, object] | None
) -> None:
    """The delay is longer than a probe and the wait for its answer."""
    always = {"probes": probes} if probes else {}
    async with relay_process(clients, model(line.voice_live), profile=PROFILE):
        await line.begin(**always)
        await line.hears()
        await line.now(**always, response_slow={"delay_s": 3.0, **ONCE})
        await line.asks()
        await line.hears()
        await line.ends(GREETING, FIRST, overdue=[])
