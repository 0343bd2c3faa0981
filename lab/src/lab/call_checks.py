"""The checks of a demo call: of the phone, of the voice service and of the recorded audio."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
import soxr
from numpy.typing import NDArray

from lab.heard_audio import Recording, find_speech, last_sound_s, sound_ms
from lab.observed_call import CallerTurn, ObservedCall
from lab.scenario import Scenario
from lab.wire import Json

LIKENESS: Final = 0.85
"""Minimum correlation between the agent's speech in the recording and the audio that the voice service sent (1.0:
identical).
"""
STOP_MS: Final = 100.0
"""Maximum time in ms for which the caller may hear the interrupted speech after StopAudio."""


@dataclass(frozen=True, slots=True)
class CallCheck:
    claim: str
    holds: bool
    figure: str


def check_call(call: ObservedCall, scenario: Scenario, recording: Recording, transcript: list[Json]) -> list[CallCheck]:
    if scenario.expect.without_agent:
        return [_answered_without_agent(call), _script(call, scenario), _ended(call, scenario)]
    return [
        _answered(call),
        _greeted(call),
        _script(call, scenario),
        *_turns(call, scenario, transcript),
        *_barge_in(call, scenario, recording),
        *_speech(call, scenario, recording),
        _ended(call, scenario),
    ]


def _answered(call: ObservedCall) -> CallCheck:
    answered, ready = call.times("phone", "answered"), call.times("voice", "session_updated")
    if not answered:
        return CallCheck("answered", False, f"state {call.phone.get('state')}")
    rang = answered[0] - call.times("phone", "incoming_call_sent")[0]
    first = bool(ready) and ready[0] <= answered[0]
    return CallCheck("answered once the voice session was ready", first and len(answered) == 1, f"after {rang:.2f} s")


def _answered_without_agent(call: ObservedCall) -> CallCheck:
    answered, sessions = len(call.times("phone", "answered")), len(call.sessions())
    return CallCheck("answered, without an agent", answered == 1 and not sessions, f"{sessions} voice sessions")


def _greeted(call: ObservedCall) -> CallCheck:
    heard, spoken = call.times("phone", "agent_starts"), call.times("phone", "caller_says")
    opened = call.times("phone", "media_open")
    if not heard or not opened:
        return CallCheck("greeting heard", False, "the caller heard nothing")
    in_time = not spoken or heard[0] < spoken[0]
    return CallCheck(
        "greeting heard before the caller spoke", in_time, f"{heard[0] - opened[0]:.2f} s after media opened"
    )


def _script(call: ObservedCall, scenario: Scenario) -> CallCheck:
    """Check that every step succeeded in time. After a failed step or an expired wait the caller continues, but not as
    the scenario was written.
    """
    claim, steps = "the caller's script ran as written", len(scenario.caller.steps)
    for row in call.phone.get("timeline", []):
        if row["event"] == "step_failed":
            return CallCheck(claim, False, f"step {int(row['step']) + 1} of {steps} failed: {row['reason']}")
        if row["event"] == "wait_expired":
            return CallCheck(claim, False, f"waited {row['within_s']:g} s without success for {row['wait_for']}")
    return CallCheck(claim, True, f"{steps} steps")


def _turns(call: ObservedCall, scenario: Scenario, transcript: list[Json]) -> Iterator[CallCheck]:
    heard = [str(row.get("text", "")) for row in transcript if row.get("role") == "caller"]
    yield _caller_turns(call.caller_turns(), heard)
    if call.keys()[0]:
        yield _keys_of(call, transcript)
    yield _agent_turns(call, scenario, [str(row.get("text", "")) for row in transcript if row.get("role") == "agent"])


def _agent_turns(call: ObservedCall, scenario: Scenario, turns: list[str]) -> CallCheck:
    wanted = {index: reply.say for index, reply in enumerate(scenario.agent.replies) if reply.say}
    missing = _missing(wanted, turns)
    figure = f"{len(wanted) - len(missing)} of {len(wanted)}"
    spoken = {str(item["text"]) for item in call.voice.get("said", [])}
    for index in missing:
        why = "spoken, but not in the transcript" if wanted[index] in spoken else "never used"
        figure += f"; missing: agent.replies[{index}] “{wanted[index]}” ({why})"
    return CallCheck("agent's turns are in the transcript", not missing, figure)


def _missing(wanted: dict[int, str], turns: list[str]) -> list[int]:
    """Return the texts without a matching turn, in order. The transcript has only the part of an interrupted turn that
    was heard, so such a turn matches if the text starts with it.
    """
    missing, after = [], 0
    for index, text in wanted.items():
        at = next((n for n in range(after, len(turns)) if turns[n] and text.startswith(turns[n][:24])), None)
        if at is None:
            missing.append(index)
        else:
            after = at + 1
    return missing


def _caller_turns(said: list[CallerTurn], heard: list[str]) -> CallCheck:
    """Compare the caller's utterances, in order, with the simulated transcription: `heard` of the replies."""
    claim = "caller's turns are in the transcript"
    rows = deque(heard)
    for number, turn in enumerate(said):
        row = rows[0] if rows else None
        if row is not None and turn.sounds_like(row):
            rows.popleft()
        elif turn.unheard or (row is None and turn.cut_off):
            continue
        elif row is None:
            return CallCheck(claim, False, f"{number} of {len(said)}; missing: “{turn.text}”")
        else:
            return CallCheck(
                claim, False, f"turn {number + 1}: the caller said “{turn.text}”, the transcript has “{row}”"
            )
    if rows:
        return CallCheck(claim, False, f"the caller spoke {len(said)} turns; the transcript also has “{rows[0]}”")
    return CallCheck(claim, True, f"{len(said)} of {len(said)}")


