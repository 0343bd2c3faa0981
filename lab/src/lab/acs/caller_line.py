"""The phone of one person in the call: sends and plays audio, on one time axis that starts when the line opens.

No I/O and no clock. Every 20 ms the call sends the frame that `tick(now)` returns. Audio from the media socket
goes to `play`, StopAudio to `clear`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lab.acs.call_audio import CallAudio
from lab.acs.caller_uplink import CallerEnds, CallerSays, CallerUplink, Marks, Speech, Utterance
from lab.acs.frame_clock import CATCH_UP_S
from lab.acs.hearing import Heard, Hearing
from lab.acs.media_codec import frame_bytes
from lab.acs.noise import NoiseFloor
from lab.acs.recording import CallRecording
from lab.mark_stream import MarkStream

_SILENCE_S = 1.0

Change = Heard | CallerSays | CallerEnds


class CallerLine:
    """The phone line of a caller.

    `muted` suppresses the audio of the caller; `on_hold` blocks both directions. `prompts`: audio that ACS itself plays
    to the caller (the Play operation), mixed with the agent's. `noise` is added to the audio of the caller unless the
    line is muted or on hold.
    """

    def __init__(
        self,
        rate_hz: int,
        opened: float,
        uplink: CallerUplink,
        *,
        threshold: int,
        record: bool,
        noise: NoiseFloor | None = None,
    ) -> None:
        self.rate_hz = rate_hz
        self.opened = opened
        self.uplink = uplink
        self.playout = CallAudio(rate_hz, opened)
        self.prompts = CallAudio(rate_hz, opened)
        self.hearing = Hearing(rate_hz, threshold)
        self.recording = CallRecording(rate_hz) if record else None
        self.mark_reader = MarkStream(rate_hz) if isinstance(uplink, Marks) else None
        self.marks_heard: list[tuple[int, int, float]] = []
        self.silences: list[tuple[float, float]] = []
        """(start, end) of each period of digital silence longer than a second; recorded only if the caller sends marks.
        """
        self._sounded_at = opened
        self.muted = False
        self.on_hold = False
        self.prompt_form = "mixed"
        """Sound while a prompt and the agent play at the same time (`CallForms.play_with_stream`)."""
        self.agent_heard = b""
        """Agent audio and prompts of the last tick."""
        self.spoken: bytes | None = None
        """The voice in the last frame, without noise; `None` while the person is silent, muted or on hold."""
        self.frame: bytes | None = None
        """The last frame with noise, also while muted or on hold; `None` is silence."""
        self._noise = noise
        self._cut = False
        """True if StopAudio has arrived since the last tick."""
        self._sound_before_cut_ms = 0.0
        self._silence = bytes(frame_bytes(rate_hz))

    def say(self, pcm: bytes, text: str) -> Utterance:
        """Queue speech. Raises `ValueError` if the caller sends numbered frames (marks)."""
        if not isinstance(self.uplink, Speech):
            raise ValueError(
                "the caller sends numbered frames (marks) and cannot speak; create the call with `audio: script`"
            )
        return self.uplink.say(pcm, text)

    def play(self, pcm: bytes, now: float) -> None:
        """Queue agent audio that arrived at `now`. Marks are decoded on arrival and played only if the call is
        recorded.
        """
        if self.mark_reader is None or self.recording is not None:
            self.playout.add(pcm, now)
        if self.mark_reader is None:
            return
        if pcm.strip(b"\0"):
            self._sounds(now)
        for call, seq in self.mark_reader.feed(pcm):
            self.marks_heard.append((call, seq, now))

    def _sounds(self, now: float) -> None:
        if now - self._sounded_at > _SILENCE_S:
            self.silences.append((self._sounded_at, now))
        self._sounded_at = now

    def silences_until(self, now: float) -> list[tuple[float, float]]:
        silent = now - self._sounded_at > _SILENCE_S
        return [*self.silences, (self._sounded_at, now)] if silent else self.silences

    def clear(self, now: float) -> float:
        self._cut = True
        return self.playout.clear(now)

    @property
    def stopped(self) -> bool:
        """Whether the others do not hear this person."""
        return self.muted or self.on_hold

    @property
    def agent_speaks(self) -> bool:
        """Whether the caller hears the agent speak. Stays true in pauses between words; false after StopAudio."""
        interrupted = self._cut or self.hearing.sound_ms <= self._sound_before_cut_ms
        return self.hearing.speaking and not interrupted

    def tick(self, now: float) -> tuple[bytes | None, Sequence[Change]]:
        """Return the next frame of the caller (`None`: silence) and the speech starts and ends since the last tick."""
        heard = self.agent_heard = self._heard(now)
        frame = self.uplink.next_frame(now)
        self.spoken = None if self.stopped else frame
        if self._noise is not None:
            frame = self._noise.under(frame)
        self.frame = frame
        changes: list[Change] = [*self.hearing.feed(heard, now), *self.uplink.changes()]
        if self._cut:
            self._cut, self._sound_before_cut_ms = False, self.hearing.sound_ms
        if self.recording is not None:
            self._align_caller(now)
            self.recording.say(frame or self._silence)
            self.recording.hear(heard)
        return (None if self.stopped else frame), changes

    def overhear(self, pcm: bytes) -> None:
        """Record the voices of the other people in the call during the last frame."""
        if self.recording is not None:
            self.recording.overhear(pcm)

    def listen(self, now: float) -> None:
        """Play the received audio without sending any; replaces `tick` if the caller sends marks. The caller's channel
        is not recorded: the sent marks are in `uplink.sent`.
        """
        if self.recording is not None:
            self.recording.hear(self._heard(now))

    def _heard(self, now: float) -> bytes:
        agent, prompt = self.playout.advance(now), self.prompts.advance(now)
        if self.on_hold:
            agent = bytes(len(agent))
        if self.prompt_form == "stream_only" and agent.strip(b"\0"):
            return agent
        if not prompt.strip(b"\0"):
            return agent
        if self.prompt_form == "prompt_only":
            return prompt
        mixed = np.frombuffer(agent, "<i2").astype(np.int32) + np.frombuffer(prompt, "<i2")
        heard: bytes = np.clip(mixed, -32768, 32767).astype("<i2").tobytes()
        return heard

    def _align_caller(self, now: float) -> None:
        """Fill the recording of the caller with silence for skipped ticks (the machine was suspended).

        Ticks that are only late still deliver their frames: silence would split a word and remain as a delay.
        """
        assert self.recording is not None
        frame_samples = len(self._silence) // 2
        behind = round((now - self.opened) * self.rate_hz) - self.recording.left_samples
        if behind > CATCH_UP_S * self.rate_hz:
            self.recording.say(bytes(2 * (behind - frame_samples)))
