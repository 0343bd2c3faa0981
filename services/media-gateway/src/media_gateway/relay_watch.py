"""Detects calls without a relay: the gateway plays the hold tone and, after a while, reports to call-control that the
call has lost its voice session.

A relay that reopens a voice session plays the hold tone itself. The calls of a relay that has died are silent until
another relay claims them, and so are calls without an agent until a person answers. The gateway detects both in the
lease table.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final, Protocol

from bridge_common.base.errors import EntryError, OutsideError, error_text
from bridge_common.base.log import fields
from bridge_common.base.outage_logger import OutageLogger
from bridge_common.store.call_store import CallStore
from bridge_common.store.inbox import Inbox
from bridge_common.store.leases import Leases, OverdueLease
from bridge_common.wire.call_record import CallRecord
from bridge_common.wire.entries import VoiceLost

log = logging.getLogger(__name__)

ALONE_AFTER_S: Final = 0.5
"""Time after the deadline of the lease, which is 1 s: by then another relay would have claimed the call."""
UNLEASED_S: Final = 1.5
"""Time without a lease: a relay restores the leases that Redis has lost in less."""
REDIS_AWAY_S: Final = 2.5
"""When Redis has not replied for this long, no relay can send audio to any caller."""
GIVEN_UP_AFTER_S: Final = 20.0
"""When a call has had no relay for this long, the gateway reports to call-control that its voice session is lost."""


@dataclass(frozen=True, slots=True)
class RelayWatchTiming:
    look_s: float = 0.5
    alone_after_s: float = ALONE_AFTER_S
    unleased_s: float = UNLEASED_S
    redis_away_s: float = REDIS_AWAY_S
    given_up_after_s: float = GIVEN_UP_AFTER_S


class WatchedSession(Protocol):
    @property
    def call_id(self) -> str: ...

    def alone(self, alone: bool) -> None:
        """Play the hold tone if no relay handles the call, otherwise stop it. Called repeatedly."""

    @property
    def record_due(self) -> bool:
        """Whether `update` should be called with the current record."""

    def update(self, record: CallRecord) -> None: ...


class RelayWatch:
    """Watches the leases of the calls whose media socket is at this gateway (`sessions`)."""

    def __init__(
        self,
        leases: Leases,
        inbox: Inbox,
        store: CallStore,
        sessions: Callable[[], Iterable[WatchedSession]],
        timing: RelayWatchTiming | None = None,
    ) -> None:
        self._leases = leases
        self._inbox = inbox
        self._store = store
        self._sessions = sessions
        self._timing = timing or RelayWatchTiming()
        self._reported: set[str] = set()
        self._unleased: dict[str, float] = {}
        """Loop times since which calls have had no lease."""
        self._outage = OutageLogger(log, begun="failed to read leases", over="lease read recovered")
        self._failed = False
        self._readable_since = -math.inf
        """Loop time at which the latest outage ended: during an outage no relay could renew or claim a lease."""

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        answered_at = loop.time()
        while True:
            try:
                async with asyncio.timeout(self._timing.redis_away_s):
                    await self.look()
                answered_at = loop.time()
            except (OutsideError, TimeoutError) as error:
                self._outage.failed(error=error_text(error))
                self._failed = True
                if loop.time() - answered_at >= self._timing.redis_away_s:
                    for session in self._sessions():
                        session.alone(True)
            await asyncio.sleep(self._timing.look_s)

    async def look(self) -> None:
        sessions = {session.call_id: session for session in self._sessions()}
        overdue = {one.call_id: one for one in await self._leases.overdue(sessions)} if sessions else {}
        if sessions:  # without sessions there was no request to Redis
            self._outage.worked()
        now = asyncio.get_running_loop().time()
        if sessions and self._failed:
            self._failed, self._readable_since = False, now
        unleased = [one.call_id for one in overdue.values() if one.since_s is None]
        self._unleased = {call_id: self._unleased.get(call_id, now) for call_id in unleased}
        for call_id, session in sessions.items():
            session.alone(self._is_alone(overdue.get(call_id), now))
        for session in sessions.values():
            if session.record_due:
                await self._update(session)
        for call_id, one in overdue.items():
            since_s = min(one.since_s or 0.0, now - self._readable_since)
            if since_s >= self._timing.given_up_after_s and one.owner_text and one.owner_text not in self._reported:
                log.warning("call has no relay", extra=fields(call_id=call_id, since_s=since_s))
                await self._inbox.put_as_owner(VoiceLost(call_id, one.epoch, "no relay"), one.owner_text)
                self._reported.add(one.owner_text)
        self._reported &= {one.owner_text for one in overdue.values()}

    def _is_alone(self, lease: OverdueLease | None, now: float) -> bool:
        if lease is None:
            return False
        if lease.since_s is None:
            return now - self._unleased[lease.call_id] >= self._timing.unleased_s
        return lease.since_s >= self._timing.alone_after_s

    async def _update(self, session: WatchedSession) -> None:
        try:
            record = await self._store.load(session.call_id)
        except EntryError as error:  # written by a newer release
            log.warning("call record could not be decoded", extra=fields(call_id=session.call_id, reason=error.message))
            return
        if record is not None:
            session.update(record)
