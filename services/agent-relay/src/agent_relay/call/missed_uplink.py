"""Reports to call-control when a call's uplink gets no entries any more, and when entries arrive again."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final

from agent_relay.call.outbox import Reporter
from agent_relay.call_context import CallContext
from agent_relay.core.uplink_watch import UplinkWatch
from bridge_common.base.log import fields
from bridge_common.wire.entries import Ended, Entry, MediaDetached, MediaOpen, UplinkMissed

log = logging.getLogger(__name__)

_LOOK_S: Final = 0.2


class MissedUplink:
    """`epoch`: of the newest media socket when we claimed the call. `put`: carries out the reports."""

    def __init__(self, desk: CallContext, call_id: str, epoch: int, put: Callable[[Reporter], None]) -> None:
        self._reader = desk.reader
        self._call_id = call_id
        self._uplink = desk.keys.uplink(call_id)
        self._watch = UplinkWatch(epoch)
        self._put = put
        self._look_at = 0.0

    @property
    def reported(self) -> bool:
        """No entry has arrived since the last report."""
        return self._watch.reported

    def attached(self, epoch: int) -> None:
        self._watch.attached(epoch)

    def look(self, now: float) -> None:
        """To be called some twenty times a second."""
        if now < self._look_at:
            return
        self._look_at = now + _LOOK_S
        first = not self.reported
        if not self._watch.report_due(self._reader.silent_s(self._uplink), now):
            return
        if first:
            log.warning("uplink missed", extra=fields(call_id=self._call_id, epoch=self._watch.epoch))
        self._put(Reporter(UplinkMissed(self._call_id, self._watch.epoch)))

    def heard(self, entry_id: str, entry: Entry) -> None:
        """An entry arrived after a report: withdraw the report, so that call-control does not restart this socket."""
        if isinstance(entry, MediaDetached | Ended):
            return
        self._watch.recovered()
        epoch = int(entry_id.partition("-")[0])
        log.info("uplink is back", extra=fields(call_id=self._call_id, epoch=epoch))
        self._put(Reporter(MediaOpen(self._call_id, epoch), insist=True))
