"""Caller → AI: what a media socket brings becomes entries of exactly 20 ms at 24 kHz."""

from __future__ import annotations

from bridge_common.streams.writer import Outlet
from bridge_common.wire.audio import FRAME_MS, VOICE_RATE_HZ, frame_bytes, silence
from bridge_common.wire.entries import AudioFrame
from media_gateway.core.acs_media import AudioData
from media_gateway.core.framing import Framing
from media_gateway.core.rate_change import rate_change


class UplinkEncoder:
    """One media socket's audio on its way into the call's uplink stream."""

    def __init__(self, outlet: Outlet, rate_hz: int) -> None:
        self._outlet = outlet
        self._silent_frame = silence(FRAME_MS, rate_hz)
        self._rate = rate_change(rate_hz, VOICE_RATE_HZ)
        self._framing = Framing(frame_bytes(VOICE_RATE_HZ))

    def frame(self, message: memoryview) -> bool:
        """Nearly all messages are plain frames. False: this is something else, and nothing was taken of it."""
        pcm = None if self._framing.rest else self._rate.feed_message(message)
        if pcm is None:
            return False
        self._outlet.append(AudioFrame(pcm))
        return True

    def audio(self, message: AudioData) -> None:
        """Silence is forwarded as audio: the voice service needs it to detect that the caller has stopped speaking."""
        pcm = message.pcm
        if message.silent:
            pcm = bytes(len(pcm)) or self._silent_frame
        for frame in self._framing.feed(self._rate.feed(pcm)):
            self._outlet.append(AudioFrame(frame))
