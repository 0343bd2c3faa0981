"""A caller who follows a script: talks with an agent, interrupts, presses keys, hangs up. The call is recorded."""

from __future__ import annotations

import io
import wave

import numpy as np
import pytest

from lab.acs.caller import Waiting, decode_wav
from lab.acs.caller_line import CallerLine
from lab.acs.caller_uplink import Speech
from lab.scenario import ScenarioStep
from lab.speech import synthesize
from tests.contract.support.acs_stage import Stage
from tests.support.eventually import eventually

RATE_HZ = 16_000


def loud(duration_s: float) -> bytes:
    return np.full(int(duration_s * RATE_HZ), 6000, dtype="<i2").tobytes()


async def test_a_scripted_call_from_greeting_to_hang_up_is_recorded(stage: Stage) -> None:
    steps = [
        {"wait_for": "agent_ends", "ms": 200},
        {"say": "Hello."},
        {"wait_for": "agent_starts", "ms": 300},
        {"say": "Stop!"},
        {"dtmf": "1"},
        {"pause_ms": 100},
        {"hang_up": True},
    ]
    call_id, _ = await stage.connected(steps=steps)
    media = await stage.media.connection()
    await media.say(loud(0.5))
    await stage.noted(call_id, "caller_ends")
    await media.say(loud(5.0))
    await stage.noted(call_id, "caller_says", count=2)
    await media.stop_audio()
    call = await stage.state(call_id, "ended", within_s=10)
    assert call["end_reason"] == "caller_hung_up"
    names = [
        entry["event"]
        for entry in await stage.timeline(call_id)
        if entry["event"] in {"agent_starts", "caller_says", "caller_ends", "stop_audio", "dtmf", "hang_up"}
    ]
    assert names == [
        "agent_starts", "caller_says", "caller_ends", "agent_starts", "caller_says", "stop_audio", "caller_ends",
        "dtmf", "hang_up",
    ]  # fmt: skip
    await stage.reception.event("CallDisconnected")
    await the_recording_is_true(stage, call_id)


