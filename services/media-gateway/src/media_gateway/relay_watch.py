"""Notices calls that no relay drives: their callers hear the hold tone from here, and are not kept for ever.

A relay that reopens a voice session plays the hold tone to the caller. The calls of a relay that has died are silent
until another relay claims them; if none is left, only the gateway still runs. It reads the lease table to notice this.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from typing import Final, Protocol

from bridge_common.base.errors import OutsideError, error_text
from bridge_common.base.log import fields
from bridge_common.base.outage_logger import OutageLogger
from bridge_common.store.inbox import Inbox
from bridge_common.store.leases import Leases
from bridge_common.wire.entries import VoiceLost

log = logging.getLogger(__name__)

LOOK_S: Final = 0.5
ALONE_AFTER_S: Final = 0.5
"""Past the deadline of the lease, which is 1 s: another relay would have claimed the call by then."""
REDIS_AWAY_S: Final = 2.5
"""Without an answer of Redis for so long nobody speaks to any caller either."""
GIVEN_UP_AFTER_S: Final = 20.0
"""If a call has had no relay for this long, the gateway reports to call-control that its voice is lost."""


class WatchedSession(Protocol):
    @property
    def call_id(self) -> str: ...

    def alone(self, alone: bool) -> None:
        """Whether no relay drives the call. Called repeatedly."""


class RelayWatch:
    """`sessions`: the calls whose media socket is here. `run` until cancelled."""

    def __init__(self, leases: Leases, inbox: Inbox, sessions: Callable[[], Iterable[WatchedSession]]) -> None:
        self._leases = leases
        self._inbox = inbox
        self._sessions = sessions
        self._told: set[str] = set()
        self._outage = OutageLogger(log, "reading leases")

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        answered_at = loop.time()
        while True:
            try:
                async with asyncio.timeout(REDIS_AWAY_S):
                    await self.look()
                answered_at = loop.time()
            except (OutsideError, TimeoutError) as error:
                self._outage.failed(error=error_text(error))
                if loop.time() - answered_at >= REDIS_AWAY_S:
                    for session in self._sessions():
                        session.alone(True)
            await asyncio.sleep(LOOK_S)

    async def look(self) -> None:
        sessions = {session.call_id: session for session in self._sessions()}
        overdue = {one.call_id: one for one in await self._leases.overdue(sessions)} if sessions else {}
        if sessions:  # else nobody was asked, so nothing is known of Redis
            self._outage.worked()
        for call_id, session in sessions.items():
            one = overdue.get(call_id)
            session.alone(one is not None and one.since_s >= ALONE_AFTER_S)
        for call_id, one in overdue.items():
            if one.since_s >= GIVEN_UP_AFTER_S and one.owner_text and one.owner_text not in self._told:
                log.warning("no relay drives the call", extra=fields(call_id=call_id, since_s=one.since_s))
                await self._inbox.put_as_owner(VoiceLost(call_id, one.epoch, "no relay"), one.owner_text)
                self._told.add(one.owner_text)
        self._told &= {one.owner_text for one in overdue.values()}
