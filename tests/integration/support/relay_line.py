"""A call of a relay with the simulated Voice Live, with checks of the audio that the caller hears and of the records
for operators.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

from agent_relay.core.dialog.debt import Limits
from agent_relay.core.protocol.agent_profile import AgentProfile, Greeting
from agent_relay.core.protocol.voice_target import Mode, VoiceTarget
from bridge_common.observability.telemetry import REGISTRY
from bridge_common.wire.audio import FRAME_MS, ms_of_bytes
from bridge_common.wire.entries import Audio, AudioFrame, ItemEnd, Notice, Played, Playing, VoiceReady
from lab.speech import synthesize
from lab.voice_live.settings import DEFAULT_API_KEY
from tests.integration.support.relay_call import Call
from tests.support.eventually import eventually
from tests.support.simulators import Simulator

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
"""Short limits for faults that are detected by a timeout. All other tests use the default limits and complete long
before them.
"""
SERVER_ERROR: Final = {"type": "server_error", "code": None}
NEVER: Final = {"delay_s": 600}
ONCE: Final = {"times": 1}
FAST: Final = {"REPLY_DELAY_S": "0.02", "SESSION_SETUP_S": "0.01"}

AGAIN: Final = "asked_again"

Overdue = list[tuple[str, str]]


class Line:
    """A call, with actions of its caller and checks of its outcome."""

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
        """Send speech and silence faster than real time. The script determines the words."""
        pcm = synthesize("Hello there", 24_000) + bytes(48 * 1000)
        size = 48 * FRAME_MS
        for at in range(0, len(pcm) - size, size * 40):
            frames = range(at, min(at + size * 40, len(pcm) - size), size)
            self.call.send(*[AudioFrame(pcm[i : i + size]) for i in frames])
            await self.call.flush()

    async def begins_to_hear(self) -> str:
        """Play the first audio of the agent's next item. Return the id of the item."""
        item_id = await eventually(lambda: next(iter(self._unheard()), ""), what="audio on the downlink")
        self._begun.append(item_id)
        self.call.send(Playing(item_id))
        return item_id

    async def hears(self) -> None:
        """Play the agent's next item to its end."""
        item_id = await self.begins_to_hear()
        await eventually(lambda: any(_is_of(end, item_id) for end in self.call.of(ItemEnd)), what="the item's end")
        audio = (e.pcm24k for e in self.call.downlink if isinstance(e, Audio) and e.item_id == item_id)
        self.call.send(Played(item_id, int(ms_of_bytes(sum(map(len, audio)), 24_000)), True))

    def _unheard(self) -> list[str]:
        return [e.item_id for e in self.call.downlink if isinstance(e, Audio) and e.item_id not in self._begun]

    # -- the outcome
    async def ends(self, *agent_said: str, overdue: Overdue, sessions: int = 1) -> None:
        """Check that the transcript has exactly these words of the agent, then end the call."""

        async def recorded() -> bool:
            return len(await self._agent_said()) >= len(agent_said) and len(await self.overdue()) >= len(overdue)

        await eventually(recorded)
        # In a support module, pytest does not show the values of a failed assertion.
        found = (await self._agent_said(), self._unheard(), await self.overdue(), len(await self.sessions()))
        assert found == (list(agent_said), [], overdue, sessions), found
        counted = _counted() - self._counted_before
        assert counted == Counter(overdue), counted
        await self.call.end()

    async def _agent_said(self) -> list[str]:
        turns = sorted(await self.call.turns(), key=lambda turn: turn.at_ms)
        return [turn.text for turn in turns if turn.role == "agent"]

    async def overdue(self) -> Overdue:
        """Return kind and outcome of each notice about an overdue agent response."""
        entries = [entry for _, entry in await self.call.store.read_transcript(self.call.call_id)]
        details = [entry.detail for entry in entries if isinstance(entry, Notice) and entry.what == "speech_overdue"]
        return [(detail.partition(":")[0], detail.rpartition("; ")[2]) for detail in details]

    async def sessions(self) -> list[dict[str, Any]]:
        found = (await self.voice_live.get("/lab/sessions"))["sessions"]
        assert isinstance(found, list)
        return found[self._sessions_before :]

    async def timeline(self, event: str) -> list[dict[str, Any]]:
        """Return the events of this kind in all voice sessions of the call."""
        whole = [await self.voice_live.get(f"/lab/sessions/{one['id']}") for one in await self.sessions()]
        rows: list[dict[str, Any]] = [row for session in whole for row in session["timeline"]]  # type: ignore[attr-defined]
        return [row for row in rows if row["event"] == event]


def _is_of(end: object, item_id: str) -> bool:
    return isinstance(end, ItemEnd) and end.item_id == item_id


def _counted() -> Counter[tuple[str, str]]:
    """Return `bridge_relay_overdue_speech_total` by kind and outcome."""
    samples = [sample for metric in REGISTRY.collect() for sample in metric.samples]
    counted = [sample for sample in samples if sample.name == "bridge_relay_overdue_speech_total"]
    return Counter({(one.labels["kind"], one.labels["outcome"]): int(one.value) for one in counted})


def model(voice_live: Simulator) -> VoiceTarget:
    return VoiceTarget(
        mode=Mode.MODEL, endpoint=voice_live.url, api_version="2026-07-15", model="gpt-4.1", api_key=DEFAULT_API_KEY
    )


async def line_on(call: Call, voice_live: Simulator) -> Line:
    before = (await voice_live.get("/lab/sessions"))["sessions"]
    assert isinstance(before, list)
    return Line(call, voice_live, len(before))


async def responses_begun(line: Line, count: int) -> bool:
    return len(await line.timeline("response_created")) == count


async def text_of(line: Line, item_id: str) -> str:
    """Return the transcript of an item; "" before it is written."""
    return next((turn.text for turn in await line.call.turns() if turn.item_id == item_id), "")