def _keys_of(call: ObservedCall, transcript: list[Json]) -> CallCheck:
    """While other people are called or in the call, keys may be for the transfer (`return_key`) or for nobody: both a
    transcript with them and one without them are right.
    """
    checks = [_keys(*keys, transcript) for keys in dict.fromkeys((call.keys(), call.keys(apart=False)))]
    return next((check for check in checks if check.holds), checks[0])


def _keys(pressed: str, cut_off: str, transcript: list[Json]) -> CallCheck:
    """Check that every key reached the agent and that the agent spoke after the last key.

    The transcript contains the keys themselves (`tones`) or, unless the agent profile shows them, only their number
    (`keys`).
    """
    claim = "keys are in the transcript and are answered"
    at = [index for index, row in enumerate(transcript) if row.get("what") in ("tones", "keys")]
    read = ""
    for row in (transcript[index] for index in at):
        detail = str(row.get("detail", ""))
        read += detail if row["what"] == "tones" else pressed[len(read) :][: int(detail)].ljust(int(detail), "?")
    due = pressed.removesuffix(cut_off)
    if not pressed.startswith(read) or len(read) < len(due):
        return CallCheck(claim, False, f"the caller pressed {pressed}, the transcript has {read or 'none'}")
    answered = not due or any(row.get("role") == "agent" for row in transcript[at[-1] + 1 :])
    return CallCheck(claim, answered, f"{pressed or 'none for the agent'}{'' if answered else ', not answered'}")