async def the_recording_is_true(stage: Stage, call_id: str) -> None:
    """Check the recording. Left: the caller's speech at its time. Right: the audio that the caller heard; it ends at
    StopAudio.
    """
    response = await stage.lab.get(f"/lab/calls/{call_id}/recording.wav")
    with wave.open(io.BytesIO(response.content)) as reader:
        assert (reader.getnchannels(), reader.getsampwidth(), reader.getframerate()) == (2, 2, RATE_HZ)
        both = np.frombuffer(reader.readframes(reader.getnframes()), dtype="<i2").reshape(-1, 2)
    left, right = both[:, 0].astype(float), both[:, 1].astype(float)
    opened = float(str((await stage.timeline(call_id, "media_open"))[0]["t"]))
    stopped = float(str((await stage.timeline(call_id, "stop_audio"))[0]["t"]))
    heard = np.flatnonzero(np.abs(right) > 1000) / RATE_HZ
    assert heard[-1] == pytest.approx(stopped - opened, abs=0.1)
    hello = np.frombuffer(synthesize("Hello.", RATE_HZ), dtype="<i2").astype(float)
    said = float(str((await stage.timeline(call_id, "caller_says"))[0]["t"])) - opened
    start = max(0, int((said - 0.1) * RATE_HZ))
    match = np.correlate(left[start : start + len(hello) + RATE_HZ // 5], hello, "valid")
    assert match.max() > 0.95 * np.dot(hello, hello)
    assert abs(int(np.argmax(match)) - RATE_HZ // 10) < RATE_HZ * 0.06


async def test_a_wait_that_takes_too_long_is_recorded_and_skipped(stage: Stage) -> None:
    steps = [{"wait_for": "agent_starts", "within_s": 0.1}, {"hang_up": True}]
    call_id, _ = await stage.connected(steps=steps)
    await stage.state(call_id, "ended")
    (expired,) = await stage.timeline(call_id, "wait_expired")
    assert expired["wait_for"] == "agent_starts"


async def test_a_file_that_is_not_there_is_noted(stage: Stage) -> None:
    call_id, _ = await stage.connected(steps=[{"play": "no-such.wav"}, {"hang_up": True}])
    await stage.state(call_id, "ended")
    (failed,) = await stage.timeline(call_id, "step_failed")
    assert str(failed["reason"]).startswith("FileNotFoundError")


async def test_the_control_api_makes_the_caller_speak_and_press_keys(stage: Stage) -> None:
    call_id, _ = await stage.connected()
    said = await stage.lab.post(f"/lab/calls/{call_id}/say", json={"text": "Good morning."})
    assert said.json()["bytes"] > RATE_HZ
    (entry,) = await stage.noted(call_id, "caller_ends")
    assert entry["text"] == "Good morning."
    media = await stage.media.connection()
    await eventually(lambda: any("AAAAAAAA" not in str(one["audioData"])[:200] for one in media.of_kind("AudioData")))


def line() -> CallerLine:
    return CallerLine(RATE_HZ, 0.0, Speech(RATE_HZ), threshold=200, record=False)


def run(line: CallerLine, from_s: float, to_s: float) -> None:
    for n in range(round(from_s * 50) + 1, round(to_s * 50) + 1):
        line.tick(n / 50)


def test_agent_starts_counts_sound_since_the_step_began() -> None:
    heard = line()
    heard.play(loud(1.0), 0.0)
    run(heard, 0.0, 0.5)
    waiting = Waiting(ScenarioStep(wait_for="agent_starts", ms=300), heard)
    run(heard, 0.5, 0.7)
    assert not waiting.over(200)
    run(heard, 0.7, 0.8)
    assert waiting.over(300)


def test_agent_ends_needs_sound_and_then_quiet() -> None:
    heard = line()
    waiting = Waiting(ScenarioStep(wait_for="agent_ends", ms=600), heard)
    run(heard, 0.0, 1.0)
    assert not waiting.over(1000)
    heard.play(loud(0.4), 1.0)
    run(heard, 1.0, 1.9)
    assert not waiting.over(1900)
    run(heard, 1.9, 2.0)
    assert waiting.over(2000)


def test_agent_ends_is_true_for_an_agent_who_has_just_stopped() -> None:
    heard = line()
    heard.play(loud(0.2), 0.0)
    run(heard, 0.0, 0.4)
    waiting = Waiting(ScenarioStep(wait_for="agent_ends", ms=600), heard)
    run(heard, 0.4, 0.8)
    assert waiting.over(400)


def test_agent_ends_does_not_count_an_agent_who_spoke_before_the_callers_words() -> None:
    """The agent greets; then the caller asks for two seconds. The step waits for the end of the reply."""
    heard = line()
    heard.play(loud(0.5), 0.0)
    run(heard, 0.0, 2.5)
    waiting = Waiting(ScenarioStep(wait_for="agent_ends", ms=3000), heard)
    run(heard, 2.5, 3.6)
    assert not waiting.over(1100)
    heard.play(loud(0.4), 3.6)
    run(heard, 3.6, 7.2)
    assert waiting.over(4700)


def test_agent_ends_does_not_count_an_agent_whom_the_caller_has_interrupted() -> None:
    heard = line()
    heard.play(loud(5.0), 0.0)
    run(heard, 0.0, 1.0)
    heard.clear(1.01)
    run(heard, 1.0, 1.2)
    waiting = Waiting(ScenarioStep(wait_for="agent_ends", ms=300), heard)
    run(heard, 1.2, 2.0)
    assert not waiting.over(800)


def test_silence_is_counted_from_the_step_or_from_the_last_sound() -> None:
    heard = line()
    run(heard, 0.0, 2.0)
    waiting = Waiting(ScenarioStep(wait_for="silence", ms=500), heard)
    assert not waiting.over(0)
    run(heard, 2.0, 2.5)
    assert waiting.over(500)
    heard.play(loud(0.1), 2.5)
    run(heard, 2.5, 2.6)
    assert not waiting.over(600)


def test_a_wav_of_any_rate_becomes_mono_at_the_lines_rate() -> None:
    out = io.BytesIO()
    with wave.open(out, "wb") as writer:
        writer.setnchannels(2)
        writer.setsampwidth(2)
        writer.setframerate(8000)
        writer.writeframes(np.tile(np.array([5000, -5000], dtype="<i2"), 8000).tobytes())
    pcm = np.frombuffer(decode_wav(out.getvalue(), RATE_HZ), dtype="<i2")
    assert len(pcm) == RATE_HZ
    assert np.median(pcm) == pytest.approx(5000, abs=50)
