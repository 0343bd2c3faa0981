"""Drains: a relay hands its calls over at the pace of the quota (`agent_relay.fleet.hand_over`); a gateway waits for
the end of its calls, and closes the remaining sockets near the end of its drain time.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Final

from agent_relay.fleet.hand_over import MOST_AT_ONCE
from agent_relay.voice.connection_quota import Urgency
from sizing.simulation.clock import Clock
from sizing.simulation.counts import Counts
from sizing.simulation.deployment import Deployment
from sizing.simulation.entities import Call, Phase, Pod
from sizing.simulation.media import Media
from sizing.simulation.token_quota import TokenQuota
from sizing.simulation.voice import Voice

STEP_S: Final = 0.5
"""Interval at which a draining relay looks for calls to hand over, and a gateway whether it is empty. The relay does so
every 100 ms.
"""
CLOSING_S: Final = 1.0
"""Part of a gateway's drain time that is reserved for closing sockets."""


@dataclass(frozen=True, slots=True)
class DrainTimes:
    pre_stop_s: float
    timeout_s: float


class RelayDrains:
    def __init__(
        self, clock: Clock, relays: Deployment, quota: TokenQuota, voice: Voice, times: DrainTimes, counts: Counts
    ) -> None:
        self._clock, self._relays, self._quota, self._voice = clock, relays, quota, voice
        self._times, self._counts = times, counts

    def begin(self, pod: Pod) -> None:
        self._clock.after(self._times.pre_stop_s, lambda: self._step(pod, self._clock.now, Counter()))

    def _step(self, pod: Pod, began: float, under_way: Counter[int]) -> None:
        waited_s = self._clock.now - began
        if waited_s >= self._times.timeout_s and pod.calls:
            self._voice.released(pod)
        if not pod.calls:
            self._counts.drains_s.append(waited_s)
            self._relays.ended(pod)
            return
        if self._relays.room(but=pod) >= len(pod.calls):
            self._hand_over(pod, waited_s, under_way)
        self._clock.after(STEP_S, lambda: self._step(pod, began, under_way))

    def _hand_over(self, pod: Pod, waited_s: float, under_way: Counter[int]) -> None:
        urgency = Urgency.BACKGROUND if waited_s < self._times.timeout_s / 2 else Urgency.RUNNING
        free: Counter[int] = Counter()
        for call in list(pod.calls):
            resource = call.resource
            if under_way.total() >= MOST_AT_ONCE:
                return
            if call.phase is not Phase.CONNECTED or call.next_relay is not None or call.relay is not pod:
                continue
            if resource is None or call.silent_since is not None:
                continue
            if resource not in free:
                free[resource] = self._quota.free(self._clock.now, resource, urgency) - under_way[resource]
            if free[resource] > 0:
                free[resource] -= 1
                under_way[resource] += 1
                self._begin(call, resource, under_way)

    def _begin(self, call: Call, resource: int, under_way: Counter[int]) -> None:
        def done(moved: bool) -> None:
            under_way[resource] -= 1

        self._voice.hand_over(call, done)


class GatewayDrains:
    def __init__(self, clock: Clock, gateways: Deployment, media: Media, times: DrainTimes) -> None:
        self._clock, self._gateways, self._media, self._times = clock, gateways, media, times

    def begin(self, pod: Pod) -> None:
        self._clock.after(self._times.pre_stop_s, lambda: self._step(pod, self._clock.now))

    def _step(self, pod: Pod, began: float) -> None:
        if self._clock.now - began >= self._times.timeout_s - CLOSING_S:
            self._media.closed(pod)
        if pod.calls:
            self._clock.after(STEP_S, lambda: self._step(pod, began))
        else:
            self._gateways.ended(pod)
