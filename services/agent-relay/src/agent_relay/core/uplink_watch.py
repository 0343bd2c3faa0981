"""Detects that a call has lost its media without any report: the uplink receives no entries.

A live gateway writes at least twice a second, even while ACS sends no audio. A second without any entry therefore means
that the gateway or its connection to Redis is down. The callback of ACS may arrive earlier, later or never.
"""

from __future__ import annotations

from typing import Final

MISSED_S: Final = 1.0
AGAIN_S: Final = 1.0
"""Interval of repeated reports. They are needed because call-control may have ignored the previous one."""


class UplinkWatch:
    """Watches the uplink of one call. `epoch`: epoch of the newest media socket, 0 before the first."""

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch
        self.reported = False
        """Whether the uplink was reported as missed, and no entry has arrived since."""
        self._again_at = 0.0

    def attached(self, epoch: int) -> None:
        self.epoch = max(self.epoch, epoch)

    def report_due(self, silent_s: float, now: float) -> bool:
        """Return whether the uplink must be reported as missed now. `silent_s`: see `StreamReader.silent_s`."""
        if not self.epoch or silent_s < MISSED_S or now < self._again_at:
            return False
        self.reported = True
        self._again_at = now + AGAIN_S
        return True

    def recovered(self) -> None:
        """Reset, because an entry arrived after the uplink was reported as missed."""
        self.reported = False
        self._again_at = 0.0
