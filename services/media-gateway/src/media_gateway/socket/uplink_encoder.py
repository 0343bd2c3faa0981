"""Caller → AI: audio from a media socket becomes entries of exactly 20 ms at 24 kHz."""

from __future__ import annotations

from bridge_common.streams.writer import Outlet
from bridge_common.wire.audio import FRAME_MS, VOICE_RATE_HZ, frame_bytes, silence
from bridge_common.wire.entries import AudioFrame
from media_gateway.core.acs_media import AudioData
from media_gateway.core.framing import Framing
from media_gateway.core.rate_change import rate_change


class UplinkEncoder:
    """Writes one stream of audio to the call's uplink stream."""

    def __init__(self, outlet: Outlet, rate_hz: int) -> None:
        self.speaker: bytes | None = None
        """Participant id of the plain frames that `frame` processes: see `RateChange.feed_message`."""
        self._outlet = outlet
        self._silent_frame = silence(FRAME_MS, rate_hz)
        self._rate = rate_change(rate_hz, VOICE_RATE_HZ)
        self._framing = Framing(frame_bytes(VOICE_RATE_HZ))

    def frame(self, message: memoryview) -> bool:
        """Process a plain audio frame of `speaker`, as nearly all messages are. Returns False, without effect, for any
        other message.
        """
        pcm = None if self._framing.rest else self._rate.feed_message(message, self.speaker)
        if pcm is None:
            return False
        self._outlet.append(AudioFrame(pcm))
        return True

    def pcm_of(self, message: AudioData) -> bytes:
        """Return the audio of a message, zeros if it is silent: the voice service needs silence to detect that the
        caller has stopped speaking.
        """
        return (bytes(len(message.pcm)) or self._silent_frame) if message.silent else message.pcm

    def write(self, pcm: bytes) -> None:
        for frame in self._framing.feed(self._rate.feed(pcm)):
            self._outlet.append(AudioFrame(frame))
