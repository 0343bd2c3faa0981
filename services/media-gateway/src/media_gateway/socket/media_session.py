"""One media socket of one call, from the moment it has the right to speak for the call until it is closed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from bridge_common.base.errors import FrameError
from bridge_common.base.log import fields, phone
from bridge_common.base.waiting import afterwards, beside
from bridge_common.observability import telemetry
from bridge_common.store.call_store import MediaGrant
from bridge_common.wire.audio import FRAME_MS, PHONE_RATE_HZ, VOICE_RATE_HZ, ms_of_bytes
from bridge_common.wire.entries import (
    Dtmf,
    Ended,
    HangUp,
    InboxEntry,
    MediaAttached,
    MediaDetached,
    MediaLost,
    MediaOpen,
    Stamp,
)
from media_gateway import metrics
from media_gateway.core.acs_media import AudioData, AudioMetadata, DtmfData, decode
from media_gateway.core.pace import Pace
from media_gateway.core.playout import Report
from media_gateway.socket.downlink_playout import DownlinkPlayout
from media_gateway.socket.frame_socket import ABRUPT, INTERNAL, NO_STATUS, NORMAL, FrameSocket
from media_gateway.socket.media_trace import MediaTrace
from media_gateway.socket.send_buffer import SendBuffer
from media_gateway.socket.teardown import APOLOGY, apologize, how_it_ended, tell
from media_gateway.socket.uplink_encoder import UplinkEncoder
from media_gateway.socket_context import SocketContext

log = logging.getLogger(__name__)

UNSUPPORTED: Final = 1003
POLICY: Final = 1008
TAKEN_OVER: Final = 4001
"""Our own: a newer socket has the call."""

# Those that tests shorten are not Final, which would be built into what is compiled.
FIRST_MESSAGE_S = 5.0
IDLE_S = 10.0
GAP_S: Final = 0.1
"""ACS sends 20 ms at a time; a pause of more is one that an agent could take for silence."""
RESTORED_WITHIN_S = 5.0
_STAMP_EACH_S: Final = 0.9
_QUIET_S: Final = 0.3
"""After this time without messages from ACS stamps are written more often, so that the relay does not report the uplink
as missed."""
_ANOTHER_LOSS_S: Final = 1.0
BAD_FRAMES_IN_A_ROW: Final = 10
_FRAME_S: Final = FRAME_MS / 1000
_UNIDENTIFIED: Final = ("", "4:", "4:anonymous")


class MediaSession:
    """Everything but `run` returns at once; whatever ends the session calls `end`, and the first reason counts."""

    def __init__(self, socket: FrameSocket, grant: MediaGrant, around: SocketContext) -> None:
        self._socket = socket
        self._around = around
        self._call_id = grant.record.call_id
        self._caller = grant.record.caller
        # The participant id under which a caller without a raw id speaks is not known.
        self._hears_all = around.settings.accept_participants == "all" or self._caller in _UNIDENTIFIED
        self.epoch = grant.epoch
        self._cursor = grant.downlink_cursor
        self._clock = asyncio.get_running_loop().time
        self._outlet = around.writer.outlet(around.keys.uplink(self._call_id), grant.epoch, self._fenced, self._missing)
        self._outbox = SendBuffer(socket.send, lambda: self.end(POLICY, "does not read"))
        self._uplink: UplinkEncoder | None = None
        self._downlink: DownlinkPlayout | None = None
        self._rate_hz = 0
        self._s_per_byte = ms_of_bytes(1, PHONE_RATE_HZ) / 1000
        self._ending = asyncio.Event()
        self._gone = asyncio.Event()
        """The peer has closed."""
        self._ended: Ended | None = None
        self._code = ABRUPT
        self._reason = ""
        self._lost = True
        """The call goes on without its media."""
        self._detached = False
        self._stamped_at = float("-inf")
        self._missing_since = self._missed_at = float("-inf")
        self._bad_in_a_row = 0
        self._began_at = self._heard_at = self._clock()
        self._pace = Pace(self._began_at)
        self._trace = MediaTrace(grant)

    @property
    def call_id(self) -> str:
        return self._call_id

    @property
    def waiting_s(self) -> float:
        return self._downlink.waiting_s if self._downlink is not None else 0.0

    async def run(self) -> None:
        """Carry the call's audio until the socket ends."""
        log.info(
            "media socket attached", extra=fields(call_id=self._call_id, epoch=self.epoch, caller=phone(self._caller))
        )
        told = self._tell(MediaOpen(self._call_id, self.epoch))
        await afterwards(beside(self._carry(), told), self._leave)

    async def _carry(self) -> None:
        self.tick(self._began_at)
        self._socket.listen(self)
        await self._ending.wait()

    async def _leave(self) -> None:
        self._detach()
        await self._close()

    def end(self, code: int, reason: str, *, lost: bool = True) -> None:
        if not self._ending.is_set():
            self._code, self._reason, self._lost = code, reason, lost
            self._ending.set()
            self._socket.stop()

    def displace(self) -> None:
        self._fenced()
        self._detach()

    # -- from ACS
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

    def _count(self, length_s: float, now: float) -> None:
        """Whoever sends much faster than real time is not heard any more, also after the end of the call."""
        if not self._pace.keeps(length_s, now):
            self.end(POLICY, "much faster than real time")
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

    def binary(self, message: memoryview) -> None:
        self._heard_at = self._clock()
        self._bad_frame("media messages are text, this one is binary")
        self._count(_FRAME_S, self._heard_at)

    def overhead(self) -> None:
        self._count(_FRAME_S, self._clock())

    def paused(self, paused: bool) -> None:
        self._outbox.paused(paused)

    def closed(self, code: int) -> None:
        self._gone.set()
        self.end(ABRUPT if code == NO_STATUS else code, "closed by ACS")
        self._detach()

    def _bad_frame(self, reason: str) -> None:
        metrics.BAD_FRAMES.inc()
        self._bad_in_a_row += 1
        if self._bad_in_a_row == 1:
            log.warning("bad frame dropped", extra=fields(call_id=self._call_id, reason=reason))
        if self._bad_in_a_row >= BAD_FRAMES_IN_A_ROW:
            self.end(POLICY, f"{BAD_FRAMES_IN_A_ROW} bad frames in a row")

    def _metadata(self, message: AudioMetadata) -> None:
        about = fields(call_id=self._call_id, rate_hz=message.rate_hz, channels=message.channels)
        log.debug("audio metadata from ACS", extra=about)
        known = message.rate_hz in (PHONE_RATE_HZ, VOICE_RATE_HZ)
        if not known or message.channels != 1 or message.encoding.upper() != "PCM":
            self.end(UNSUPPORTED, "PCM, one channel, 16000 or 24000 Hz")
        elif self._uplink is None:
            self._open(message.rate_hz)
        elif message.rate_hz != self._rate_hz:
            self.end(UNSUPPORTED, "the rate cannot change")

    def _audio(self, message: AudioData) -> None:
        if not self._hears_all and message.participant not in ("", self._caller):
            metrics.FOREIGN_FRAMES.inc()
            return
        uplink = self._uplink or self._open(self._around.settings.agreed_rate_hz)
        metrics.FRAMES.heard += 1
        uplink.audio(message)

    def _open(self, rate_hz: int) -> UplinkEncoder:
        """The rate is known: audio may flow both ways."""
        self._rate_hz = rate_hz
        self._s_per_byte = ms_of_bytes(1, rate_hz) / 1000
        self._outlet.append(MediaAttached(rate_hz))
        self._trace.opened(rate_hz)
        self._uplink = UplinkEncoder(self._outlet, rate_hz)
        self._downlink = self._new_downlink(self._outlet.append)
        if not self._detached:
            self._around.reader.add(self._around.keys.downlink(self._call_id), self._cursor, self._downlink.take)
        return self._uplink

    def _new_downlink(self, report: Callable[[Report], None]) -> DownlinkPlayout:
        return DownlinkPlayout(
            self._rate_hz,
            self._around.settings,
            clock=self._clock,
            ticker=self._around.ticker,
            outbox=self._outbox,
            report=report,
            on_stopped=self._trace.stopped,
            on_ended=self._call_ended,
            wait_phrase=self._around.wait_phrase,
        )

    def alone(self, alone: bool) -> None:
        """Whether no relay drives the call."""
        if self._downlink is not None and not self._detached:
            self._downlink.alone(alone)

    def stamp(self) -> None:
        """To be called twice a second: shows the relay the latency of our entries, and that the gateway is alive."""
        now = self._clock()
        is_due = now - self._stamped_at >= _STAMP_EACH_S or now - self._heard_at >= _QUIET_S
        if is_due and self._uplink is not None and not self._detached:
            self._stamped_at = now
            self._outlet.append(Stamp(telemetry.now_us()))

    def tick(self, now: float) -> None:
        """Whether the peer still speaks; looked at when it could have been silent for too long."""
        limit_s = IDLE_S if self._heard_at > self._began_at else FIRST_MESSAGE_S
        if now - self._heard_at >= limit_s:
            self.end(POLICY, "nothing was sent for too long")
        elif not self._detached:
            self._around.ticker.wake(self, self._heard_at + limit_s)

    # -- the end
    def _call_ended(self, ended: Ended) -> None:
        self._ended = ended
        self.end(NORMAL, f"the call has ended: {ended.reason}", lost=False)

    def _fenced(self) -> None:
        self.end(TAKEN_OVER, "a newer socket has the call", lost=False)

    def _missing(self) -> None:
        """Redis has lost the call: its relay will write it again. If nobody does, the call is over."""
        now = self._clock()
        if now - self._missed_at > _ANOTHER_LOSS_S:
            self._missing_since = now
            log.warning("the call's stream is missing", extra=fields(call_id=self._call_id))
        self._missed_at = now
        if now - self._missing_since > RESTORED_WITHIN_S:
            self._fenced()

    def _detach(self) -> None:
        """Let go of the call's streams; the last words go onto the uplink before."""
        if self._detached:
            return
        self._detached = True
        self._around.ticker.wake(self, None)
        if self._downlink is not None:
            self._around.reader.remove(self._around.keys.downlink(self._call_id))
            self._downlink.give_up()
        self._outlet.append(MediaDetached(self._reason))
        self._outlet.close()
        self._around.admission.leave(self._call_id, self)

    async def _close(self) -> None:
        """Close the socket, and tell call-control when the call has lost its media."""
        if self._code == TAKEN_OVER and (ended := await how_it_ended(self._around, self._call_id)) is not None:
            self._ended, self._code, self._reason = ended, NORMAL, f"the call has ended: {ended.reason}"
        if self._ended is not None and self._ended.apologize:
            # Nobody else can speak to the caller any more.
            if self._around.apology and self._downlink is not None:
                self._socket.listen(self)  # ACS keeps a socket only while its audio is read
                log.info("apologizing to the caller", extra=fields(call_id=self._call_id))
                await apologize(self._around, self._new_downlink, self._gone)
            await self._tell(HangUp(self._call_id, "media-gateway", APOLOGY))
        metrics.SOCKETS.labels(str(self._code)).inc()
        self._trace.closed(self._code, self._reason)
        log.info("media socket closed", extra=fields(call_id=self._call_id, code=self._code, reason=self._reason))
        self._socket.close(INTERNAL if self._code == ABRUPT else self._code, self._reason)
        if self._lost:
            await self._tell(MediaLost(self._call_id, self.epoch, self._code))

    async def _tell(self, entry: InboxEntry) -> None:
        await tell(self._around, self._call_id, entry)
