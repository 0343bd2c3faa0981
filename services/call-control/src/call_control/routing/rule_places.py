"""Counts the calls of rules with `max_calls`, for all replicas together.

Each such rule has a sorted set of calls in the order of their arrival. The first `max_calls` of them have a place; the
calls behind them wait for one (`wait`), first come, first served. A call leaves the set when it ends, or when it leaves
the rule: both are commands in the outbox of its record, so a crash frees the place a moment later.

A place without a call remains only if a process died between two writes and nobody processed the event again, or if
Redis lost the end of a call. When a rule is full, its calls are therefore compared with their records.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Final

from redis.asyncio import Redis

from bridge_common.base.log import fields
from bridge_common.redis.clients import redis_errors
from bridge_common.redis.scripts import load_script
from bridge_common.store.call_store import CallStore
from bridge_common.wire.call_record import CallRecord
from bridge_common.wire.keys import LIVE_TTL_S

log = logging.getLogger(__name__)

_REVIEW_S: Final = 2.0
"""A full rule is reviewed at most once in this time, by each replica."""
_CREATED_WITHIN_MS: Final = 60_000
"""The record of a call exists at the latest this time after the call got its place."""


@dataclass(frozen=True, slots=True)
class LimitedRule:
    """A rule that matches a call, and may be full."""

    name: str
    max_calls: int
    may_wait: bool


@dataclass(frozen=True, slots=True)
class Place:
    """The place of a call. `index`: the rule among the given ones. `queued`: the call waits for its place."""

    index: int
    queued: bool


class RulePlaces:
    def __init__(self, redis: Redis, store: CallStore) -> None:
        self._redis = redis
        self._store = store
        self._take = redis.register_script(load_script("call_control.routing", "place_take"))
        self._join = redis.register_script(load_script("call_control.routing", "place_join"))
        self._list = redis.register_script(load_script("call_control.routing", "place_list"))
        self._reviewed: dict[str, float] = {}

    async def take(self, call_id: str, rules: Sequence[LimitedRule]) -> Place | None:
        """Take a place in the first rule that has one, or in which the call may wait. `None`: all are full.

        A repeated call keeps its place. Raises `OutsideError`.
        """
        place = await self._take_once(call_id, rules)
        full = rules if place is None else rules[: place.index + place.queued]
        if full and await self._review([rule.name for rule in full]):
            if place is not None and not place.queued:
                await self.leave(call_id, rules[place.index].name)
            place = await self._take_once(call_id, rules)
        return place

    async def has_place(self, call_id: str, rule: str, max_calls: int) -> bool:
        """Return whether a waiting call has a place now. Raises `OutsideError`."""
        rank = await self.join(call_id, rule)
        if rank >= max_calls and await self._review([rule]):
            rank = await self.join(call_id, rule)
        return rank < max_calls

    async def join(self, call_id: str, rule: str) -> int:
        """Add the call to the rule if it is missing there, for example because Redis lost its data. Return the number
        of calls before it. Raises `OutsideError`.
        """
        async with redis_errors("joining the calls of a rule"):
            return int(await self._join(keys=[places_key(rule)], args=[call_id, LIVE_TTL_S]))

    async def leave(self, call_id: str, rule: str) -> None:
        """Free the place of a call. Idempotent. Raises `OutsideError`."""
        async with redis_errors("leaving the calls of a rule"):
            await self._redis.zrem(places_key(rule), call_id)

    async def count(self, rules: Collection[str]) -> dict[str, int]:
        """Return the number of calls of each rule, waiting ones included. Raises `OutsideError`."""
        async with redis_errors("counting the calls of rules"):
            return {rule: int(await self._redis.zcard(places_key(rule))) for rule in rules}

    async def _take_once(self, call_id: str, rules: Sequence[LimitedRule]) -> Place | None:
        limits = [part for rule in rules for part in (rule.max_calls, int(rule.may_wait))]
        async with redis_errors("taking a place in a rule"):
            index, queued = await self._take(
                keys=[places_key(rule.name) for rule in rules], args=[call_id, LIVE_TTL_S, *limits]
            )
        return Place(int(index) - 1, bool(queued)) if index else None

    async def _review(self, rules: Sequence[str]) -> bool:
        """Remove calls that have ended or left the rule. Return whether there were any."""
        now = time.monotonic()
        due = [rule for rule in rules if now - self._reviewed.get(rule, -_REVIEW_S) >= _REVIEW_S]
        self._reviewed |= dict.fromkeys(due, now)
        removed = 0
        for rule in due:
            removed += await self._review_rule(rule)
        return removed > 0

    async def _review_rule(self, rule: str) -> int:
        async with redis_errors("reviewing the calls of a rule"):
            found: list[Any] = await self._list(keys=[places_key(rule)])
        gone = 0
        for member, age_ms in zip(found[::2], found[1::2], strict=True):
            call_id = member.decode()
            record = await self._store.load(call_id)
            if holds(record, rule) or (record is None and age_ms < _CREATED_WITHIN_MS):
                continue
            await self.leave(call_id, rule)
            gone += 1
        if gone:
            log.warning("freed places of ended calls in a routing rule", extra=fields(rule=rule, calls=gone))
        return gone


def holds(record: CallRecord | None, rule: str) -> bool:
    """Return whether a call with this record has a place in the rule."""
    return record is not None and record.status.live and record.slot == rule


def places_key(rule: str) -> str:
    """Return the key of the calls of a rule. All rules are in one slot."""
    return f"quota:{{rules}}:{rule}"
