"""Metrics of one media socket, its log lines, and spans if the call is traced."""

from __future__ import annotations

import logging
from typing import Final

from bridge_common.base.log import fields
from bridge_common.observability import telemetry, tracing
from bridge_common.observability.tracing import Moment, Span
from bridge_common.store.call_store import MediaGrant
from bridge_common.wire.entries import Clear
from media_gateway import metrics

log = logging.getLogger(__name__)

_MOST_MOMENTS: Final = 100


class MediaTrace:
    def __init__(self, grant: MediaGrant) -> None:
        self._call_id = grant.record.call_id
        self._traceparent = grant.record.traceparent if tracing.is_on() else ""
        self._epoch = grant.epoch
        self._began_ms = tracing.now_ms()
        self._moments: list[Moment] = []
        metrics.ATTACHES.labels("again" if grant.record.media_seen else "first").inc()

    def opened(self, rate_hz: int) -> None:
        """Record that the sample rate is known, which completes the set-up of the socket."""
        self._report("media set-up", {"rate_hz": rate_hz})

    def stopped(self, clear: Clear) -> None:
        """Record that StopAudio was just sent."""
        took_s = max(telemetry.now_us() - clear.at_us, 0) / 1_000_000 if clear.at_us else None
        if took_s is not None:
            metrics.BARGE_IN.observe(took_s, telemetry.exemplar(self._traceparent))
        log.debug("StopAudio sent", extra=fields(call_id=self._call_id, item_id=clear.item_id, took_s=took_s))
        if self._traceparent and len(self._moments) < _MOST_MOMENTS:
            self._moments.append(Moment("StopAudio", tracing.now_ms(), {"item_id": clear.item_id}))

    def closed(self, code: int, reason: str) -> None:
        metrics.SOCKETS.labels(str(code)).inc()
        log.info("media socket closed", extra=fields(call_id=self._call_id, code=code, reason=reason))
        self._report("media socket", {"close_code": code, "close_reason": reason}, self._moments)

    def _report(self, name: str, about: dict[str, str | int], moments: list[Moment] | None = None) -> None:
        if self._traceparent:
            span = Span(
                name=name,
                began_ms=self._began_ms,
                ended_ms=tracing.now_ms(),
                attributes={"call_id": self._call_id, "epoch": self._epoch, **about},
                moments=moments or (),
            )
            tracing.export(self._traceparent, span)