def _barge_in(call: ObservedCall, scenario: Scenario, recording: Recording) -> Iterator[CallCheck]:
    interrupting = _interrupting(scenario)
    if not interrupting:
        return
    stops, opened = call.times("phone", "stop_audio"), call.times("phone", "media_open")
    # A key press interrupts the agent, as speech does.
    started = [*call.times("voice", "speech_started"), *call.times("phone", "dtmf")]
    if not stops or not opened or not started:
        said = ", ".join(f"caller.steps[{index}] “{text}”" for index, text in interrupting.items())
        yield CallCheck("StopAudio after the barge-in", False, f"StopAudio was not sent; expected during: {said}")
        return
    noticed = max((t for t in started if t <= stops[-1]), default=started[0])
    yield CallCheck("StopAudio after the barge-in", True, f"{(stops[-1] - noticed) * 1000:.0f} ms after detection")
    stop_s = noticed - opened[0]
    nexts = [t - opened[0] for t in call.times("phone", "agent_starts") if t > stops[-1]]
    until_s = min([*nexts, recording.seconds]) - 0.02
    last_s = last_sound_s(recording.agent, recording.rate_hz, stop_s, until_s)
    late_ms = (last_s - stop_s) * 1000
    yield CallCheck("the agent is silent within 100 ms of the Clear", late_ms <= STOP_MS, f"{late_ms:.0f} ms")


def _speech(call: ObservedCall, scenario: Scenario, recording: Recording) -> Iterator[CallCheck]:
    """Check that every utterance of the agent can be heard in the right channel, in order, up to the point where it was
    truncated.
    """
    cut = {row["item_id"]: float(row["audio_end_ms"]) for row in call.voice.get("truncations", [])}
    from_s = 0.0
    found_all: list[float] = []
    for item in call.voice.get("said", []):
        text, whole_ms = str(item["text"]), float(item["ms"])
        if any(part in text for part in scenario.expect.unheard.get("caller", ())):
            continue
        heard_ms = min(cut.get(item["item_id"], whole_ms), whole_ms)
        speech = _at_rate(call.speech(item["item_id"]), recording.rate_hz)
        speech = speech[: int(heard_ms * recording.rate_hz / 1000) * 2]
        found = find_speech(recording.agent, recording.rate_hz, speech, from_s=from_s)
        words = text if len(text) < 32 else text[:30] + "…"
        how_long = f"{heard_ms / 1000:.2f} of {whole_ms / 1000:.2f} s"
        yield CallCheck(f"heard: “{words}”", found.likeness >= LIKENESS, f"{how_long}, likeness {found.likeness:.3f}")
        from_s = found.at_s + heard_ms / 1000
        found_all += [found.at_s, from_s]
    if not found_all:
        yield CallCheck("the agent's speech is in the recording", False, "the voice service sent no speech")
        return
    gaps = [sound_ms(recording.agent, recording.rate_hz, a, b) for a, b in list(pairwise(found_all))[1::2]]
    stray_ms = max([*gaps, 0.0])
    if scenario.expect.hold_tone is None:
        return
    if scenario.expect.hold_tone:
        stray_ms = max(stray_ms, sound_ms(recording.agent, recording.rate_hz, found_all[-1], recording.seconds))
        yield CallCheck("hold tone after the agent's turns", stray_ms > STOP_MS, f"{stray_ms:.0f} ms")
        return
    silent, figure = stray_ms <= STOP_MS, f"{stray_ms:.0f} ms"
    if not silent and call.times("phone", "hold_tone"):
        figure += " of sound; the hold tone was heard; set `hold_tone: true` in `expect` if it should be"
    yield CallCheck("silence between the agent's turns", silent, figure)


def _at_rate(pcm24k: bytes, rate_hz: int) -> bytes:
    samples: NDArray[np.int16] = soxr.resample(np.frombuffer(pcm24k, dtype="<i2"), 24_000, rate_hz)
    return samples.astype("<i2").tobytes()


def _ended(call: ObservedCall, scenario: Scenario) -> CallCheck:
    by_caller = any(step.hang_up for step in scenario.caller.steps)
    return CallCheck(
        "ended by the caller" if by_caller else "ended",
        call.phone.get("state") == "ended",
        str(call.phone.get("end_reason")),
    )


def _interrupting(scenario: Scenario) -> dict[int, str]:
    """Return the steps that interrupt the agent: `say` right after `wait_for: agent_starts`."""
    steps = enumerate(pairwise(scenario.caller.steps), start=1)
    return {index: step.say for index, (before, step) in steps if before.wait_for == "agent_starts" and step.say}
