"""The checks of a demo call, applied to a scripted call. tests/e2e applies them to a real one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soxr

from lab.call_checks import check_call
from lab.demo import DEFAULT_SCENARIO
from lab.heard_audio import Recording
from lab.observed_call import ObservedCall
from lab.scenario import Reply, Scenario
from lab.scenario_file import load_scenario
from lab.speech import ms_of, synthesize
from lab.stack import Ports, Stack
from lab.wire import Json

RATE_HZ = 16_000
SCENARIO = load_scenario(DEFAULT_SCENARIO)
FIRST, SECOND = (str(reply.say) for reply in SCENARIO.agent.replies)
GREETING = str(SCENARIO.agent.greeting)
SAID = [str(step.say) for step in SCENARIO.caller.steps if step.say]
HEARD_MS = 1500


class SpokenCall(ObservedCall):
    """A call whose speech is set by the test, without a simulator."""

    def speech(self, item_id: str) -> bytes:
        return next(synthesize(row["text"], 24_000) for row in self.voice["said"] if row["item_id"] == item_id)


def _call() -> tuple[ObservedCall, Recording, list[Json]]:
    """Return a call: greeting at 0.5 s, first reply at 8 s (interrupted after 1.5 s), second reply at 14 s."""
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
            *((10.0, "agent_starts"), (11.49, "stop_audio"), (16.0, "agent_starts")),
        ],
        "voice": [(0.9, "session_updated"), (6.1, "speech_started"), (11.48, "speech_started")],
    }
    timelines: dict[str, list[Json]] = {
        side: [{"t": t, "event": event} for t, event in rows] for side, rows in times.items()
    }
    timelines["phone"] += [
        *({"t": 6.0, "event": "caller_says", "text": SAID[0]}, {"t": 8.0, "event": "caller_ends"}),
        *({"t": 11.2, "event": "caller_says", "text": SAID[1]}, {"t": 13.5, "event": "caller_ends"}),
        {"t": 20.0, "event": "hang_up"},
    ]
    call = SpokenCall(Stack(Ports(), Path()), "lab", frozenset())
    call.phone = {"state": "ended", "end_reason": "caller_hung_up", "timeline": timelines["phone"]}
    truncations = [{"item_id": "item_2", "audio_end_ms": HEARD_MS}]
    call.voice = {"timeline": timelines["voice"], "said": said, "truncations": truncations}
    turns = [
        *({"role": "caller", "text": reply.heard} for reply in SCENARIO.agent.replies),
        *({"role": "agent", "text": text} for text in (GREETING, FIRST[:20], SECOND)),
    ]
    return call, Recording(RATE_HZ, np.zeros(20 * RATE_HZ), agent), turns


def _broken(
    call: ObservedCall, recording: Recording, transcript: list[Json], scenario: Scenario = SCENARIO
) -> list[str]:
    return [check.claim for check in check_call(call, scenario, recording, transcript) if not check.holds]


def _figure(claim: str, call: ObservedCall, recording: Recording, transcript: list[Json]) -> str:
    """Return the figure that is printed with a claim."""
    return next(check.figure for check in check_call(call, SCENARIO, recording, transcript) if check.claim == claim)


def test_a_call_as_it_should_be_passes() -> None:
    assert _broken(*_call()) == []


def test_a_call_answered_before_its_voice_session_is_noticed() -> None:
    call, recording, transcript = _call()
    call.voice["timeline"][0]["t"] = 1.5
    assert _broken(call, recording, transcript) == ["answered once the voice session was ready"]


def test_a_greeting_after_the_caller_spoke_is_noticed() -> None:
    call, recording, transcript = _call()
    next(row for row in call.phone["timeline"] if row["event"] == "caller_says")["t"] = 2.2
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
    assert _broken(call, recording, transcript[1:]) == ["caller's turns are in the transcript"]


@pytest.mark.parametrize(
    "event",
    [
        {"t": 7.0, "event": "step_failed", "step": 1, "reason": "FileNotFoundError"},
        {"t": 7.0, "event": "wait_expired", "wait_for": "agent_starts", "within_s": 15.0},
    ],
)
def test_a_step_that_did_not_do_what_was_written_is_noticed(event: Json) -> None:
    call, recording, transcript = _call()
    call.phone["timeline"].append(event)
    assert _broken(call, recording, transcript) == ["the caller's script ran as written"]


CALLERS = "caller's turns are in the transcript"
AGENTS = "agent's turns are in the transcript"
KEYS = "keys are in the transcript and are answered"
SILENCE = "silence between the agent's turns"


def test_unexpected_words_are_noticed() -> None:
    """`heard` does not select a reply. If the replies are in another order than the questions, the scenario is
    wrong.
    """
    call, recording, transcript = _call()
    transcript[0], transcript[1] = transcript[1], transcript[0]
    assert _broken(call, recording, transcript) == [CALLERS]
    figure = _figure(CALLERS, call, recording, transcript)
    assert SAID[0] in figure
    assert SAID[1] in figure


def test_punctuation_and_case_are_ignored() -> None:
    call, recording, transcript = _call()
    transcript[0]["text"] = SAID[0].upper().replace(",", "")
    assert _broken(call, recording, transcript) == []


def test_a_turn_without_a_script_may_be_heard_as_anything() -> None:
    call, recording, transcript = _call()
    transcript[1]["text"] = "(speech)"
    assert _broken(call, recording, transcript) == []


def test_an_additional_turn_is_noticed() -> None:
    call, recording, transcript = _call()
    transcript.insert(1, {"role": "caller", "text": "(speech)"})
    transcript.append({"role": "caller", "text": "(speech)"})
    assert _broken(call, recording, transcript) == [CALLERS]


def test_words_cut_off_by_the_hang_up_may_be_lost() -> None:
    call, recording, transcript = _call()
    call.phone["timeline"] += [
        {"t": 18.8, "event": "caller_says", "text": "Goodbye."},
        {"t": 19.5, "event": "caller_ends"},
    ]
    assert _broken(call, recording, transcript) == []
    call.phone["timeline"][-1]["t"] = 17.0
    assert _broken(call, recording, transcript) == [CALLERS]


def test_a_lost_reply_is_noticed_among_two_with_the_same_beginning() -> None:
    call, recording, transcript = _call()
    replies = (*SCENARIO.agent.replies, Reply(say=SECOND[:24] + "Mondays."))
    twice = SCENARIO.model_copy(update={"agent": SCENARIO.agent.model_copy(update={"replies": replies})})
    assert _broken(call, recording, transcript, twice) == [AGENTS]


def test_the_turns_after_a_missing_one_are_counted() -> None:
    call, recording, transcript = _call()
    transcript = [row for row in transcript if row["text"] != FIRST[:20]]
    assert _figure(AGENTS, call, recording, transcript).startswith("1 of 2; missing: agent.replies[0] ")


def _with_keys(pressed_at: float = 13.8) -> tuple[ObservedCall, Recording, list[Json]]:
    """Return a call in which the caller presses a key instead of asking the second question."""
    call, recording, transcript = _call()
    call.phone["timeline"] += [
        {"t": pressed_at + at, "event": "dtmf", "tone": tone, "by": "caller"} for at, tone in ((0.0, "4"), (0.2, "#"))
    ]
    transcript.insert(-1, {"what": "tones", "detail": "4#", "at_ms": 13})
    return call, recording, transcript


def test_an_answered_key_is_no_missing_turn() -> None:
    assert _broken(*_with_keys()) == []


def test_a_lost_key_is_noticed() -> None:
    call, recording, transcript = _with_keys()
    transcript[-2]["detail"] = "4"
    assert _broken(call, recording, transcript) == [KEYS]
    del transcript[-2]
    assert _broken(call, recording, transcript) == [KEYS]


def test_keys_of_a_caller_who_waits_for_a_person_are_not_for_the_agent() -> None:
    call, recording, transcript = _with_keys()
    call.phone["invitations"] = [{"t": 13.0, "target": "4:+14255550172"}]
    del transcript[-2]
    assert KEYS not in _broken(call, recording, transcript)


@pytest.mark.parametrize(("counted", "broken"), [("2", []), ("1", [KEYS]), ("3", [KEYS])])
def test_keys_that_the_transcript_only_counts_are_compared_by_number(counted: str, broken: list[str]) -> None:
    call, recording, transcript = _with_keys()
    transcript[-2] |= {"what": "keys", "detail": counted}
    assert _broken(call, recording, transcript) == broken


def test_a_key_that_nobody_answers_is_noticed() -> None:
    call, recording, transcript = _with_keys()
    transcript.append(transcript.pop(-2))
    assert _broken(call, recording, transcript) == [KEYS]


def test_keys_cut_off_by_the_hang_up_may_be_lost() -> None:
    call, recording, transcript = _with_keys(pressed_at=19.5)
    del transcript[-2]
    assert _broken(call, recording, transcript) == []


def _with_person(call: ObservedCall, until: float) -> None:
    """Add a person who is called at 13.6 s and leaves at `until`."""
    call.phone["invitations"] = [{"target": "4:+14255550172", "t": 13.6}]
    call.phone["timeline"].append({"t": until, "event": "left", "participant": "4:+14255550172"})


@pytest.mark.parametrize("in_transcript", [True, False])
def test_keys_while_another_person_is_in_the_call_need_not_be_in_the_transcript(in_transcript: bool) -> None:
    """They are not for a resting agent (`return_key`), but an agent that hears everybody gets them."""
    call, recording, transcript = _with_keys()
    _with_person(call, until=14.5)
    if not in_transcript:
        del transcript[-2]
    assert _broken(call, recording, transcript) == []


def test_keys_after_the_person_has_left_are_for_the_agent() -> None:
    call, recording, transcript = _with_keys()
    _with_person(call, until=13.9)  # between the two keys
    transcript[-2]["detail"] = "#"
    assert _broken(call, recording, transcript) == []
    del transcript[-2]
    assert _broken(call, recording, transcript) == [KEYS]


@pytest.mark.parametrize("tone", [True, False])
def test_a_hold_tone_that_the_scenario_does_not_expect_is_named(tone: bool) -> None:
    call, recording, transcript = _call()
    recording.agent[int(12.5 * RATE_HZ) : int(13.0 * RATE_HZ)] = 3000
    if tone:
        call.phone["timeline"].append({"t": 14.5, "event": "hold_tone"})
    assert SILENCE in _broken(call, recording, transcript)
    assert ("`hold_tone: true` in `expect`" in _figure(SILENCE, call, recording, transcript)) is tone
    either = SCENARIO.model_copy(update={"expect": SCENARIO.expect.model_copy(update={"hold_tone": None})})
    assert SILENCE not in _broken(call, recording, transcript, either)


@pytest.mark.parametrize("state", ["connected", "rejected"])
def test_a_call_that_did_not_end_well_is_noticed(state: str) -> None:
    call, recording, transcript = _call()
    call.phone["state"] = state
    assert _broken(call, recording, transcript) == ["ended by the caller"]


def test_a_reply_that_was_never_used_is_named() -> None:
    call, recording, transcript = _call()
    call.voice["said"] = call.voice["said"][:2]
    figure = _figure("agent's turns are in the transcript", call, recording, transcript[:-1])
    assert figure == f"1 of 2; missing: agent.replies[1] “{SECOND}” (never used)"


def test_a_reply_that_the_transcript_lost_is_named() -> None:
    call, recording, transcript = _call()
    figure = _figure("agent's turns are in the transcript", call, recording, transcript[:-1])
    assert figure.endswith(f"“{SECOND}” (spoken, but not in the transcript)")


def test_a_barge_in_without_effect_is_named() -> None:
    call, recording, transcript = _call()
    call.phone["timeline"] = [row for row in call.phone["timeline"] if row["event"] != "stop_audio"]
    figure = _figure("StopAudio after the barge-in", call, recording, transcript)
    step = next(index for index, step in enumerate(SCENARIO.caller.steps) if step.say == SAID[1])
    assert figure == f"StopAudio was not sent; expected during: caller.steps[{step}] “{SAID[1]}”"
