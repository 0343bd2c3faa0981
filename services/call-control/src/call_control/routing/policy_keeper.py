"""Keeps this replica's routing policy the one that is in force, and puts new ones in force.

All replicas look at one key in Redis whenever it was replaced, and every second in any case (the worker calls
`follow`). What they know survives Redis: when it comes back empty or with an older version, the policy is written
again. ROUTING_POLICY is looked at once, at the start: it counts when it says something else than when a replica last
took it over. So a policy given at run time outlives restarts, and a changed file wins over it.
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
from bridge_common.observability.telemetry import Label, counter, gauge
from call_control.core.policy.allowed_targets import not_allowed
from call_control.core.policy.kill_switch import switched
from call_control.core.policy.policy_in_force import (
    OutdatedError,
    PolicyInForce,
    decode_in_force,
    encode_in_force,
    version_in,
)
from call_control.core.policy.routing import Routed, Routing
from call_control.core.policy.routing_policy import Policy, PolicyError, digest_of
from call_control.core.policy.share import fingerprint
from call_control.routing.policy_store import PolicyStore

log = logging.getLogger(__name__)

LOOK_MS: Final = 800
"""A replica of an older release replaces the policy without telling; within a second it has to be in force here too."""
_SWAPS: Final = 20
"""Attempts to write while others write."""

_VERSION = gauge("bridge_routing_policy_version", "Version of the routing policy in force here; 0: none was ever given")
_RULE = Label("rule", most=16)
"""The rules of the policy in force, and a few more: the settings that decide where no rule does."""
_ROUTED = counter(
    "bridge_calls_routed", "Calls that rang, by where they were sent and the rule that said so",
    Label("action", ("agent", "redirect", "reject")), _RULE,
)  # fmt: skip


class PolicyKeeper:
    """`settings`: this replica's, with what ROUTING_POLICY holds as the policy. `source`: how people know it."""

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
        """Redis has told what is in force."""
        return self._known.is_set()

    @property
    def held(self) -> PolicyInForce:
        """What is in force here, once it is known."""
        return self._held

    async def routing(self) -> Routing:
        """By which calls are routed now; waits until that is known."""
        await self._known.wait()
        return self._routing

    def count(self, routed: Routed) -> None:
        _ROUTED.labels(routed.action, routed.rule).inc()

    async def follow(self) -> None:
        """Look at what is in force, and return when it is time to look again. Raises `OutsideError`."""
        await self.sync()
        await self._store.wait(LOOK_MS)

    async def sync(self) -> None:
        """Look at what is in force. Raises `OutsideError` when Redis does not answer."""
        async with self._turn:
            await self._sync()

    async def change(self, make: Callable[[Policy | None], Policy], by: str, expected: str = "") -> PolicyInForce:
        """Put what `make` makes of the policy in force in its place, unless that is no longer the one with this ETag.

        Raises `OutdatedError`, `PolicyError`, `OutsideError`, and what `make` raises.
        """
        return await self._change(lambda: self._checked(make(self._held.policy)), by, expected)

    async def switch(self, *, on: bool, by: str) -> PolicyInForce:
        """Set `everyone_to_people`; the rest of the policy stays as it is, whoever changed it last, and is not checked
        again: nothing may refuse the kill switch. Without a policy one is made that does what the settings do.

        Raises `OutsideError`.
        """
        return await self._change(lambda: switched(self._held.policy, self._settings.profile, on=on), by, "")

    async def reset(self, by: str, expected: str = "") -> PolicyInForce:
        """Back to what ROUTING_POLICY held at the start, or to no policy."""
        return await self._change(lambda: self._settings.policy, f"{self._source}, asked by {by}", expected)

    async def _change(self, make: Callable[[], Policy | None], by: str, expected: str) -> PolicyInForce:
        async with self._turn:
            for _ in range(_SWAPS):
                await self._sync()
                if expected and expected != self._held.etag:
                    raise OutdatedError(f"the policy was changed, it is version {self._held.version} now: look again")
                if await self._write(replace(self._next(make(), by), file=self._held.file)):
                    return self._held
        raise OutsideError("the routing policy is written by others all the time", retry=True)

    def _checked(self, policy: Policy) -> Policy:
        if policy.shares and not self._settings.key:
            raise PolicyError([f"rule {name}: percent needs ROUTING_KEY" for name in policy.shares])
        if mistakes := not_allowed(policy, self._settings, self._held.policy):
            raise PolicyError(mistakes)
        return policy

    async def _sync(self) -> None:
        for _ in range(_SWAPS):
            if await self._agree(await self._store.read()):
                self._known.set()
                return
        raise OutsideError("the routing policy is written by others all the time", retry=True)

    async def _agree(self, stored: bytes) -> bool:
        """Take over what stands in Redis, or write what should stand there; False when that changed meanwhile."""
        first = not self._known.is_set()
        if stored == self._stored and not first and (stored or not self._held.version):
            return True
        self._stored = stored
        try:
            there = decode_in_force(stored) if stored else PolicyInForce()
        except EntryError as error:
            log.error("the routing policy stays as it was", extra=fields(reason=error.message))
            self._newest = max(version_in(stored), self._held.version)
            return True
        self._newest = max(there.version, self._held.version)
        file = digest_of(self._settings.policy)
        if first and there.file != file:
            return await self._write(replace(self._next(self._settings.policy, self._source), file=file))
        if there.version < self._held.version:
            log.warning("Redis has lost the routing policy", extra=fields(version=self._held.version))
            return await self._write(self._held)
        self._take(there)
        return True

    async def _write(self, held: PolicyInForce) -> bool:
        new = encode_in_force(held)
        if not await self._store.swap(self._stored, new):
            return False
        self._stored = new
        self._take(held)
        return True

    def _next(self, policy: Policy | None, by: str) -> PolicyInForce:
        key = fingerprint(self._settings.key)
        return PolicyInForce(self._newest + 1, policy, round(time.time() * 1000), by, key=key, id=uuid.uuid4().hex[:8])

    def _take(self, held: PolicyInForce) -> None:
        self._held = held
        self._routing = replace(self._settings, policy=held.policy)
        self._newest = held.version
        _VERSION.set(held.version)
        _count_rules_of(held.policy)
        if held.version:
            log.info("routing policy in force", extra=_about(held))
        if held.policy and held.policy.shares and held.key != fingerprint(self._settings.key):
            log.warning("ROUTING_KEY is another one than where the policy was written: callers may go other ways")
        of_the_file = digest_of(held.policy) == held.file
        if held.policy and not of_the_file and (mistakes := not_allowed(held.policy, self._settings)):
            log.warning("routing policy in force has targets outside ALLOWED_TARGETS", extra=fields(places=mistakes))


def _count_rules_of(policy: Policy | None) -> None:
    """A rule that is no longer in force has no series: else each new policy would add its own."""
    rules = frozenset(rule.name for rule in policy.rules) if policy else frozenset[str]()
    for name in _RULE.values - rules:
        _ROUTED.remove_by_labels({"rule": name})
    _RULE.values = rules


def _about(held: PolicyInForce) -> dict[str, object]:
    policy = held.policy
    return fields(
        version=held.version,
        by=held.by,
        rules=len(policy.rules) if policy else 0,
        everyone_to_people=policy.everyone_to_people if policy else False,
    )
