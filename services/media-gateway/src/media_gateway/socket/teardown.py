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
"""Private close code: a newer media socket of the call has replaced this one."""
_APOLOGY_MARGIN_S: Final = 1.0
_ACS_BEHIND_S: Final = 0.3
"""Delay of ACS: network and its own buffers. Audio that was sent earlier is played first."""
_INBOX_BACKOFF: Final = Backoff(first_s=0.2, budget_s=2.0)


async def known_ending(context: SocketContext, call_id: str, ending: SessionEnding) -> SessionEnding:
    """Return the actual reason for the end. A fenced writer cannot distinguish a newer socket from the
    end of the call.
    """
    if ending.code != TAKEN_OVER:
        return ending
    try:
        ended = await context.store.how_it_ended(call_id)
    except BridgeError:
        return ending
    return ending if ended is None else call_over(ended)


def call_over(ended: Ended) -> SessionEnding:
    return SessionEnding(NORMAL, f"the call has ended: {ended.reason}", lost=False, ended=ended)


async def apologize(
    context: SocketContext,
    pcm: bytes,
    new_downlink: Callable[[Callable[[Report], None]], DownlinkPlayout],
    gone: asyncio.Event,
) -> None:
    """Play the apology `pcm` (24 kHz), and return when the caller has heard it.

    `new_downlink`: creates a playout that reports to its argument. `gone`: set when the caller's socket has closed.
    """
    reports = asyncio.Queue[Report]()
    playout = new_downlink(reports.put_nowait)
    playout.take("", Audio(APOLOGY, pcm))
    playout.take("", ItemEnd(APOLOGY))
    behind_s = context.settings.playout_lead_ms / 1000 + _ACS_BEHIND_S
    heard = asyncio.create_task(_until_heard(reports, behind_s))
    left = asyncio.create_task(gone.wait())
    await asyncio.wait(
        {heard, left},
        timeout=ms_of_bytes(len(pcm), VOICE_RATE_HZ) / 1000 + behind_s + _APOLOGY_MARGIN_S,
        return_when=asyncio.FIRST_COMPLETED,
    )
    for task in (heard, left):
        task.cancel()
    await asyncio.gather(heard, left, return_exceptions=True)
    context.ticker.wake(playout, None)


async def notify(context: SocketContext, call_id: str, entry: InboxEntry) -> None:
    """Put the entry into the inbox. After a few failures it is dropped: the timers of call-control
    then end the call.
    """

    def failed(error: OutsideError, _: float = 0.0) -> None:
        context.inbox_outage.failed(call_id=call_id, error=error.message)

    try:
        await retry(lambda: context.inbox.put(entry), _INBOX_BACKOFF, OutsideError, on_failure=failed, refused_too=True)
        context.inbox_outage.worked()
    except OutsideError as error:
        failed(error)


async def _until_heard(reports: asyncio.Queue[Report], behind_s: float) -> None:
    """Wait until ACS has played the apology, which is later than in the gateway's play clock: an earlier hang-up would
    cut off the end.
    """
    while not isinstance(await reports.get(), Played):
        pass
    await asyncio.sleep(behind_s)
