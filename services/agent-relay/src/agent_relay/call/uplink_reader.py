"""Handles the uplink of one call: selects the entries for the driver, and tracks from where the next relay reads."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from agent_relay.call.driver import Driver
from agent_relay.call.missed_uplink import MissedUplink
from agent_relay.core.uplink_cursor import UplinkCursor, UplinkGate, UplinkStop
from bridge_common.base.log import fields
from bridge_common.observability.media_metrics import observe_stamp
from bridge_common.store.leases import BEGINNING, Claim
from bridge_common.wire.call_record import CallRecord
from bridge_common.wire.entries import (
    AudioFrame,
    Dtmf,
    Ended,
    Entry,
    MediaAttached,
    MediaDetached,
    Played,
    Playing,
    Stamp,
)

log = logging.getLogger(__name__)


class UplinkReader:
    """Handles the uplink entries of one call. `resumed`: another relay drove this call before. `gated`: that relay may
    still process caller audio and tones, so this relay buffers them until `release`. `forget_key` deletes the entry of
    a key from the uplink.
    """

    def __init__(
        self,
        claim: Claim,
        record: CallRecord,
        driver: Driver,
        missed: MissedUplink,
        on_end: Callable[[], None],
        forget_key: Callable[[str], None],
        *,
        resumed: bool,
        gated: bool,
    ) -> None:
        self._call_id = claim.call_id
        self._driver = driver
        self._missed = missed
        self._on_end = on_end
        self._forget_key = forget_key
        self._loop = asyncio.get_running_loop()
        self._cursor = UplinkCursor(claim.uplink_cursor)
        self._gate = UplinkGate() if gated else None
        self._rereads_tones = resumed and claim.uplink_cursor == BEGINNING
        """Whether to ignore tones that arrive before the first voice session of this relay, because the previous owner
        may have processed them.
        """
        self._known_socket = record.uplink_epoch
        """Epoch of the newest media socket when this relay claimed the call."""
        self._audio_seen = False
        self._audio_at = 0.0
        """When the caller's latest audio arrived (loop time)."""

    @property
    def gated(self) -> bool:
        return self._gate is not None

    @property
    def after_crash(self) -> str:
        """Entry id after which the next relay reads if this one dies."""
        return self._cursor.after_crash(typing=self._driver.typing)

    @property
    def rewound(self) -> str:
        """Entry id after which the next relay reads at a hand-over."""
        return self._cursor.rewound

    def stop(self) -> UplinkStop:
        """Return how far this relay has processed the uplink."""
        return self._cursor.stop(typing=self._driver.typing)

    def release(self, stop: UplinkStop | None) -> None:
        """Process the buffered entries, except those that the previous owner has processed."""
        if self._gate is None:
            return
        held, self._gate = self._gate.release(stop), None
        if stop is None and held:
            log.info("previous owner stored no uplink position", extra=fields(call_id=self._call_id, entries=len(held)))
        for entry_id, entry in held:
            self.on_entry(entry_id, entry)

    def on_entry(self, entry_id: str, entry: Entry) -> None:
        if self._missed.reported:
            self._missed.on_entry(entry_id, entry)
        if self._gate is not None and (type(entry) is AudioFrame or type(entry) is Dtmf):
            self._gate.hold(entry_id, entry)
        elif type(entry) is AudioFrame:
            self._on_frame(entry_id, entry)
        else:
            self._on_other(entry_id, entry)

    def _on_frame(self, entry_id: str, frame: AudioFrame) -> None:
        self._audio_at = self._loop.time()
        if self._driver.caller_frame(frame.pcm24k):
            self._cursor.passed(entry_id, caller_waits=self._driver.caller_waits)
        if not self._audio_seen:
            self._audio_seen = True
            self._driver.caller_audio()

    def _on_other(self, entry_id: str, entry: Entry) -> None:
        if type(entry) is Dtmf and self._driver.masks_keys:
            self._forget_key(entry_id)
        match entry:
            case Ended():
                self._on_end()
            case Stamp():
                observe_stamp("uplink", entry.at_us)
            case Dtmf() if self._rereads_tones and not self._driver.session_seen:
                pass
            case Dtmf():
                self._cursor.tone(entry_id, typing=self._driver.typing)
                self._driver.from_caller(entry)
            case MediaAttached():
                self._on_attached(epoch=int(entry_id.partition("-")[0]))
            case Playing() | Played() | MediaDetached():
                self._driver.from_caller(entry)
            case _:
                pass

    def _on_attached(self, *, epoch: int) -> None:
        self._missed.attached(epoch)
        if epoch <= self._known_socket:
            self._driver.attached()
        else:
            self._driver.media_replaced(self._audio_at)
