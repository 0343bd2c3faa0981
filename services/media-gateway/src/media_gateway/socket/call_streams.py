"""The streams of a call as its media socket uses them: writes the uplink and plays the downlink."""

from __future__ import annotations

import logging
from collections.abc import Callable

from bridge_common.base.log import fields
from bridge_common.observability import telemetry
from bridge_common.store.call_store import MediaGrant
from bridge_common.wire.entries import Ended, Listen, MediaAttached, MediaDetached, Stamp
from media_gateway.core.playout import Report
from media_gateway.core.session_state import MissingStream
from media_gateway.socket.downlink_playout import DownlinkPlayout, SendBuffer
from media_gateway.socket.media_trace import MediaTrace
from media_gateway.socket_context import SocketContext

log = logging.getLogger(__name__)


class CallStreams:
    """The uplink and the downlink of one media socket. `on_fenced`: called when another socket has taken over the call,
    or the call has ended. `on_ended`: called when the relay or call-control has ended it. `on_listen`: called when the
    relay selects the participants that the agent hears.
    """

    def __init__(
        self,
        grant: MediaGrant,
        context: SocketContext,
        clock: Callable[[], float],
        buffer: SendBuffer,
        trace: MediaTrace,
        on_fenced: Callable[[], None],
        on_ended: Callable[[Ended], None],
        on_listen: Callable[[Listen], None],
    ) -> None:
        self._call_id = grant.record.call_id
        self._cursor = grant.downlink_cursor
        self._context = context
        self._wait_phrase = context.wait_phrases.of(grant.record.profile)
        self._clock = clock
        self._buffer = buffer
        self._trace = trace
        self._on_fenced = on_fenced
        self._on_ended = on_ended
        self._on_listen = on_listen
        self._missing_stream = MissingStream()
        self._rate_hz = 0
        uplink = context.keys.uplink(self._call_id)
        self.outlet = context.writer.outlet(uplink, grant.epoch, on_fenced, self._missing)
        self.downlink: DownlinkPlayout | None = None
        """None until the sample rate is known."""

    def attach(self, rate_hz: int) -> None:
        """Start the audio in both directions, after the sample rate is known."""
        self._rate_hz = rate_hz
        self.outlet.append(MediaAttached(rate_hz))
        self._trace.opened(rate_hz)
        self.downlink = self.new_downlink(self.outlet.append)
        self._context.reader.add(self._context.keys.downlink(self._call_id), self._cursor, self.downlink.take)

    def new_downlink(self, report: Callable[[Report], None]) -> DownlinkPlayout:
        return DownlinkPlayout(
            self._rate_hz,
            self._context.settings,
            clock=self._clock,
            ticker=self._context.ticker,
            buffer=self._buffer,
            report=report,
            on_stopped=self._trace.stopped,
            on_ended=self._on_ended,
            on_listen=self._on_listen,
            wait_phrase=self._wait_phrase,
        )

    def send_probe(self) -> None:
        self.outlet.append(Stamp(telemetry.now_us()))

    def detach(self, reason: str) -> None:
        """Release the streams. The last uplink entry contains the reason."""
        if self.downlink is not None:
            self._context.reader.remove(self._context.keys.downlink(self._call_id))
            self.downlink.give_up()
        self.outlet.append(MediaDetached(reason))
        self.outlet.close()

    def _missing(self) -> None:
        """Handle a missing stream: Redis has lost the call. Its relay restores it; if that does not happen in time, the
        call counts as ended.
        """
        missing_s = self._missing_stream.seen(self._clock())
        if missing_s == 0:
            log.warning("stream of the call missing in Redis", extra=fields(call_id=self._call_id))
        if missing_s > self._context.limits.restored_within_s:
            self._on_fenced()
