"""ParticipantsUpdated of one call, in the recorded forms: once for a change, as a flood of identical rosters, or stale
after a removal. Sequence numbers grow, but are not dense.
"""

from __future__ import annotations

import asyncio

from lab.acs import callback_events as events
from lab.acs.callback_delivery import CallbackQueue
from lab.acs.calls import SimulatedCall
from lab.acs.party_identifiers import Json
from lab.acs.shared_state import SharedState
from lab.acs.streaming import Spawn

_FLOOD_STEPS = (0, 2, 1, 0)
"""Increments of the sequence number in the four repetitions of a roster: some are repeated, some are skipped."""
_FLOOD_SPACING_S = 0.45
_STALE_S = 0.4


class Roster:
    def __init__(self, call: SimulatedCall, shared: SharedState, callbacks: CallbackQueue, spawn: Spawn) -> None:
        self._call = call
        self._shared = shared
        self._callbacks = callbacks
        self._spawn = spawn

    def publish(self, *, removed: Json | None = None) -> None:
        """Report the participants. `removed`: the participant whose removal is reported, as it was listed."""
        forms = self._shared.forms(self._call)
        roster = events.participants_updated(self._call)
        if not forms.roster_delay_s and forms.roster == "once":
            self._callbacks.put(roster)
        else:
            self._spawn(self._publish(roster, removed))

    async def _publish(self, roster: Json, removed: Json | None) -> None:
        forms = self._shared.forms(self._call)
        await asyncio.sleep(forms.roster_delay_s)
        self._callbacks.put(roster)
        if forms.roster == "stale" and removed is not None:
            await asyncio.sleep(_STALE_S)
            self._callbacks.put(events.participants_updated(self._call, also=removed))
        if forms.roster == "flood":
            for step in _FLOOD_STEPS:
                await asyncio.sleep(_FLOOD_SPACING_S)
                self._call.participants_sequence += step
                self._callbacks.put(events.repeated_roster(roster, self._call.participants_sequence))
