"""Checks of the people that each listener heard, in synthetic recordings of three people who speak at once."""

from __future__ import annotations

import io
import wave
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soxr

from lab.heard_audio import Samples
from lab.hearing_checks import HEARD, hearing_checks
from lab.observed_call import ObservedCall
from lab.scenario import Scenario
from lab.speech import synthesize
from lab.stack import Ports, Stack
from lab.wire import WireError

RATE_HZ = 16_000
OPENED = 100.0
DESK, EXPERT = "4:+14255550172", "4:+14255550173"
TEXTS = {
    "": "Our production stopped yesterday evening and nobody knows the reason.",
    DESK: "The machine stands in the second hall and must be repaired soon.",
    EXPERT: "We have all the spare parts in our store and begin tomorrow.",
}
AT = {"": 3.0, DESK: 3.2, EXPERT: 3.5}
JOINED = {"": 0.0, DESK: 1.0, EXPERT: 2.0}
GREETING = "Welcome to Contoso. How can I help you?"
TARGETS = {"desk": {"phone": "+14255550172"}, "expert": {"phone": "+14255550173"}}


def samples(text: str, rate_hz: int = RATE_HZ) -> Samples:
    return np.frombuffer(synthesize(text, rate_hz), dtype="<i2").astype(np.float64)


def placed(parts: list[tuple[float, Samples]], opened_s: float) -> Samples:
    """Return 12 s of audio with each part at its time, for a phone that was opened at `opened_s`."""
    track = np.zeros(12 * RATE_HZ)
    for at_s, part in parts:
        start = round((at_s - opened_s) * RATE_HZ)
        track[start : start + len(part)] += part
    return track


def wav(*channels: Samples, rate_hz: int = RATE_HZ) -> bytes:
    out = io.BytesIO()
    with wave.open(out, "wb") as writer:
        writer.setnchannels(len(channels))
        writer.setsampwidth(2)
        writer.setframerate(rate_hz)
        writer.writeframes(np.clip(np.column_stack(channels), -32768, 32767).astype("<i2").tobytes())
    return out.getvalue()


class Party(ObservedCall):
    """A call of three people and the agent. `deaf`: (listener, speaker) pairs that do not hear each other."""

    deaf: set[tuple[str, str]]
    voice_hears: tuple[str, ...]

    def recording(self, raw_id: str = "", *, others: bool = True) -> bytes:
        if raw_id not in TEXTS:
            raise WireError("404")
        opened = JOINED[raw_id]
        own = placed([(AT[raw_id], samples(TEXTS[raw_id]))], opened)
        heard = [(AT[one], samples(text)) for one, text in TEXTS.items() if one != raw_id]
        heard = [
            part
            for part, one in zip(heard, [one for one in TEXTS if one != raw_id], strict=True)
            if (raw_id, one) not in self.deaf
        ]
        greeting = [(0.5, samples(GREETING))] if raw_id == "" else []
        return wav(own, placed([*heard, *greeting], opened))

    def heard_by_voice(self) -> bytes:
        mixed = placed([(AT[one] + 0.2, samples(TEXTS[one])) for one in self.voice_hears], 0.0)
        return wav(soxr.resample(mixed, RATE_HZ, 24_000), rate_hz=24_000)

    def speech(self, item_id: str) -> bytes:
        return synthesize(GREETING, 24_000)


def party(deaf: set[tuple[str, str]] | None = None, voice: tuple[str, ...] = ("",)) -> Party:
    call = Party(Stack(Ports(), Path()), "lab", frozenset())
    call.deaf, call.voice_hears = deaf or set(), voice
    timeline: list[dict[str, Any]] = [
        {"event": "participant_added", "participant": one, "t": OPENED + JOINED[one]} for one in (DESK, EXPERT)
    ]
    for one, text in TEXTS.items():
        who = {"participant": one} if one else {}
        kind = "participant" if one else "caller"
        ended = AT[one] + len(samples(text)) / RATE_HZ
        timeline.append({"event": f"{kind}_says", "text": text, "t": OPENED + AT[one], **who})
        timeline.append({"event": f"{kind}_ends", "text": text, "t": OPENED + ended, **who})
    call.phone = {"line_opened": OPENED, "timeline": timeline, "invitations": []}
    ms = len(samples(GREETING)) / 16
    call.voice = {"id": "sess", "said": [{"item_id": "item", "text": GREETING, "ms": ms}], "truncations": []}
    return call


def checks(call: ObservedCall, expect: dict[str, Any]) -> list[bool]:
    people: dict[str, Any] = {"+14255550199": {}}
    scenario = Scenario.model_validate(
        {"name": "x", "people": people, "stack": {"routing": {"targets": TARGETS}}, "expect": expect}
    )
    return [check.holds for check in hearing_checks(call, scenario)]


def test_three_people_who_speak_at_once_are_told_apart() -> None:
    everybody = {"caller": ["desk", "expert", "agent"], "desk": ["caller", "expert"], "expert": ["caller", "desk"]}
    assert checks(party(), {"hears": everybody}) == [True] * 7
    assert checks(party(), {"unheard": everybody}) == [False] * 7


def test_a_person_who_is_not_heard_is_noticed_beneath_others() -> None:
    call = party({("", DESK), (EXPERT, "")})
    expect = {"caller": ["desk", "expert"], "expert": ["caller", "desk"]}
    assert checks(call, {"hears": expect}) == [False, True, False, True]
    assert checks(call, {"unheard": {"caller": ["desk"], "expert": ["caller"]}}) == [True, True]


@pytest.mark.parametrize(("voice", "desk"), [(("", DESK, EXPERT), True), (("",), False)])
def test_the_audio_of_the_voice_session_is_checked(voice: tuple[str, ...], desk: bool) -> None:
    assert checks(party(voice=voice), {"hears": {"voice": ["caller", "desk"]}}) == [True, desk]
    assert checks(party(voice=voice), {"unheard": {"voice": ["desk", "expert"]}}) == [not desk, not desk]


def test_a_sentence_may_be_named_by_its_text() -> None:
    assert checks(party(), {"hears": {"caller": ["How can I help you?", "second hall"], "desk": ["yesterday"]}}) == [
        True,
        True,
        True,
    ]
    assert checks(party(), {"hears": {"desk": ["How can I help you?"]}}) == [False], "this person joined after it"


def test_what_was_never_said_fails_both_ways() -> None:
    for key in ("hears", "unheard"):
        assert checks(party(), {key: {"caller": ["+14255550199"]}}) == [False]
        assert checks(party(), {key: {"+14255550199": ["caller"]}}) == [False], (
            "a person who never joined has no recording"
        )


def test_a_quiet_copy_is_not_full_volume() -> None:
    assert 0.2 < HEARD < 0.9
