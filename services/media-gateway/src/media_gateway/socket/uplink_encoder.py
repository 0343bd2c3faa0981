"""Caller → AI: audio from a media socket becomes entries of exactly 20 ms at 24 kHz."""

from __future__ import annotations

from bridge_common.streams.writer import Outlet
from bridge_common.wire.audio import FRAME_MS, VOICE_RATE_HZ, frame_bytes, silence
from bridge_common.wire.entries import AudioFrame
from media_gateway.core.acs_media import AudioData
from media_gateway.core.rate_change import rate_change


class Framing:
    """Cuts a stream of bytes into frames of exactly `frame_bytes`."""

    def __init__(self, frame_bytes: int) -> None:
        self._frame_bytes = frame_bytes
        self.rest = b""
        """The beginning of an incomplete frame."""

    def feed(self, pcm: bytes) -> list[bytes]:
        size = self._frame_bytes
        if not self.rest and len(pcm) == size:
            return [pcm]
        pcm = self.rest + pcm
        whole = len(pcm) - len(pcm) % size
        self.rest = pcm[whole:]
        return [pcm[start : start + size] for start in range(0, whole, size)]


class UplinkEncoder:
    """Writes one media socket's audio to the call's uplink stream."""

    def __init__(self, outlet: Outlet, rate_hz: int) -> None:
        self._outlet = outlet
        self._silent_frame = silence(FRAME_MS, rate_hz)
        self._rate = rate_change(rate_hz, VOICE_RATE_HZ)
        self._framing = Framing(frame_bytes(VOICE_RATE_HZ))

    def frame(self, message: memoryview) -> bool:
        """Process a plain audio frame, as nearly all messages are. Returns False, without effect, for any other
        message.
        """
        pcm = None if self._framing.rest else self._rate.feed_message(message)
        if pcm is None:
            return False
        self._outlet.append(AudioFrame(pcm))
        return True

    def audio(self, message: AudioData) -> None:
        """Forward a message as audio, even if it is silent: the voice service needs silence to detect that the caller
        has stopped speaking.
        """
        pcm = message.pcm
        if message.silent:
            pcm = bytes(len(pcm)) or self._silent_frame
        for frame in self._framing.feed(self._rate.feed(pcm)):
            self._outlet.append(AudioFrame(frame))
