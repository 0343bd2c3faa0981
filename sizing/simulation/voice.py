"""Voice sessions of the simulated calls: who waits for a connection, for how long, and who is given up."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from random import Random
from typing import Final

from agent_relay.call.reconnects import PATIENCE_S
from agent_relay.voice.connection_quota import Urgency
from bridge_common.base.retry import Backoff
from bridge_common.store.leases import LEASE_MS
from sizing.simulation.clock import Clock
from sizing.simulation.counts import Counts
from sizing.simulation.deployment import Deployment
from sizing.simulation.entities import Call, Phase, Pod
from sizing.simulation.token_quota import TokenQuota

CLAIM_S: Final = 0.5
"""After this time, a ringing call is diverted if all relays are full (`CallPolicy.claim_ms`)."""
LOOK_S: Final = 0.5
"""Interval at which a connected call without a relay is offered again."""
JITTER_S: Final = Backoff().first_s


@dataclass(frozen=True, slots=True)
class VoiceTimes:
    session_s: float
    """Handshake and configuration of a session."""
    answer_deadline_s: float
    reconnect_budget_s: float


class Voice:
    """`answered` and `hang_up` are called with a call that has its first session, or that was given up."""

    def __init__(
        self,
        clock: Clock,
        relays: Deployment,
        quota: TokenQuota,
        times: VoiceTimes,
        random: Random,
        counts: Counts,
        *,
        answered: Callable[[Call], None],
        hang_up: Callable[[Call], None],
    ) -> None:
        self.ringing: dict[Call, None] = {}
        self._clock, self._relays, self._quota, self._times = clock, relays, quota, times
        self._random, self._counts = random, counts
        self._answered, self._hang_up = answered, hang_up

    # -- ringing
    def ring(self, call: Call) -> None:
        self._counts.offered += 1
        self.ringing[call] = None
        if not self._claim(call):
            self._clock.after(CLAIM_S, lambda: self._claim_late(call))
        self._clock.after(self._times.answer_deadline_s, lambda: self._divert(call, "no_voice"))

    def _claim_late(self, call: Call) -> None:
        if call.phase is Phase.RINGING and not self._claim(call):
            self._divert(call, "no_capacity")

    def _claim(self, call: Call) -> bool:
        relay = self._relays.emptiest()
        if relay is None:
            return False
        relay.calls[call] = None
        call.relay = relay
        call.attempt += 1
        self._dial_new(call, call.attempt)
        return True

    def _dial_new(self, call: Call, attempt: int) -> None:
        if call.phase is not Phase.RINGING or call.attempt != attempt:
            return
        taken = self._quota.take(self._clock.now, Urgency.NEW)
        if taken.resource is None:
            if taken.wait_s > PATIENCE_S:
                self._divert(call, "voice_lost")
            else:
                self._clock.after(self._wait_s(taken.wait_s), lambda: self._dial_new(call, attempt))
            return
        resource = taken.resource

        def ready() -> None:
            if call.phase is Phase.RINGING and call.attempt == attempt:
                call.resource, call.phase = resource, Phase.CONNECTED
                self.ringing.pop(call, None)
                self._answered(call)

        self._clock.after(self._times.session_s, ready)

    def _divert(self, call: Call, reason: str) -> None:
        if call.phase is Phase.RINGING:
            self._counts.diverted[reason] += 1
            self._hang_up(call)

    # -- connected, without a session
    def relay_died(self, pod: Pod) -> None:
        """Its calls can be claimed when their leases have expired."""
        for call in self._taken_from(pod):
            self._clock.after(LEASE_MS / 1000, partial(self._claim_again, call))

    def released(self, pod: Pod) -> None:
        for call in self._taken_from(pod):
            self._counts.released += call.phase is Phase.CONNECTED
            self._claim_again(call)

    def _taken_from(self, pod: Pod) -> list[Call]:
        calls = list(pod.calls)
        pod.calls.clear()
        for call in calls:
            call.attempt += 1
            other = call.next_relay if call.relay is pod else None
            if other is not None and other is not pod:
                other.calls.pop(call, None)
            if call.relay is pod:
                call.relay, call.next_relay = None, None
                if call.phase is Phase.CONNECTED and call.silent_since is None:
                    call.silent_since = self._clock.now
            else:
                call.next_relay = None  # its owner continues the call
        return [call for call in calls if call.relay is None]

    def _claim_again(self, call: Call) -> None:
        if call.phase is Phase.OVER or call.relay is not None:
            return
        if call.phase is Phase.RINGING:
            self._claim_late(call)
            return
        relay = self._relays.emptiest()
        if relay is not None:
            relay.calls[call] = None
            call.relay = relay
            call.attempt += 1
            self._dial_again(call, call.attempt, self._clock.now)
        elif call.silent_since is not None and self._clock.now - call.silent_since > self._times.reconnect_budget_s:
            self._lose(call, "no_relay")
        else:
            self._clock.after(LOOK_S, lambda: self._claim_again(call))

    def _dial_again(self, call: Call, attempt: int, since: float) -> None:
        if call.phase is not Phase.CONNECTED or call.attempt != attempt:
            return
        taken = self._quota.take(self._clock.now, Urgency.RUNNING, call.resource)
        if taken.resource is None:
            wait_s = self._wait_s(taken.wait_s)
            if wait_s >= since + self._times.reconnect_budget_s - self._clock.now:
                self._lose(call, "voice_lost")
            else:
                self._clock.after(wait_s, lambda: self._dial_again(call, attempt, since))
            return
        resource = taken.resource

        def ready() -> None:
            if call.phase is Phase.CONNECTED and call.attempt == attempt:
                call.resource = resource
                if call.silent_since is not None:
                    self._counts.silences_s.append(self._clock.now - call.silent_since)
                call.silent_since = None

        self._clock.after(self._times.session_s, ready)

    def _lose(self, call: Call, reason: str) -> None:
        self._counts.lost[reason] += 1
        self._hang_up(call)

    # -- hand-over: the call keeps its session until the next one is ready
    def hand_over(self, call: Call, done: Callable[[bool], None]) -> None:
        """Move a call to another relay. `done`: called with whether it has moved."""
        relay = self._relays.emptiest(but=call.relay)
        if relay is None:
            done(False)
            return
        relay.calls[call] = None
        call.next_relay = relay
        call.attempt += 1
        self._dial_next(call, call.attempt, self._clock.now, done)

    def _dial_next(self, call: Call, attempt: int, since: float, done: Callable[[bool], None]) -> None:
        if call.phase is not Phase.CONNECTED or call.attempt != attempt:
            done(False)
            return
        taken = self._quota.take(self._clock.now, Urgency.RUNNING, call.resource)
        if taken.resource is None:
            wait_s = self._wait_s(taken.wait_s)
            if wait_s >= since + self._times.reconnect_budget_s - self._clock.now:
                self._return(call)
                done(False)
            else:
                self._clock.after(wait_s, lambda: self._dial_next(call, attempt, since, done))
            return
        resource = taken.resource

        def ready() -> None:
            if call.phase is not Phase.CONNECTED or call.attempt != attempt:
                done(False)
                return
            if call.relay is not None:
                call.relay.calls.pop(call, None)
            call.relay, call.next_relay, call.resource = call.next_relay, None, resource
            self._counts.handed_over += 1
            done(True)

        self._clock.after(self._times.session_s, ready)

    def _return(self, call: Call) -> None:
        if call.next_relay is not None:
            call.next_relay.calls.pop(call, None)
            call.next_relay = None

    def _wait_s(self, wait_s: float) -> float:
        return wait_s + self._random.random() * JITTER_S
