"""Decides when a call opens its next voice session after one was lost or rejected, and when it gives up."""

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
RESTING_STEPS: Final = 6
"""Pause between attempts beyond the budget, in longest delays of the backoff, while the caller waits for a person or
talks with one.
"""


class Reconnects:
    """Retry policy for the voice sessions of one call. `promised`: the call already depends on a voice session, so even
    permanent failures are retried.
    """

    def __init__(self, call_id: str, backoff: Backoff, *, promised: bool) -> None:
        self.promised = promised
        self._call_id = call_id
        self._backoff = backoff
        self._delays: Delays = backoff.delays()
        self._ready_since: float | None = None
        self._attempts = 0
        """Number of consecutive sessions that did not become ready."""
        self._refused_settings = 0
        """Number of consecutive sessions whose agent or settings were rejected."""

    def ready(self, now: float) -> None:
        self._ready_since = now
        self._refused_settings = 0
        self.promised = True

    def ended(self, now: float) -> None:
        """Record that the session was lost or could not be opened."""
        since, self._ready_since = self._ready_since, None
        if since is None:
            self._attempts += 1
            return
        self._attempts = 0
        metrics.LOST_SESSIONS.inc()
        if now - since > SETTLED_S:
            self._delays = self._backoff.delays()

    def delay_after(self, failure: BridgeError, now: float, *, patient: bool = False) -> float | None:
        """Log the failure. Return the seconds until the next attempt, None to give up. `patient`: never give up."""
        delay_s = self._delay_after(failure, now)
        if delay_s is None and patient:
            delay_s = RESTING_STEPS * self._backoff.most_s
        remedy = {"remedy": failure.remedy} if isinstance(failure, RefusedSessionError) else {}
        where = fields(
            call_id=self._call_id, error=failure.message, retry_in_s=delay_s, attempts=self._attempts, **remedy
        )
        if not self._attempts:
            log.warning("voice session lost", extra=where)
        elif self._attempts == 1 or delay_s is None:
            log.warning("failed to open voice session", extra=where)
        else:
            log.debug("failed to open voice session", extra=where)  # several times a second
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
