"""ACS → caller's uplink: what arrives on a media socket, and what a peer may not send."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final, Protocol

from bridge_common.base.errors import FrameError
from bridge_common.base.log import fields
from bridge_common.streams.writer import Outlet
from bridge_common.wire.audio import FRAME_MS, PHONE_RATE_HZ, VOICE_RATE_HZ, ms_of_bytes
from bridge_common.wire.entries import Dtmf
from media_gateway import metrics
from media_gateway.core.acs_media import AudioData, AudioMetadata, DtmfData, decode
from media_gateway.core.pace import Pace
from media_gateway.settings import GatewaySettings
from media_gateway.socket.frame_socket import FrameSocket
from media_gateway.socket.uplink_encoder import UplinkEncoder

log = logging.getLogger(__name__)

UNSUPPORTED: Final = 1003
POLICY: Final = 1008

# Tests shorten these two. They are not Final, because compiled code inlines the values of Final constants.
FIRST_MESSAGE_S = 5.0
IDLE_S = 10.0
GAP_S: Final = 0.1
"""ACS sends 20 ms at a time; a pause of more is one that an agent could take for silence."""
BAD_FRAMES_IN_A_ROW: Final = 10
_STAMP_EACH_S: Final = 0.9
_QUIET_S: Final = 0.3
"""After this time without messages from ACS, latency probes are written more often, so that the relay does not report
the uplink as missed."""
_FRAME_S: Final = FRAME_MS / 1000
_UNIDENTIFIED: Final = ("", "4:", "4:anonymous")


class ReceivingSession(Protocol):
    def rate_known(self, rate_hz: int) -> None:
        """Audio may flow both ways."""

    def end(self, code: int, reason: str, *, lost: bool = True) -> None: ...

    def paused(self, paused: bool) -> None: ...

    def closed(self, code: int) -> None: ...


class AcsReceiver:
    """A `Receiver` of the socket. Asks the session to end when the peer sends what ACS never does."""

    def __init__(
        self,
        session: ReceivingSession,
        socket: FrameSocket,
        outlet: Outlet,
        settings: GatewaySettings,
        caller: str,
        call_id: str,
        clock: Callable[[], float],
    ) -> None:
        self._session = session
        self._socket = socket
        self._outlet = outlet
        self._agreed_rate_hz = settings.agreed_rate_hz
        self._caller = caller
        self._call_id = call_id
        # The participant id under which a caller without a raw id speaks is not known.
        self._hears_all = settings.accept_participants == "all" or caller in _UNIDENTIFIED
        self._clock = clock
        self._uplink: UplinkEncoder | None = None
        self._rate_hz = 0
        self._s_per_byte = ms_of_bytes(1, PHONE_RATE_HZ) / 1000
        self._bad_in_a_row = 0
        self._stamped_at = float("-inf")
        self._began_at = self._heard_at = clock()
        self._pace = Pace(self._began_at)

    @property
    def silent_until(self) -> float:
        """When the peer will have been silent for too long."""
        return self._heard_at + (IDLE_S if self._heard_at > self._began_at else FIRST_MESSAGE_S)

    def stamp_due(self, now: float) -> bool:
        """Whether a latency probe for the relay is due; called twice a second."""
        is_due = now - self._stamped_at >= _STAMP_EACH_S or now - self._heard_at >= _QUIET_S
        if is_due and self._uplink is not None:
            self._stamped_at = now
            return True
        return False

    # -- `Receiver`
    def text(self, message: memoryview) -> None:
        now = self._clock()
        if now - self._heard_at > GAP_S and self._uplink is not None:
            metrics.GAPS.labels("in").observe(now - self._heard_at)
        self._heard_at = now
        if self._hears_all and self._uplink is not None and self._uplink.frame(message):
            metrics.FRAMES.heard += 1
            self._bad_in_a_row = 0
            length_s = _FRAME_S
        else:
            length_s = self._any_message(message)
        self._count(length_s, now)

    def binary(self, message: memoryview) -> None:
        self._heard_at = self._clock()
        self._bad_frame("media messages are text, this one is binary")
        self._count(_FRAME_S, self._heard_at)

    def overhead(self) -> None:
        self._count(_FRAME_S, self._clock())

    def paused(self, paused: bool) -> None:
        self._session.paused(paused)

    def closed(self, code: int) -> None:
        self._session.closed(code)

    # -- messages
    def _count(self, length_s: float, now: float) -> None:
        """A peer that sends much faster than real time is read no more, also after the end of the call."""
        if not self._pace.keeps(length_s, now):
            self._session.end(POLICY, "much faster than real time")
            self._socket.stop()

    def _any_message(self, message: memoryview) -> float:
        """How long a message lasts, in seconds; one without sound counts as a frame."""
        try:
            heard = decode(message)
        except FrameError as error:
            self._bad_frame(error.message)
            return _FRAME_S
        self._bad_in_a_row = 0
        if type(heard) is AudioData:
            self._audio(heard)
            return max(_FRAME_S, len(heard.pcm) * self._s_per_byte)
        if type(heard) is AudioMetadata:
            self._metadata(heard)
        elif type(heard) is DtmfData:
            log.debug("tone from ACS", extra=fields(call_id=self._call_id))
            self._outlet.append(Dtmf(heard.tone))
        return _FRAME_S

    def _bad_frame(self, reason: str) -> None:
        metrics.BAD_FRAMES.inc()
        self._bad_in_a_row += 1
        if self._bad_in_a_row == 1:
            log.warning("bad frame dropped", extra=fields(call_id=self._call_id, reason=reason))
        if self._bad_in_a_row >= BAD_FRAMES_IN_A_ROW:
            self._session.end(POLICY, f"{BAD_FRAMES_IN_A_ROW} bad frames in a row")

    def _metadata(self, message: AudioMetadata) -> None:
        about = fields(call_id=self._call_id, rate_hz=message.rate_hz, channels=message.channels)
        log.debug("audio metadata from ACS", extra=about)
        known = message.rate_hz in (PHONE_RATE_HZ, VOICE_RATE_HZ)
        if not known or message.channels != 1 or message.encoding.upper() != "PCM":
            self._session.end(UNSUPPORTED, "PCM, one channel, 16000 or 24000 Hz")
        elif self._uplink is None:
            self._open(message.rate_hz)
        elif message.rate_hz != self._rate_hz:
            self._session.end(UNSUPPORTED, "the rate cannot change")

    def _audio(self, message: AudioData) -> None:
        if not self._hears_all and message.participant not in ("", self._caller):
            metrics.FOREIGN_FRAMES.inc()
            return
        uplink = self._uplink or self._open(self._agreed_rate_hz)
        metrics.FRAMES.heard += 1
        uplink.audio(message)

    def _open(self, rate_hz: int) -> UplinkEncoder:
        self._rate_hz = rate_hz
        self._s_per_byte = ms_of_bytes(1, rate_hz) / 1000
        self._session.rate_known(rate_hz)
        self._uplink = UplinkEncoder(self._outlet, rate_hz)
        return self._uplink
