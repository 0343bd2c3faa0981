"""ACS → uplink: decodes the messages of a media socket and enforces the limits on the data that a peer may send."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final, Protocol

from bridge_common.base.errors import FrameError
from bridge_common.base.log import fields
from bridge_common.streams.writer import Outlet
from bridge_common.wire.audio import FRAME_MS, PHONE_RATE_HZ, VOICE_RATE_HZ, ms_of_bytes
from bridge_common.wire.call_record import CallRecord
from bridge_common.wire.entries import Dtmf
from media_gateway import metrics
from media_gateway.core.acs_media import AudioData, AudioMetadata, DtmfData, decode
from media_gateway.core.peer_limits import Pace
from media_gateway.core.speakers import Speakers
from media_gateway.socket.frame_socket import FrameSocket
from media_gateway.socket.speaker_audio import SpeakerAudio
from media_gateway.socket.uplink_encoder import UplinkEncoder
from media_gateway.socket_context import SocketContext

log = logging.getLogger(__name__)

UNSUPPORTED: Final = 1003
POLICY: Final = 1008

GAP_S: Final = 0.1
"""Minimum length of a gap. ACS sends audio every 20 ms; an agent could mistake a longer pause for silence."""
BAD_FRAMES_IN_A_ROW: Final = 10
_PROBE_EACH_S: Final = 0.9
_QUIET_S: Final = 0.3
"""Time without messages from ACS after which latency probes are written more often, so that the relay does not report
the uplink as missed.
"""
_FRAME_S: Final = FRAME_MS / 1000
_PACED_SPEAKERS: Final = 4
"""Maximum speakers in the limit on the pace of the audio. ACS sends at most four dominant speakers."""


class ReceivingSession(Protocol):
    def rate_known(self, rate_hz: int) -> None:
        """Start the audio in both directions, after the sample rate is known."""

    def end(self, code: int, reason: str, *, lost: bool = True) -> None: ...

    def paused(self, paused: bool) -> None: ...

    def closed(self, code: int) -> None: ...


class AcsReceiver:
    """A `Receiver` of the socket. Ends the session if the peer sends messages that ACS never sends."""

    def __init__(
        self,
        session: ReceivingSession,
        socket: FrameSocket,
        outlet: Outlet,
        context: SocketContext,
        record: CallRecord,
        clock: Callable[[], float],
    ) -> None:
        self._session = session
        self._socket = socket
        self._outlet = outlet
        self._agreed_rate_hz = context.settings.agreed_rate_hz
        self._first_message_s = context.limits.first_message_s
        self._idle_s = context.limits.idle_s
        self._ticker = context.ticker
        self._call_id = record.call_id
        mixed = context.settings.acs_audio_channels == "mixed"
        self._speakers = Speakers(record.caller, record.participants, mixed=mixed)
        self._clock = clock
        self._audio: SpeakerAudio | None = None
        self._direct: UplinkEncoder | None = None
        """`SpeakerAudio.direct`, here to save a lookup for each frame."""
        self._rate_hz = 0
        self._s_per_byte = ms_of_bytes(1, PHONE_RATE_HZ) / 1000
        self._bad_in_a_row = 0
        self._probed_at = float("-inf")
        self._sampling = False
        """Whether the next audio message becomes `_frame`."""
        self._frame: bytes | None = None
        self._sampled = False
        self._began_at = self._received_at = clock()
        self._pace = Pace(self._began_at)

    @property
    def silent_until(self) -> float:
        """Time at which the session ends because the peer is silent, unless a message arrives before."""
        return self._received_at + (self._idle_s if self._received_at > self._began_at else self._first_message_s)

    def probe_due(self, now: float) -> bool:
        """Whether a latency probe for the relay is due. Called twice a second."""
        is_due = now - self._probed_at >= _PROBE_EACH_S or now - self._received_at >= _QUIET_S
        if is_due and self._audio is not None:
            self._probed_at = now
            return True
        return False

    def sample(self) -> bytes | None:
        """Return the PCM of a frame that has arrived since the last call, empty if ACS marks it as silent; None if none
        has arrived. Call it twice a second.
        """
        frame, self._frame, self._sampling = self._frame, None, True
        return frame

    # -- speakers
    @property
    def lookup_due(self) -> bool:
        """Whether `know` should be called with a newer record."""
        return self._speakers.lookup_due(self._clock())

    def know(self, record: CallRecord) -> None:
        if self._audio is not None:
            self._audio.know(record.participants)

    def listen(self, to: str) -> None:
        """Select the participants that the agent hears from now on. `to`: as in `Listen`."""
        if self._audio is not None:
            self._audio.listen(to)

    def stop(self) -> None:
        """Write no more audio."""
        if self._audio is not None:
            self._audio.stop()

    # -- `Receiver`
    def text(self, message: memoryview) -> None:
        now = self._clock()
        if now - self._received_at > GAP_S and self._audio is not None:
            metrics.GAPS.labels("in").observe(now - self._received_at)
        if self._sampling:
            self._take_sample(message, now)
        self._received_at = now
        direct = self._direct
        if direct is not None and direct.frame(message):
            metrics.FRAMES.received += 1
            self._bad_in_a_row = 0
            length_s = _FRAME_S
        else:
            length_s = self._any_message(message)
        self._count(length_s, now)

    def binary(self, message: memoryview) -> None:
        self._received_at = self._clock()
        self._bad_frame("the media message is binary; ACS sends text")
        self._count(_FRAME_S, self._received_at)

    def overhead(self) -> None:
        self._count(_FRAME_S, self._clock())

    def paused(self, paused: bool) -> None:
        self._session.paused(paused)

    def closed(self, code: int) -> None:
        self._session.closed(code)

    # -- messages
    def _take_sample(self, message: memoryview, now: float) -> None:
        """Decode the message once more: the resampler clips and smooths what has to be inspected."""
        try:
            decoded = decode(message)
        except FrameError:
            return
        if type(decoded) is not AudioData:
            return
        self._sampling, self._frame = False, b"" if decoded.silent else decoded.pcm
        # Frames of several speakers arrive together. Before the first frame, ACS sends another message.
        if self._sampled and self._direct is not None:
            metrics.JITTER.observe(abs(now - self._received_at - _FRAME_S))
        self._sampled = True

    def _count(self, length_s: float, now: float) -> None:
        """Count a message. A peer that sends much faster than real time is not read any more, even after the end of the
        call.
        """
        if not self._pace.keeps(length_s, now):
            self._session.end(POLICY, "audio arrives much faster than real time")
            self._socket.stop()

    def _any_message(self, message: memoryview) -> float:
        """Process a message and return its length in seconds; a message without audio counts as a frame."""
        try:
            decoded = decode(message)
        except FrameError as error:
            self._bad_frame(error.message)
            return _FRAME_S
        self._bad_in_a_row = 0
        if type(decoded) is AudioData:
            self._take(decoded)
            return max(_FRAME_S, len(decoded.pcm) * self._s_per_byte)
        if type(decoded) is AudioMetadata:
            self._metadata(decoded)
        elif type(decoded) is DtmfData:
            log.debug("DTMF tone received", extra=fields(call_id=self._call_id))
            self._outlet.append(Dtmf(decoded.tone, decoded.participant))
        return _FRAME_S

    def _bad_frame(self, reason: str) -> None:
        metrics.BAD_FRAMES.inc()
        self._bad_in_a_row += 1
        if self._bad_in_a_row == 1:
            log.warning("bad frame dropped", extra=fields(call_id=self._call_id, reason=reason))
        if self._bad_in_a_row >= BAD_FRAMES_IN_A_ROW:
            self._session.end(POLICY, f"{BAD_FRAMES_IN_A_ROW} bad frames in a row")

    def _metadata(self, message: AudioMetadata) -> None:
        announced = fields(call_id=self._call_id, rate_hz=message.rate_hz, channels=message.channels)
        log.debug("audio metadata received", extra=announced)
        known = message.rate_hz in (PHONE_RATE_HZ, VOICE_RATE_HZ)
        if not known or message.channels != 1 or message.encoding.upper() != "PCM":
            self._session.end(UNSUPPORTED, "unsupported audio format; PCM, one channel, 16000 or 24000 Hz is supported")
        elif self._audio is None:
            self._open(message.rate_hz)
        elif message.rate_hz != self._rate_hz:
            self._session.end(UNSUPPORTED, "AudioMetadata changed the sample rate of an open media socket")

    def _take(self, message: AudioData) -> None:
        audio, now = self._audio or self._open(self._agreed_rate_hz), self._clock()
        if audio.take(message, now):
            metrics.FRAMES.received += 1
        else:
            metrics.OTHER_PARTICIPANT_FRAMES.inc()
        self._direct = audio.direct
        self._pace.speakers = min(self._speakers.count(now), _PACED_SPEAKERS)

    def _open(self, rate_hz: int) -> SpeakerAudio:
        self._rate_hz = rate_hz
        self._s_per_byte = ms_of_bytes(1, rate_hz) / 1000
        self._session.rate_known(rate_hz)
        uplink = UplinkEncoder(self._outlet, rate_hz)
        self._audio = SpeakerAudio(uplink, self._speakers, self._ticker, rate_hz)
        self._direct = self._audio.direct
        return self._audio
