"""The Voice Live resources that calls may use: the first by preference, the others when it has no connection left.

What one process learns of a resource (it refuses connections, it forbids them) holds for the whole fleet, by the quota
in Redis.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from agent_relay import metrics
from agent_relay.core.protocol.voice_target import VoiceTarget
from agent_relay.voice.connection_quota import Quota, Urgency
from agent_relay.voice.voice_link import Dialer
from agent_relay.voice.voice_live_client import VoiceSocket
from bridge_common.base.errors import AuthError, OutsideError
from bridge_common.base.log import fields

log = logging.getLogger(__name__)

BUSY_S: Final = 0.5
"""A resource that answers 429 without saying for how long is left alone for so long."""
FORBIDDEN_S: Final = 10.0
"""One that forbids the connection, until somebody has given the role."""
_ROLES: Final = (
    "give the relay's identity the role Cognitive Services User (a97b65f3-24c7-4388-baec-2e87135dc908) on this "
    "resource, and for agents also Foundry User (53ca6127-db72-4b80-b1b0-d745d6d5456d)"
)


class NoConnectionError(OutsideError):
    """No resource takes a connection now; the soonest may in `wait_s`."""

    def __init__(self, message: str, wait_s: float) -> None:
        super().__init__(message, retry=True)
        self.wait_s = wait_s


@dataclass(frozen=True, slots=True)
class OpenedSocket:
    socket: VoiceSocket
    resource: str
    """Its name: the host."""


@dataclass(frozen=True, slots=True)
class VoiceResources:
    """At least one dialer; all connect in the same way, with the same agent or model."""

    dialers: Sequence[Dialer]
    quota: Quota

    @property
    def target(self) -> VoiceTarget:
        return self.dialers[0].target

    async def dial(
        self, request_id: str, urgency: Urgency, *, conversation_id: str = "", begun_on: str = ""
    ) -> OpenedSocket:
        """An open socket. A conversation goes on only on the resource that it was `begun_on`, which is asked first.

        Raises `AuthError` or `OutsideError`; `NoConnectionError` when it makes no sense to ask before some time.
        """
        failure: AuthError | OutsideError | None = None
        later: NoConnectionError | None = None
        for dialer in sorted(self.dialers, key=lambda one: one.resource != begun_on):
            grant = await self.quota.take(dialer.resource, urgency)
            if not grant.token:
                metrics.QUOTA_WAITS.labels(dialer.resource, urgency.name.lower()).inc()
                later = _sooner(later, NoConnectionError(f"{dialer.resource} takes no connection now", grant.wait_s))
                continue
            at_home = begun_on in ("", dialer.resource)
            try:
                socket = await dialer.dial(request_id, conversation_id if at_home else "")
            except (AuthError, OutsideError) as error:
                await self.quota.give_back(dialer.resource, grant)
                if await self.leave_alone(dialer.resource, error):
                    later = _sooner(later, NoConnectionError(error.message, pause_s(error)))
                else:
                    failure = error
            else:
                return OpenedSocket(socket, dialer.resource)
        raise failure or later or NoConnectionError("there is no resource", BUSY_S)

    async def leave_alone(self, resource: str, error: AuthError | OutsideError) -> bool:
        """Whether the resource has to be left alone after this refusal; then all of the fleet does."""
        for_s = pause_s(error)
        if not for_s:
            return False
        if await self.quota.pause(resource, for_s):
            status = error.details.get("status", 0)
            where = {"resource": resource, "for_s": for_s, "error": error.message}
            metrics.PAUSES.labels(resource, str(status)).inc()
            if status in (401, 403):
                log.error("Voice Live forbids the connection", extra=fields(**where, remedy=_ROLES))
            else:
                log.warning("Voice Live is left alone for a while", extra=fields(**where))
        return True


def pause_s(error: AuthError | OutsideError) -> float:
    """How long a resource that refused like this is left alone; 0: it need not be."""
    match error.details.get("status"):
        case 401 | 403:
            return FORBIDDEN_S
        case 429:
            return _told(error) or BUSY_S
    return _told(error)


def _told(error: AuthError | OutsideError) -> float:
    """The server's `Retry-After`."""
    return error.retry_after_s if isinstance(error, OutsideError) else 0.0


def _sooner(one: NoConnectionError | None, other: NoConnectionError) -> NoConnectionError:
    return other if one is None or other.wait_s < one.wait_s else one
