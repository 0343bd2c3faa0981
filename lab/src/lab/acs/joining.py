"""A person joins a call: by an invitation, or from another call."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from lab.acs.caller import Caller
from lab.acs.calls import Participant
from lab.acs.leg import Leg, Script
from lab.acs.party_identifiers import Identifier
from lab.acs.people import CalleePlan
from lab.scenario import ScenarioStep

_GAP_S = 1.0


def join(leg: Leg, target: Identifier, plan: CalleePlan, steps: Iterable[ScenarioStep]) -> None:
    """Add a participant with a phone, and start the script: `steps` if the person speaks."""
    call = leg.call
    call.participants[target.raw_id] = Participant(target)
    leg.lines.add(target, plan.audio, plan.mark)
    call.note("participant_added", participant=target.raw_id)
    person = Caller(leg, target, steps if plan.audio == "script" else ())
    tasks = [leg.spawn(person.run())]
    if plan.hangs_up_after_s is not None:
        tasks.append(leg.spawn(_hang_up(leg, target, plan.hangs_up_after_s)))
    leg.scripts[target.raw_id] = Script(person, tuple(tasks))
    form = leg.shared.forms(call).join_media
    if form != "continues" and len(call.people) == 2 and call.media_state == "active":
        leg.spawn(_interrupt_media(leg, redial=form == "redial"))


async def _hang_up(leg: Leg, target: Identifier, after_s: float) -> None:
    await asyncio.sleep(after_s)
    leg.hang_up_by(target)


async def _interrupt_media(leg: Leg, *, redial: bool) -> None:
    if redial:
        await leg.streaming.reopen()
        return
    leg.call.media_suspended = "stops"
    await asyncio.sleep(_GAP_S)
    leg.call.media_suspended = ""
