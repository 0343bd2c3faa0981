"""Reads and replaces the routing policy in force.

All replicas read one key in Redis after each change, and every second in any case (the worker calls `follow`). If
Redis restarts empty or with an older version, a replica writes its copy of the policy again. ROUTING_POLICY is
compared once, at the start: it is adopted if its content differs from the one that a replica last adopted. A policy
that was set at run time is therefore kept after restarts, and a changed file replaces it.
"""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from bridge_common.base.errors import EntryError, OutsideError
from bridge_common.base.log import fields
from bridge_common.observability.telemetry import gauge
from call_control.core.policy.allowed_targets import disallowed_targets
from call_control.core.policy.policy_in_force import (
    OutdatedError,
    PolicyInForce,
    decode_in_force,
    encode_in_force,
    version_in,
)
from call_control.core.policy.policy_text import PolicyError
from call_control.core.policy.routing import Routed, Routing, fingerprint
from call_control.core.policy.routing_policy import Policy, digest_of, switched
from call_control.routing import rule_metrics
from call_control.routing.policy_store import PolicyStore

log = logging.getLogger(__name__)

LOOK_MS: Final = 800
"""Longest interval between reads. Replicas of older releases send no notification when they replace the policy."""
_SWAPS: Final = 20
"""Attempts to write if other replicas write at the same time."""

_VERSION = gauge("bridge_routing_policy_version", "Version of the routing policy in force; 0: none was ever set")


class PolicyKeeper:
    """Holds the routing policy in force. `settings`: of this replica, with the policy in ROUTING_POLICY. `source`: name
    of that policy for operators.
    """

    def __init__(self, store: PolicyStore, settings: Routing, source: str = "settings") -> None:
        self._store = store
        self._settings = settings
        self._source = source
        self._held = PolicyInForce(policy=settings.policy, by=source)
        self._routing = settings
        self._stored = b""
        self._newest = 0
        self._known = asyncio.Event()
        self._turn = asyncio.Lock()

    @property
    def known(self) -> bool:
        """Whether the policy was read from Redis."""
        return self._known.is_set()

    @property
    def held(self) -> PolicyInForce:
        """The policy in force on this replica, once it is `known`."""
        return self._held

    async def routing(self) -> Routing:
        """Return the current routing; wait until the policy is known."""
        await self._known.wait()
        return self._routing

    def count(self, routed: Routed) -> None:
        rule_metrics.count(routed)

    async def follow(self) -> None:
        """Read the policy in force, and return when it is time to read it again. Raises `OutsideError`."""
        await self.sync()
        await self._store.wait(LOOK_MS)

    async def sync(self) -> None:
        """Read the policy in force. Raises `OutsideError` if Redis does not answer."""
        async with self._turn:
            await self._sync()

    async def change(self, make: Callable[[Policy | None], Policy], by: str, expected: str = "") -> PolicyInForce:
        """Replace the policy in force by `make(policy)`. `expected`: its ETag, empty for any.

        Raises `OutdatedError`, `PolicyError`, `OutsideError`, and the errors of `make`.
        """
        return await self._change(lambda: self._checked(make(self._held.policy)), by, expected)

    async def switch(self, *, on: bool, by: str) -> PolicyInForce:
        """Set the kill switch in the current policy. The rest is not checked: the kill switch must always work.
        Without a policy, create one that routes like the settings.

        Raises `OutsideError`.
        """
        return await self._change(lambda: switched(self._held.policy, self._settings.profile, on=on), by, "")

    async def reset(self, by: str, expected: str = "") -> PolicyInForce:
        """Restore the policy that ROUTING_POLICY contained at the start; without one, the settings decide."""
        return await self._change(lambda: self._settings.policy, f"{self._source}, asked by {by}", expected)

    async def _change(self, make: Callable[[], Policy | None], by: str, expected: str) -> PolicyInForce:
        async with self._turn:
            for _ in range(_SWAPS):
                await self._sync()
                if expected and expected != self._held.etag:
                    raise OutdatedError(
                        f"the routing policy was changed and is now version {self._held.version}; fetch it again"
                    )
                if await self._write(replace(self._next(make(), by), file=self._held.file)):
                    return self._held
        raise _contended()

    def _checked(self, policy: Policy) -> Policy:
        if policy.shares and not self._settings.key:
            raise PolicyError([f"rule {name}: percent and agents need ROUTING_KEY" for name in policy.shares])
        if mistakes := disallowed_targets(policy, self._settings, self._held.policy):
            raise PolicyError(mistakes)
        return policy

    async def _sync(self) -> None:
        for _ in range(_SWAPS):
            if await self._agree(await self._store.read()):
                self._known.set()
                return
        raise _contended()

    async def _agree(self, stored: bytes) -> bool:
        """Adopt the stored policy, or store the newer one. Return false if another replica wrote at the same time."""
        first = not self._known.is_set()
        if stored == self._stored and not first and (stored or not self._held.version):
            return True
        self._stored = stored
        try:
            found = decode_in_force(stored) if stored else PolicyInForce()
        except EntryError as error:
            log.error("routing policy in Redis is invalid; keeping the current one", extra=fields(reason=error.message))
            self._newest = max(version_in(stored), self._held.version)
            return True
        self._newest = max(found.version, self._held.version)
        file = digest_of(self._settings.policy)
        if first and found.file != file:
            return await self._write(replace(self._next(self._settings.policy, self._source), file=file))
        if found.version < self._held.version:
            log.warning(
                "routing policy in Redis is missing or outdated; restoring it", extra=fields(version=self._held.version)
            )
            return await self._write(self._held)
        self._adopt(found)
        return True

    async def _write(self, held: PolicyInForce) -> bool:
        new = encode_in_force(held)
        if not await self._store.swap(self._stored, new):
            return False
        self._stored = new
        self._adopt(held)
        return True

    def _next(self, policy: Policy | None, by: str) -> PolicyInForce:
        key = fingerprint(self._settings.key)
        return PolicyInForce(self._newest + 1, policy, round(time.time() * 1000), by, key=key, id=uuid.uuid4().hex[:8])

    def _adopt(self, held: PolicyInForce) -> None:
        self._held = held
        self._routing = replace(self._settings, policy=held.policy)
        self._newest = held.version
        _VERSION.set(held.version)
        rule_metrics.know(held.policy)
        if held.version:
            log.info("routing policy in force", extra=_about(held))
        if held.policy and held.policy.shares and held.key != fingerprint(self._settings.key):
            log.warning(
                "ROUTING_KEY differs from that of the replica that set the policy; callers may be routed differently"
            )
        from_file = digest_of(held.policy) == held.file
        if held.policy and not from_file and (mistakes := disallowed_targets(held.policy, self._settings)):
            log.warning("routing policy in force has targets outside ALLOWED_TARGETS", extra=fields(places=mistakes))


def _contended() -> OutsideError:
    return OutsideError(
        f"the routing policy was not saved: other replicas changed it {_SWAPS} times in a row; retry", retry=True
    )


def _about(held: PolicyInForce) -> dict[str, object]:
    policy = held.policy
    return fields(
        version=held.version,
        by=held.by,
        rules=len(policy.rules) if policy else 0,
        kill_switch=policy.kill_switch if policy else False,
    )
