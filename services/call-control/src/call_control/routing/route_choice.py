"""Decides which rule a call follows: the policy, the places of its rules, and the limits on incoming calls."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

from bridge_common.wire.call_record import CallRecord
from bridge_common.wire.entries import IncomingCall
from call_control.core.policy.routing import Accepted, Routed, Routing
from call_control.routing.ring_counter import Exceeded, RingCounter
from call_control.routing.rule_places import LimitedRule, Place, RulePlaces, holds


class RoutingSource(Protocol):
    """The interface of `PolicyKeeper` that is used here."""

    async def routing(self) -> Routing: ...

    def count(self, routed: Routed) -> None: ...


class RouteChoice:
    """`rings`, `places`: `None` if limits on incoming calls, or places of rules, are not counted.

    Methods raise `OutsideError` if Redis does not answer.
    """

    def __init__(self, routing: RoutingSource, rings: RingCounter | None, places: RulePlaces | None) -> None:
        self._routing = routing
        self._rings = rings
        self._places = places

    async def admit(self, call: IncomingCall, redirect_target: str) -> tuple[Routed, Exceeded | None]:
        """Route a new call. Only calls for an agent count against the limits: the others need no voice session.

        `redirect_target`: raw id for calls above a limit, if the policy has no `human_agents`.
        """
        routing = await self._routing.routing()
        routed = await self._first_with_place(call, routing.options(call))
        assert routed is not None, "the last option has no limit"
        if self._rings is None or not isinstance(routed.decision, Accepted):
            return routed, None
        exceeded = await self._rings.exceeded(call)
        if exceeded is None:
            return routed, None
        await self.release(call.call_id, routed, None)
        target = routing.human_agents or redirect_target
        return self._rings.limits.turn_away(call, exceeded.limit, target), exceeded

    async def next_rule(self, record: CallRecord) -> Routed | None:
        """Route a call whose wait is over by the rules after its own. `None`: there are none."""
        call, routing = arrival_of(record), await self._routing.routing()
        return await self._first_with_place(call, routing.options(call, after=record.route))

    async def has_place(self, record: CallRecord) -> bool:
        """Return whether a waiting call may be offered to the relays: its rule has a place, or no limit any more."""
        if self._places is None or not record.slot:
            return True
        policy = (await self._routing.routing()).policy
        rule = next((one for one in policy.rules if one.name == record.slot), None) if policy else None
        if rule is None or rule.max_calls is None:
            return True
        return await self._places.has_place(record.call_id, rule.name, rule.max_calls)

    async def restore(self, record: CallRecord) -> None:
        """Take the place of a call again that Redis has lost."""
        if self._places is not None and holds(record, record.slot) and record.slot:
            await self._places.join(record.call_id, record.slot)

    async def release(self, call_id: str, routed: Routed, record: CallRecord | None) -> None:
        """Free the place that the call got with `routed`, unless it follows that rule according to its record."""
        if self._places is not None and routed.max_calls and not holds(record, routed.rule):
            await self._places.leave(call_id, routed.rule)

    def count(self, routed: Routed) -> None:
        """Count a route that was stored."""
        self._routing.count(routed)

    async def _first_with_place(self, call: IncomingCall, options: Sequence[Routed]) -> Routed | None:
        now_ms = round(time.time() * 1000)
        limited = [option for option in options if option.max_calls]
        place: Place | None = None
        if limited and self._places is not None:
            rules = [LimitedRule(one.rule, one.max_calls, one.wait_ms(call.received_ms, now_ms) > 0) for one in limited]
            place = await self._places.take(call.call_id, rules)
        elif limited:
            place = Place(0, queued=False)
        if place is not None:
            return replace(limited[place.index], queued=place.queued)
        return next((option for option in options if not option.max_calls), None)


def arrival_of(record: CallRecord) -> IncomingCall:
    """Return what the rules evaluate of a call that has a record."""
    return IncomingCall(
        call_id=record.call_id,
        event_id="",
        caller=record.caller,
        callee=record.callee,
        incoming_call_context="",
        correlation_id=record.correlation_id,
        server_call_id="",
        received_ms=record.created_ms,
        custom_context=record.custom_context,
        on_behalf_of=record.on_behalf_of,
    )
