"""Reads the announcements of a call. Few calls have any, so the stream is read only from the first announcement on."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final

from agent_relay.call_context import CallContext
from bridge_common.base.errors import OutsideError
from bridge_common.base.retry import Backoff, retry
from bridge_common.store.leases import BEGINNING, Claim
from bridge_common.wire.entries import Entry, Instruct, Say

_BACKOFF: Final = Backoff.constant(0.2)


class AnnouncementReader:
    """Reads a call's announcement stream. `on_piece` receives every piece of text with its entry id, `on_instruction`
    the instructions of call-control.
    """

    def __init__(
        self,
        context: CallContext,
        claim: Claim,
        on_piece: Callable[[str, Say], None],
        on_instruction: Callable[[Instruct], None],
    ) -> None:
        self._context = context
        self._claim = claim
        self._call_id = claim.call_id
        self._stream = context.keys.say(claim.call_id)
        self._on_piece = on_piece
        self._on_instruction = on_instruction
        self._listens = False
        self._closed = False

    async def look(self) -> None:
        """Start reading if announcements are waiting, including those that another relay has not finished."""
        waits = partial(self._context.says.waits, self._call_id)
        if await retry(waits, _BACKOFF, OutsideError, on_failure=self._on_failure, refused_too=True):
            self.listen()
        self._context.noting.worked()

    def _on_failure(self, error: OutsideError, _: float) -> None:
        self._context.noting.failed(call_id=self._call_id, error=error.message)

    def listen(self) -> None:
        """Start reading at the oldest entry of the stream. Pieces that were spoken are no longer in it."""
        if not self._listens and not self._closed:
            self._listens = True
            self._context.say_reader.add(self._stream, BEGINNING, self._on_entry)

    def close(self) -> None:
        self._closed = True
        self._context.say_reader.remove(self._stream)

    def _on_entry(self, entry_id: str, entry: Entry) -> None:
        if isinstance(entry, Say):
            self._on_piece(entry_id, entry)
        elif isinstance(entry, Instruct) and int(entry_id.partition("-")[0]) >= self._claim.epoch:
            # Older instructions were for the previous owner; a hang-up that it did not finish is in the call's record.
            self._on_instruction(entry)
