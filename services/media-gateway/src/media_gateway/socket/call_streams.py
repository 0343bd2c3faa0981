"""The two streams of a call as its media socket has them: the uplink is written, the downlink is played."""

from __future__ import annotations

import logging
from collections.abc import Callable

from bridge_common.base.log import fields
from bridge_common.observability import telemetry
from bridge_common.store.call_store import MediaGrant
from bridge_common.wire.entries import Ended, MediaAttached, MediaDetached, Stamp
from media_gateway.core.playout import Report
from media_gateway.core.session_state import MissingStream
from media_gateway.socket.downlink_playout import DownlinkPlayout
from media_gateway.socket.media_trace import MediaTrace
from media_gateway.socket.send_buffer import SendBuffer
from media_gateway.socket_context import SocketContext

log = logging.getLogger(__name__)

RESTORED_WITHIN_S = 5.0  # not Final: a test shortens it


class CallStreams:
    """`on_fenced`: another socket has the call, or it is over. `on_ended`: the relay or call-control has ended it."""

    def __init__(
        self,
        grant: MediaGrant,
        around: SocketContext,
        clock: Callable[[], float],
        buffer: SendBuffer,
        trace: MediaTrace,
        on_fenced: Callable[[], None],
        on_ended: Callable[[Ended], None],
    ) -> None:
        self._call_id = grant.record.call_id
        self._cursor = grant.downlink_cursor
        self._around = around
        self._clock = clock
        self._buffer = buffer
        self._trace = trace
        self._on_fenced = on_fenced
        self._on_ended = on_ended
        self._missing_stream = MissingStream()
        self._rate_hz = 0
        uplink = around.keys.uplink(self._call_id)
        self.outlet = around.writer.outlet(uplink, grant.epoch, on_fenced, self._missing)
        self.downlink: DownlinkPlayout | None = None
        """Present once the rate is known."""

    def attach(self, rate_hz: int) -> None:
        """The rate is known: audio may flow both ways."""
        self._rate_hz = rate_hz
        self.outlet.append(MediaAttached(rate_hz))
        self._trace.opened(rate_hz)
        self.downlink = self.new_downlink(self.outlet.append)
        self._around.reader.add(self._around.keys.downlink(self._call_id), self._cursor, self.downlink.take)

    def new_downlink(self, report: Callable[[Report], None]) -> DownlinkPlayout:
        return DownlinkPlayout(
            self._rate_hz,
            self._around.settings,
            clock=self._clock,
            ticker=self._around.ticker,
            outbox=self._buffer,
            report=report,
            on_stopped=self._trace.stopped,
            on_ended=self._on_ended,
            wait_phrase=self._around.wait_phrase,
        )

    def stamp(self) -> None:
        self.outlet.append(Stamp(telemetry.now_us()))

    def detach(self, reason: str) -> None:
        """The last entry goes onto the uplink before."""
        if self.downlink is not None:
            self._around.reader.remove(self._around.keys.downlink(self._call_id))
            self.downlink.give_up()
        self.outlet.append(MediaDetached(reason))
        self.outlet.close()

    def _missing(self) -> None:
        """Redis has lost the call: its relay will write it again. If nobody does, the call is over."""
        missing_s = self._missing_stream.seen(self._clock())
        if missing_s == 0:
            log.warning("the call's stream is missing", extra=fields(call_id=self._call_id))
        if missing_s > RESTORED_WITHIN_S:
            self._on_fenced()
