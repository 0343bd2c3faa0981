"""Reads what others want said in a call. Few calls ever have such a text: its stream is read from the first one on."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from agent_relay.call_context import CallContext
from bridge_common.base.errors import OutsideError
from bridge_common.base.log import fields
from bridge_common.store.leases import BEGINNING
from bridge_common.wire.entries import Entry, Say

log = logging.getLogger(__name__)

_RETRY_S: Final = 0.2


class AnnouncementReader:
    """`on_piece` receives every piece of text with its entry id."""

    def __init__(self, desk: CallContext, call_id: str, on_piece: Callable[[str, Say], None]) -> None:
        self._desk = desk
        self._call_id = call_id
        self._stream = desk.keys.say(call_id)
        self._on_piece = on_piece
        self._listens = False
        self._closed = False

    async def look(self) -> None:
        """Start to listen if announcements are waiting already, also those that another relay has not finished."""
        while True:
            try:
                if await self._desk.says.waits(self._call_id):
                    self.listen()
                return
            except OutsideError as error:
                log.info("could not check for announcements", extra=fields(call_id=self._call_id, error=error.message))
            await asyncio.sleep(_RETRY_S)

    def listen(self) -> None:
        """From the oldest piece on: what was spoken is trimmed."""
        if not self._listens and not self._closed:
            self._listens = True
            self._desk.say_reader.add(self._stream, BEGINNING, self._on_entry)

    def close(self) -> None:
        self._closed = True
        self._desk.say_reader.remove(self._stream)

    def _on_entry(self, entry_id: str, entry: Entry) -> None:
        if isinstance(entry, Say):
            self._on_piece(entry_id, entry)
