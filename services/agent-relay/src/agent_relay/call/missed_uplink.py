"""Reports to call-control when a call's uplink receives no more entries, and when entries arrive again."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final

from agent_relay.call.outbox import Reporter
from agent_relay.core.uplink_watch import UplinkWatch
from bridge_common.base.log import fields
from bridge_common.wire.entries import Ended, Entry, MediaDetached, MediaOpen, UplinkMissed

log = logging.getLogger(__name__)

_CHECK_S: Final = 0.2


class MissedUplink:
    """Watches the uplink of one call. `epoch`: epoch of the newest media socket when this relay claimed the call.
    `silent_s`: returns the seconds since the last uplink entry (`StreamReader.silent_s`). `put`: sends the reports.
    """

    def __init__(
        self, call_id: str, epoch: int, silent_s: Callable[[], float], put: Callable[[Reporter], None]
    ) -> None:
        self._call_id = call_id
        self._watch = UplinkWatch(epoch)
        self._silent_s = silent_s
        self._put = put
        self._check_at = 0.0

    @property
    def reported(self) -> bool:
        """Whether the uplink was reported as missed and no entry has arrived since."""
        return self._watch.reported

    def attached(self, epoch: int) -> None:
        self._watch.attached(epoch)

    def tick(self, now: float) -> None:
        """Report the uplink if it receives no entries. Call it about twenty times a second."""
        if now < self._check_at:
            return
        self._check_at = now + _CHECK_S
        first = not self.reported
        if not self._watch.report_due(self._silent_s(), now):
            return
        if first:
            log.warning("no uplink entries received", extra=fields(call_id=self._call_id, epoch=self._watch.epoch))
        self._put(Reporter(UplinkMissed(self._call_id, self._watch.epoch)))

    def on_entry(self, entry_id: str, entry: Entry) -> None:
        """Withdraw the report after an entry arrived, so that call-control does not restart this media socket."""
        if isinstance(entry, MediaDetached | Ended):
            return
        self._watch.recovered()
        epoch = int(entry_id.partition("-")[0])
        log.info("uplink recovered", extra=fields(call_id=self._call_id, epoch=epoch))
        self._put(Reporter(MediaOpen(self._call_id, epoch), insist=True))
