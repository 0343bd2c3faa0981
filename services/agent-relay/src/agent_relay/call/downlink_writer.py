"""Writes a call's downlink with the epoch of the claim. Entries are buffered while the lease is uncertain."""

from __future__ import annotations

import logging
from collections.abc import Callable

from bridge_common.base.log import fields
from bridge_common.store.leases import Claim
from bridge_common.streams.writer import StreamWriter
from bridge_common.wire.entries import DownlinkEntry

log = logging.getLogger(__name__)


class DownlinkWriter:
    """The downlink of one call. `lost` is called when another relay writes to it with a higher epoch."""

    def __init__(self, writer: StreamWriter, key: str, claim: Claim, lost: Callable[[], None]) -> None:
        self._call_id = claim.call_id
        self._held: list[DownlinkEntry] | None = None
        # If the stream is missing, the next lease renewal creates it again, unless the call has ended.
        self._outlet = writer.outlet(key, claim.epoch, lost, lambda: None)

    @property
    def muted(self) -> bool:
        return self._held is not None

    def append(self, entry: DownlinkEntry) -> None:
        if self._held is None:
            self._outlet.append(entry)
        else:
            self._held.append(entry)

    def mute(self, muted: bool) -> None:
        """Buffer entries while call ownership is uncertain (`muted`); write them once it is confirmed."""
        if muted and self._held is None:
            self._held = []
            log.warning("lease not renewed; holding back agent audio", extra=fields(call_id=self._call_id))
        elif not muted and self._held is not None:
            held, self._held = self._held, None
            for entry in held:
                self._outlet.append(entry)

    def close(self) -> None:
        """Close the downlink. Entries appended so far are still written; buffered entries are discarded."""
        self._outlet.close()
