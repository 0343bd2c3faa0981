"""Media sockets of the simulated calls: ACS opens them at the gateway with the fewest connections."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final

from sizing.simulation.clock import Clock
from sizing.simulation.counts import Counts
from sizing.simulation.deployment import Deployment
from sizing.simulation.entities import Call, Phase, Pod

DIAL_S: Final = 1.0
"""Interval between attempts to open a socket, and the time from the loss of one to the next attempt."""


class Media:
    def __init__(
        self,
        clock: Clock,
        gateways: Deployment,
        patience_s: float,
        counts: Counts,
        hang_up: Callable[[Call], None],
    ) -> None:
        self._clock, self._gateways, self._patience_s = clock, gateways, patience_s
        self._counts, self._hang_up = counts, hang_up

    def open(self, call: Call) -> None:
        self._dial(call, self._clock.now)

    def closed(self, pod: Pod) -> None:
        """The gateway died, or closes its remaining sockets at the end of its drain."""
        calls = list(pod.calls)
        pod.calls.clear()
        for call in calls:
            call.gateway = None
            self._counts.moved_sockets += 1
            self._clock.after(DIAL_S, partial(self._dial, call, self._clock.now))

    def _dial(self, call: Call, since: float) -> None:
        if call.phase is not Phase.CONNECTED or call.gateway is not None:
            return
        gateway = self._gateways.emptiest()
        if gateway is not None:
            gateway.calls[call] = None
            call.gateway = gateway
        elif self._clock.now - since > self._patience_s:
            self._counts.lost["media_lost"] += 1
            self._hang_up(call)
        else:
            self._clock.after(DIAL_S, lambda: self._dial(call, since))
