"""Teardown of a media socket: the apology to the caller, and the notifications for call-control."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from bridge_common.base.errors import BridgeError, OutsideError
from bridge_common.base.retry import Backoff, retry
from bridge_common.wire.audio import VOICE_RATE_HZ, ms_of_bytes
from bridge_common.wire.entries import Audio, Ended, InboxEntry, ItemEnd, Played
from media_gateway.core.playout import Report
from media_gateway.core.session_state import SessionEnding
from media_gateway.socket.downlink_playout import DownlinkPlayout
from media_gateway.socket.frame_socket import NORMAL
from media_gateway.socket_context import SocketContext

log = logging.getLogger(__name__)

APOLOGY: Final = "apology"
TAKEN_OVER: Final = 4001
"""Our own close code: a newer socket has the call."""
_APOLOGY_MARGIN_S: Final = 1.0
_ACS_BEHIND_S: Final = 0.3
"""ACS plays what came before, speech or tone, to its end, and is a network and buffers of its own away."""
_INBOX_BACKOFF: Final = Backoff(first_s=0.2, budget_s=2.0)


async def known_ending(around: SocketContext, call_id: str, ending: SessionEnding) -> SessionEnding:
    """A fenced writer cannot know whether a newer socket or the end of the call was the reason."""
    if ending.code != TAKEN_OVER:
        return ending
    try:
        ended = await around.store.how_it_ended(call_id)
    except BridgeError:
        return ending
    return ending if ended is None else call_over(ended)


def call_over(ended: Ended) -> SessionEnding:
    return SessionEnding(NORMAL, f"the call has ended: {ended.reason}", lost=False, ended=ended)


async def apologize(
    around: SocketContext, new_downlink: Callable[[Callable[[Report], None]], DownlinkPlayout], gone: asyncio.Event
) -> None:
    """Say that we are sorry, when nobody else can speak to the caller any more; returns when it was heard.

    `new_downlink`: one that reports to its argument. `gone`: the caller's socket has closed.
    """
    pcm, reports = around.apology, asyncio.Queue[Report]()
    saying = new_downlink(reports.put_nowait)
    saying.take("", Audio(APOLOGY, pcm))
    saying.take("", ItemEnd(APOLOGY))
    behind_s = around.settings.playout_lead_ms / 1000 + _ACS_BEHIND_S
    said = asyncio.create_task(_until_heard(reports, behind_s))
    left = asyncio.create_task(gone.wait())
    await asyncio.wait(
        {said, left},
        timeout=ms_of_bytes(len(pcm), VOICE_RATE_HZ) / 1000 + behind_s + _APOLOGY_MARGIN_S,
        return_when=asyncio.FIRST_COMPLETED,
    )
    for task in (said, left):
        task.cancel()
    await asyncio.gather(said, left, return_exceptions=True)
    around.ticker.wake(saying, None)


async def notify(around: SocketContext, call_id: str, entry: InboxEntry) -> None:
    """Put the entry into the inbox. Given up after a few failures: then the call's timers end it."""

    def failed(error: OutsideError, _: float = 0.0) -> None:
        around.inbox_outage.failed(call_id=call_id, error=error.message)

    try:
        await retry(lambda: around.inbox.put(entry), _INBOX_BACKOFF, OutsideError, on_failure=failed, refused_too=True)
        around.inbox_outage.worked()
    except OutsideError as error:
        failed(error)


async def _until_heard(reports: asyncio.Queue[Report], behind_s: float) -> None:
    """Hanging up when all was played by our clock would cut off the end of the announcement."""
    while not isinstance(await reports.get(), Played):
        pass
    await asyncio.sleep(behind_s)
