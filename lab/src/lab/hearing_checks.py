"""Checks which participants heard each other: searches each utterance in the recordings of the other participants, and
in the audio of the voice session.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import soxr

from lab.call_checks import CallCheck
from lab.heard_audio import Recording, Samples, read_mono, read_recording, share_heard
from lab.observed_call import ObservedCall
from lab.scenario import Scenario
from lab.scenario_people import AGENT, CALLER, VOICE, raw_id_of, targets
from lab.wire import WireError

HEARD: Final = 0.5
"""Minimum share of an utterance's amplitude in what a listener hears. 1.0: at full volume, also beneath others."""
_MARGIN_S: Final = 0.5


@dataclass(frozen=True, slots=True)
class Spoken:
    """One utterance with its audio. `at_s`: its start in monotonic seconds; `None` for the agent, whose audio is
    heard some time after it was sent.
    """

    speaker: str
    text: str
    pcm: Samples
    rate_hz: int
    at_s: float | None = None


@dataclass(frozen=True, slots=True)
class ListenerAudio:
    """The audio that a listener heard. `opened`: its start in monotonic seconds; `None` if gaps in it are possible."""

    heard: Samples
    rate_hz: int
    opened: float | None = None

    def share(self, spoken: Spoken) -> float:
        """Return how loud the utterance is heard: 1.0 is its full volume, 0.0 nothing."""
        wanted = spoken.pcm
        if spoken.rate_hz != self.rate_hz:
            wanted = soxr.resample(wanted, spoken.rate_hz, self.rate_hz)
        heard = self.heard
        if self.opened is not None and spoken.at_s is not None:
            start = round((spoken.at_s - self.opened - _MARGIN_S) * self.rate_hz)
            length = len(wanted) + round(2 * _MARGIN_S * self.rate_hz)
            heard = heard[max(0, start) : max(0, start + length)]
        return share_heard(heard, wanted)


def hearing_checks(call: ObservedCall, scenario: Scenario) -> Iterator[CallCheck]:
    expected = scenario.expect
    if not expected.hears and not expected.unheard:
        return
    spoken = [*_people(call, scenario), *_agent(call)]
    heard_by: dict[str, ListenerAudio | None] = {}
    for listener in {**expected.hears, **expected.unheard}:
        heard_by[listener] = _listener_audio(call, scenario, listener)
    for claim, wanted, must in (("hears", expected.hears, True), ("does not hear", expected.unheard, False)):
        for listener, names in wanted.items():
            for name in names:
                by_name = name in (CALLER, AGENT, *targets(scenario), *scenario.people)
                text = f"{listener} {claim} {name if by_name else f'“{name}”'}"
                yield _check(text, heard_by[listener], name, spoken, by_name=by_name, must=must)


def _check(
    claim: str, audio: ListenerAudio | None, name: str, spoken: list[Spoken], *, by_name: bool, must: bool
) -> CallCheck:
    """Without an utterance there is nothing to check, which is a failure as well."""
    mine = [one for one in spoken if (name == one.speaker if by_name else name in one.text)]
    if audio is None:
        return CallCheck(claim, False, "there is no recording of this listener")
    if not mine:
        return CallCheck(claim, False, "nobody said it")
    best = max(mine, key=audio.share)
    share = audio.share(best)
    holds = share >= HEARD if must else share < HEARD
    return CallCheck(claim, holds, f"“{best.text}” at {100 * share:.0f} % of its volume")


def _people(call: ObservedCall, scenario: Scenario) -> Iterator[Spoken]:
    """The utterances of the caller and of all people, each under every name that the scenario may use."""
    names = {CALLER: ""}
    for name in (*scenario.people, *targets(scenario)):
        names[name] = raw_id_of(scenario, name)
    for name, raw_id in names.items():
        recording = _recording(call, raw_id)
        if recording is None:
            continue
        opened = call.line_opened(raw_id)
        for text, began, ended in call.utterances(raw_id):
            start, end = (round((t - opened) * recording.rate_hz) for t in (began, ended))
            pcm = recording.caller[max(0, start) : max(0, end)]
            yield Spoken(name, text, pcm, recording.rate_hz, began)


def _agent(call: ObservedCall) -> Iterator[Spoken]:
    cut = {row["item_id"]: float(row["audio_end_ms"]) for row in call.voice.get("truncations", [])}
    for item in call.voice.get("said", []):
        heard_ms = min(cut.get(item["item_id"], float(item["ms"])), float(item["ms"]))
        pcm = np.frombuffer(call.speech(item["item_id"]), dtype="<i2").astype(np.float64)
        yield Spoken(AGENT, str(item["text"]), pcm[: int(heard_ms * 24)], 24_000)


def _listener_audio(call: ObservedCall, scenario: Scenario, listener: str) -> ListenerAudio | None:
    if listener == VOICE:
        try:
            rate_hz, heard = read_mono(call.heard_by_voice())
        except WireError:
            return None
        return ListenerAudio(heard, rate_hz)
    raw_id = "" if listener == CALLER else raw_id_of(scenario, listener)
    recording = _recording(call, raw_id)
    return (
        ListenerAudio(recording.agent, recording.rate_hz, call.line_opened(raw_id)) if recording is not None else None
    )


def _recording(call: ObservedCall, raw_id: str) -> Recording | None:
    """Return the recording of a person's phone, of the caller's for ""; `None` for a person who never joined."""
    try:
        return read_recording(call.recording(raw_id))
    except WireError:
        return None
