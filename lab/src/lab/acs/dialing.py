"""Rings the targets of an outbound call all at once. The first to answer connects the call, others join it later.

ACS reports targets that do not answer only if none answers.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Final

from lab.acs.call_ends import CallEnd
from lab.acs.calls import Participant
from lab.acs.joining import join
from lab.acs.leg import Leg
from lab.acs.party_identifiers import Identifier

PHONE_SETUP_S: Final = 115.0
"""How long ACS lets a called phone ring."""
Ring = tuple[float, CallEnd | None, Identifier]


async def dial(leg: Leg) -> bool:
    """Return whether somebody answered. Otherwise the call ends with the last outcome."""
    call, began = leg.call, time.monotonic()
    targets = (call.caller, *call.also_called)
    rings: list[Ring] = sorted(
        ((*leg.shared.plan(call, target).rings_s(PHONE_SETUP_S), target) for target in targets),
        key=lambda ring: ring[0],
    )
    for number, (ring_s, failed, target) in enumerate(rings):
        await asyncio.sleep(began + ring_s - time.monotonic())
        if failed is None:
            if target != call.caller:
                _answered_by(leg, target)
            leg.spawn(_others(leg, began, rings[number + 1 :]))
            return True
        call.note("callee_not_reached", participant=target.raw_id, reason=failed.reason)
        if number == len(rings) - 1:
            failed.by = "callee"
            leg.end(failed)
    return False


def _answered_by(leg: Leg, target: Identifier) -> None:
    """Make the target the first party of the call instead of the one that is called first."""
    call, plan = leg.call, leg.shared.plan(leg.call, target)
    call.caller, call.steps, call.audio, call.mark = target, plan.script(), plan.audio, plan.mark
    call.participants = {party.raw_id: Participant(party) for party in (target, call.app)}
    leg.follow_script()


async def _others(leg: Leg, began: float, rings: Sequence[Ring]) -> None:
    await leg.call.connected.wait()
    for ring_s, failed, target in rings:
        await asyncio.sleep(began + ring_s - time.monotonic())
        if failed is not None:
            leg.call.note("callee_not_reached", participant=target.raw_id, reason=failed.reason)
            continue
        plan = leg.shared.plan(leg.call, target)
        join(leg, target, plan, plan.script())
        leg.roster.publish()
