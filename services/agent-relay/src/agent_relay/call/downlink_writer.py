"""Writes a call's downlink under the claim's epoch. Entries are held back while the lease is uncertain."""

from __future__ import annotations

import logging
from collections.abc import Callable

from bridge_common.base.log import fields
from bridge_common.store.leases import Claim
from bridge_common.streams.writer import StreamWriter
from bridge_common.wire.entries import DownlinkEntry

log = logging.getLogger(__name__)


class DownlinkWriter:
    """`lost`: called when another relay writes to the downlink with a higher epoch."""

    def __init__(self, writer: StreamWriter, key: str, claim: Claim, lost: Callable[[], None]) -> None:
        self._call_id = claim.call_id
        self._held: list[DownlinkEntry] | None = None
        # A missing stream is created again with the next renewal of the lease, unless the call is over.
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
        """Hold entries back while ownership of the call is uncertain; write them once it is confirmed."""
        if muted and self._held is None:
            self._held = []
            log.warning("lease not renewed, silent", extra=fields(call_id=self._call_id))
        elif not muted and self._held is not None:
            held, self._held = self._held, None
            for entry in held:
                self._outlet.append(entry)

    def close(self) -> None:
        """Appended entries are still written; entries that are held back are not."""
        self._outlet.close()
