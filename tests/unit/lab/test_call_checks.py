"""The checks of a demo call, on a call made of facts; the real one is in tests/e2e."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soxr

from lab.call_checks import check_call
from lab.demo import DEFAULT_SCENARIO
from lab.heard_audio import Recording
from lab.observed_call import ObservedCall
from lab.scenario import load_scenario
from lab.speech import ms_of, synthesize
from lab.stack import Ports, Stack
from lab.wire import Json

RATE_HZ = 16_000
SCENARIO = load_scenario(DEFAULT_SCENARIO)
FIRST, SECOND = (str(reply.say) for reply in SCENARIO.agent.replies)
GREETING = str(SCENARIO.agent.greeting)
HEARD_MS = 1500


class SpokenCall(ObservedCall):
    """A call whose speech needs no simulator."""

    def speech(self, item_id: str) -> bytes:
        return next(synthesize(row["text"], 24_000) for row in self.voice["said"] if row["item_id"] == item_id)


def _call() -> tuple[ObservedCall, Recording, list[Json]]:
    """Greeting at 0.5 s, the first reply at 8 s cut after 1.5 s, the second at 14 s."""
    agent = np.zeros(20 * RATE_HZ)
    for at_s, text, ms in ((0.5, GREETING, None), (8.0, FIRST, HEARD_MS), (14.0, SECOND, None)):
        sent = np.frombuffer(synthesize(text, 24_000), dtype="<i2")
        speech = np.asarray(soxr.resample(sent, 24_000, RATE_HZ), dtype=np.float64)
        speech = speech[: int(ms * RATE_HZ / 1000)] if ms else speech
        agent[int(at_s * RATE_HZ) :][: len(speech)] = speech
    said = [
        {"item_id": name, "text": text, "ms": ms_of(synthesize(text, 24_000), 24_000)}
        for name, text in (("item_1", GREETING), ("item_2", FIRST), ("item_3", SECOND))
    ]
    times = {
        "phone": [
            *((0.0, "incoming_call_sent"), (1.0, "answered"), (2.0, "media_open"), (2.5, "agent_starts")),
            *((6.0, "caller_says"), (10.0, "agent_starts"), (11.49, "stop_audio"), (16.0, "agent_starts")),
        ],
        "voice": [(0.9, "session_updated"), (6.1, "speech_started"), (11.48, "speech_started")],
    }
    timelines = {side: [{"t": t, "event": event} for t, event in rows] for side, rows in times.items()}
    call = SpokenCall(Stack(Ports(), Path()), "lab", frozenset())
    call.phone = {"state": "ended", "end_reason": "caller_hung_up", "timeline": timelines["phone"]}
    truncations = [{"item_id": "item_2", "audio_end_ms": HEARD_MS}]
    call.voice = {"timeline": timelines["voice"], "said": said, "truncations": truncations}
    turns = [
        *({"role": "caller", "text": reply.heard} for reply in SCENARIO.agent.replies),
        *({"role": "agent", "text": text} for text in (GREETING, FIRST[:20], SECOND)),
    ]
    return call, Recording(RATE_HZ, np.zeros(20 * RATE_HZ), agent), turns


def _broken(call: ObservedCall, recording: Recording, transcript: list[Json]) -> list[str]:
    return [check.claim for check in check_call(call, SCENARIO, recording, transcript) if not check.holds]


def test_a_call_as_it_should_be_passes() -> None:
    assert _broken(*_call()) == []


def test_a_call_answered_before_its_voice_session_is_noticed() -> None:
    call, recording, transcript = _call()
    call.voice["timeline"][0]["t"] = 1.5
    assert _broken(call, recording, transcript) == ["answered once the voice session was ready"]


def test_a_greeting_after_the_caller_spoke_is_noticed() -> None:
    call, recording, transcript = _call()
    call.phone["timeline"][4]["t"] = 2.2
    assert _broken(call, recording, transcript) == ["greeting heard before the caller spoke"]


def test_a_missing_stop_is_noticed() -> None:
    call, recording, transcript = _call()
    call.phone["timeline"] = [row for row in call.phone["timeline"] if row["event"] != "stop_audio"]
    assert _broken(call, recording, transcript) == ["StopAudio after the barge-in"]


def test_speech_that_goes_on_after_the_clear_is_noticed() -> None:
    call, recording, transcript = _call()
    recording.agent[int(9.52 * RATE_HZ) : int(9.8 * RATE_HZ)] = 3000
    assert "the agent is silent within 100 ms of the Clear" in _broken(call, recording, transcript)


def test_speech_with_a_hole_is_noticed() -> None:
    call, recording, transcript = _call()
    recording.agent[int(1.0 * RATE_HZ) : int(2.5 * RATE_HZ)] = 0
    assert any(claim.startswith("heard: “Welcome") for claim in _broken(call, recording, transcript))


def test_a_turn_missing_in_the_transcript_is_noticed() -> None:
    call, recording, transcript = _call()
    assert _broken(call, recording, transcript[1:]) == ["caller's turns stand in the transcript"]


@pytest.mark.parametrize("state", ["connected", "rejected"])
def test_a_call_that_did_not_end_well_is_noticed(state: str) -> None:
    call, recording, transcript = _call()
    call.phone["state"] = state
    assert _broken(call, recording, transcript) == ["ended by the caller"]
