"""When a call opens its next voice session after one was lost or refused, and when it gives up."""

from __future__ import annotations

import logging
from typing import Final

from agent_relay import metrics
from agent_relay.core.protocol.session_refusal import AGAIN_S, ATTEMPTS, RefusedSessionError
from agent_relay.voice.voice_resources import NoConnectionError
from bridge_common.base.errors import BridgeError, OutsideError
from bridge_common.base.log import fields
from bridge_common.base.retry import Backoff, Delays

log = logging.getLogger(__name__)

SETTLED_S: Final = 5.0
"""A voice session that lasted this long renews the reconnect budget."""
PATIENCE_S: Final = 5.0
"""If the quota has no connection for a ringing call within this time, the call is diverted."""


class Reconnects:
    """`promised`: call-control relies on a voice session, so that even permanent failures are retried."""

    def __init__(self, call_id: str, backoff: Backoff, *, promised: bool) -> None:
        self.promised = promised
        self._call_id = call_id
        self._backoff = backoff
        self._delays: Delays = backoff.delays()
        self._ready_since: float | None = None
        self._attempts = 0
        """Sessions in a row that were not ready."""
        self._refused_settings = 0
        """Sessions in a row whose agent or settings were refused."""

    def ready(self, now: float) -> None:
        self._ready_since = now
        self._refused_settings = 0
        self.promised = True

    def ended(self, now: float) -> None:
        """The session was lost, or not opened."""
        since, self._ready_since = self._ready_since, None
        if since is None:
            self._attempts += 1
            return
        self._attempts = 0
        metrics.LOST_SESSIONS.inc()
        if now - since > SETTLED_S:
            self._delays = self._backoff.delays()

    def delay_after(self, failure: BridgeError, now: float) -> float | None:
        """Seconds until the next attempt; None to give up. Logs the failure."""
        delay_s = self._delay_after(failure, now)
        remedy = {"remedy": failure.remedy} if isinstance(failure, RefusedSessionError) else {}
        where = fields(
            call_id=self._call_id, error=failure.message, retry_in_s=delay_s, attempts=self._attempts, **remedy
        )
        if not self._attempts:
            log.warning("voice session lost", extra=where)
        elif self._attempts == 1 or delay_s is None:
            log.warning("voice session not opened", extra=where)
        else:
            log.debug("voice session not opened", extra=where)  # there are several in a second
        return delay_s

    def _delay_after(self, failure: BridgeError, now: float) -> float | None:
        if isinstance(failure, NoConnectionError):
            patient = self.promised or failure.wait_s <= PATIENCE_S
            return self._delays.after_refusal(failure.wait_s, now) if patient else None
        if isinstance(failure, RefusedSessionError):
            # The next session has the same settings, and each attempt costs a connection of the quota.
            self._refused_settings += 1
            return self._delays.after_refusal(AGAIN_S, now) if self._refused_settings < ATTEMPTS else None
        temporary = isinstance(failure, OutsideError) and failure.retry
        return self._delays.after_failure(now) if self.promised or temporary else None
