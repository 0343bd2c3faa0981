"""One media socket of a call, from the moment it is attached to the call until it is closed."""

from __future__ import annotations

import asyncio
import logging

from bridge_common.base.log import fields, phone
from bridge_common.base.waiting import afterwards, beside
from bridge_common.store.call_store import MediaGrant
from bridge_common.wire.call_record import CallRecord, TransferStage
from bridge_common.wire.entries import Ended, HangUp, InboxEntry, Listen, MediaLost, MediaOpen
from media_gateway import metrics
from media_gateway.core.audio_health import AudioHealth
from media_gateway.core.session_state import ABRUPT, TRANSITIONS, SessionEnding, SessionEvent, SessionState
from media_gateway.socket.acs_receiver import POLICY, AcsReceiver
from media_gateway.socket.call_streams import CallStreams
from media_gateway.socket.downlink_playout import SendBuffer
from media_gateway.socket.frame_socket import INTERNAL, NO_STATUS, FrameSocket
from media_gateway.socket.media_trace import MediaTrace
from media_gateway.socket.teardown import APOLOGY, TAKEN_OVER, apologize, call_over, known_ending, notify
from media_gateway.socket_context import SocketContext

log = logging.getLogger(__name__)


class MediaSession:
    """The session of one media socket. All methods but `run` return at once. The first call of `end` determines the
    close code and reason.
    """

    def __init__(self, socket: FrameSocket, grant: MediaGrant, context: SocketContext) -> None:
        self.call_id = grant.record.call_id
        self.epoch = grant.epoch
        self._caller = grant.record.caller
        self._bridged = grant.record.transfer_stage is TransferStage.BRIDGED
        """Whether people in the call talk with each other."""
        self._alone = False
        self._apology = context.apologies.of(grant.record.profile)
        self._state = SessionState.OPENING
        self._ending = SessionEnding()
        self._is_ending = asyncio.Event()
        self._gone = asyncio.Event()
        """Set when the peer has closed the socket."""
        self._socket = socket
        self._context = context
        self._clock = asyncio.get_running_loop().time
        self._buffer = SendBuffer(socket.send, self._overfull, context.limits.waiting_messages)
        self._trace = MediaTrace(grant)
        self._streams = CallStreams(
            grant, context, self._clock, self._buffer, self._trace, self._fenced, self._call_ended, self._listen
        )
        self._receiver = AcsReceiver(self, socket, self._streams.outlet, context, grant.record, self._clock)
        self._health: AudioHealth | None = None

    @property
    def waiting_s(self) -> float:
        """Seconds of audio that wait to be played."""
        downlink = self._streams.downlink
        return 0.0 if downlink is None else downlink.waiting_s

    async def run(self) -> None:
        """Transport the call's audio until the socket ends."""
        attached = fields(call_id=self.call_id, epoch=self.epoch, caller=phone(self._caller))
        log.info("media socket attached", extra=attached)
        reported = self._notify(MediaOpen(self.call_id, self.epoch))
        await afterwards(beside(self._carry(), reported), self._leave)

    # -- events
    def rate_known(self, rate_hz: int) -> None:
        if self._apply(SessionEvent.RATE_KNOWN):
            self._streams.attach(rate_hz)
            self._health = AudioHealth(self._clock(), self._context.limits.audio)

    def paused(self, paused: bool) -> None:
        self._buffer.paused(paused)

    def alone(self, alone: bool) -> None:
        """Play the hold tone if no relay handles the call, otherwise stop it."""
        self._alone = alone
        self._hold()

    @property
    def record_due(self) -> bool:
        """Whether the session needs the current record: its relay, which reports changes, is lost, or frames have an
        unknown participant.
        """
        return self._alone or self._receiver.lookup_due

    def update(self, record: CallRecord) -> None:
        self._receiver.know(record)
        self._bridged = record.transfer_stage is TransferStage.BRIDGED
        self._hold()

    def _listen(self, entry: Listen) -> None:
        self._receiver.listen(entry.to)
        self._bridged = entry.bridged
        self._hold()

    def _hold(self) -> None:
        if self._streams.downlink is not None and self._state is not SessionState.CLOSED:
            self._streams.downlink.alone(self._alone, bridged=self._bridged)

    def probe(self) -> None:
        """Write a latency probe if one is due. Call it twice a second. The probes show the relay that the gateway is
        alive.
        """
        if self._state is not SessionState.CLOSED and self._receiver.probe_due(self._clock()):
            self._streams.send_probe()
        if self._state is SessionState.STREAMING:
            self._check_audio()

    def _check_audio(self) -> None:
        downlink, health = self._streams.downlink, self._health
        if downlink is None or health is None:
            return
        faults = health.check(
            self._clock(),
            self._receiver.sample(),
            spoken_bytes=downlink.spoken_bytes,
            playing_until=downlink.playing_until,
            bridged=self._bridged,
        )
        for fault in faults:
            metrics.AUDIO_FAULTS.labels(fault.value).inc()
            log.warning("audio fault found", extra=fields(call_id=self.call_id, fault=fault.value))

    def tick(self, now: float) -> None:
        """Check whether the peer has been silent for too long. Called when the time limit may have passed."""
        if now >= self._receiver.silent_until:
            self.end(POLICY, "no message from ACS for too long")
        elif self._state is not SessionState.CLOSED:
            self._context.ticker.wake(self, self._receiver.silent_until)

    def end(self, code: int, reason: str, *, lost: bool = True) -> None:
        self._end(SessionEnding(code, reason, lost))

    def closed(self, code: int) -> None:
        self._gone.set()
        self.end(ABRUPT if code == NO_STATUS else code, "closed by ACS")
        self._detach()

    def _overfull(self) -> None:
        self.end(POLICY, "ACS does not read from the media socket")

    def displace(self) -> None:
        self._fenced()
        self._detach()

    def _fenced(self) -> None:
        self.end(TAKEN_OVER, "a newer media socket has taken over the call", lost=False)

    def _call_ended(self, ended: Ended) -> None:
        self._end(call_over(ended))

    # -- states
    def _apply(self, event: SessionEvent) -> bool:
        """Set the state if the table allows it. No other function sets it. Returns whether it changed."""
        to = TRANSITIONS.get((self._state, event))
        if to is None:
            return False
        log.debug(
            "media session changed state", extra=fields(call_id=self.call_id, was=self._state.value, state=to.value)
        )
        self._state = to
        return True

    async def _carry(self) -> None:
        self.tick(self._clock())
        self._socket.listen(self._receiver)
        await self._is_ending.wait()

    def _end(self, ending: SessionEnding) -> None:
        if self._apply(SessionEvent.END):
            self._ending = ending
            self._is_ending.set()
            self._socket.stop()

    def _detach(self) -> None:
        """Release the call's streams."""
        if self._apply(SessionEvent.DETACHED):
            self._context.ticker.wake(self, None)
            self._receiver.stop()
            self._streams.detach(self._ending.reason)
            self._context.admission.leave(self.call_id, self)

    async def _leave(self) -> None:
        """Close the socket, and notify call-control if the call has lost its media."""
        self._detach()
        ending = await known_ending(self._context, self.call_id, self._ending)
        if ending.ended is not None and ending.ended.apologize:
            # Without a relay, only the gateway can send audio to the caller.
            if self._apology and self._streams.downlink is not None and not self._bridged:
                self._socket.listen(self._receiver)  # ACS closes a socket whose audio is not read
                log.info("playing the apology to the caller", extra=fields(call_id=self.call_id))
                await apologize(self._context, self._apology, self._streams.new_downlink, self._gone)
            await self._notify(HangUp(self.call_id, "media-gateway", APOLOGY))
        self._trace.closed(ending.code, ending.reason)
        self._socket.close(INTERNAL if ending.code == ABRUPT else ending.code, ending.reason)
        if ending.lost:
            await self._notify(MediaLost(self.call_id, self.epoch, ending.code))

    async def _notify(self, entry: InboxEntry) -> None:
        await notify(self._context, self.call_id, entry)
