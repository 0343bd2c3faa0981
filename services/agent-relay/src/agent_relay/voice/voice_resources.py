"""The Voice Live resources of a relay: the first is preferred, the others are used when it has no connection left.

A resource that rejects connections is paused for the whole fleet, by the quota in Redis: after 401 or 403 only for the
credential of the connection, because other profiles may have another one for the same resource.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from agent_relay import metrics
from agent_relay.core.protocol.voice_target import VoiceTarget
from agent_relay.voice.connection_quota import ConnectionQuota, Urgency
from agent_relay.voice.voice_link import Dialer
from agent_relay.voice.voice_live_client import VoiceSocket
from bridge_common.base.errors import AuthError, OutsideError
from bridge_common.base.log import fields

log = logging.getLogger(__name__)

BUSY_S: Final = 0.5
"""Pause after 429 without `Retry-After`."""
FORBIDDEN_S: Final = 10.0
"""Pause after 401 or 403. These errors remain until an operator assigns the role."""
_ROLES: Final = (
    "give the relay's identity the role Cognitive Services User (a97b65f3-24c7-4388-baec-2e87135dc908) on this "
    "resource, and for agents also Foundry User (53ca6127-db72-4b80-b1b0-d745d6d5456d)"
)


class NoConnectionError(OutsideError):
    """No resource accepts a connection now; the first may accept one after `wait_s`."""

    def __init__(self, message: str, wait_s: float) -> None:
        super().__init__(message, retry=True)
        self.wait_s = wait_s


@dataclass(frozen=True, slots=True)
class OpenedSocket:
    socket: VoiceSocket
    resource: str
    """Host (and port) of the resource."""


@dataclass(frozen=True, slots=True)
class VoiceResources:
    """Opens sockets on the resources of a relay. `dialers`: at least one, all with the same mode and the same agent or
    model.
    """

    dialers: Sequence[Dialer]
    quota: ConnectionQuota

    @property
    def target(self) -> VoiceTarget:
        return self.dialers[0].target

    async def dial(
        self, request_id: str, urgency: Urgency, *, conversation_id: str = "", begun_on: str = ""
    ) -> OpenedSocket:
        """Open a socket on the first resource that accepts a connection.

        `begun_on`: the resource of the conversation, which is tried first; no other can resume `conversation_id`.
        Raises `AuthError` or `OutsideError`, and `NoConnectionError` if no resource accepts a connection now.
        """
        failure: AuthError | OutsideError | None = None
        later: NoConnectionError | None = None
        for dialer in sorted(self.dialers, key=lambda one: one.resource != begun_on):
            grant = await self.quota.take(dialer.resource, urgency, dialer.target.credential)
            if not grant.token:
                metrics.QUOTA_WAITS.labels(dialer.resource, urgency.name.lower()).inc()
                later = _sooner(
                    later,
                    NoConnectionError(f"{dialer.resource} is paused, or its connection quota is used up", grant.wait_s),
                )
                continue
            resumes = begun_on in ("", dialer.resource)
            try:
                socket = await dialer.dial(request_id, conversation_id if resumes else "")
            except (AuthError, OutsideError) as error:
                await self.quota.give_back(dialer.resource, grant)
                if await self.pause_after(dialer.resource, error):
                    later = _sooner(later, NoConnectionError(error.message, pause_s(error)))
                else:
                    failure = error
            else:
                return OpenedSocket(socket, dialer.resource)
        refusal = failure or later
        assert refusal is not None, "there is at least one dialer"
        if isinstance(refusal, NoConnectionError) and urgency is not Urgency.BACKGROUND:
            self.quota.note_exhausted(refusal.wait_s)
        raise refusal

    async def pause_after(self, resource: str, error: AuthError | OutsideError) -> bool:
        """Pause the resource for the whole fleet if the error concerns the resource; return whether it does."""
        for_s = pause_s(error)
        if not for_s:
            return False
        status = error.details.get("status", 0)
        if await self.quota.pause(resource, for_s, self._denied_credential(resource, status)):
            where = {"resource": resource, "for_s": for_s, "error": error.message}
            metrics.PAUSES.labels(resource, str(status)).inc()
            if status in (401, 403):
                log.error("access to Voice Live resource denied; paused", extra=fields(**where, remedy=_ROLES))
            else:
                log.warning("Voice Live resource paused", extra=fields(**where))
        return True

    def _denied_credential(self, resource: str, status: object) -> str:
        if status not in (401, 403):
            return ""
        return next((one.target.credential for one in self.dialers if one.resource == resource), "")


def pause_s(error: AuthError | OutsideError) -> float:
    """Return the seconds for which the resource should be paused after this error; 0 if it need not be paused."""
    status = error.details.get("status")
    if status in (401, 403):
        return FORBIDDEN_S
    retry_after_s = error.retry_after_s if isinstance(error, OutsideError) else 0.0
    return retry_after_s or (BUSY_S if status == 429 else 0.0)


def _sooner(one: NoConnectionError | None, other: NoConnectionError) -> NoConnectionError:
    return other if one is None or other.wait_s < one.wait_s else one
