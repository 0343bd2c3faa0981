"""Rows of the simulation: how many calls, what happens to them, and the goals of each row."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from sizing.deployed import AUTOSCALERS, GATEWAY, RELAY, Service
from sizing.plan import Model, cells
from sizing.simulation.arrivals import Curve
from sizing.simulation.counts import Counts
from sizing.simulation.deployment import PodSpec
from sizing.simulation.drains import DrainTimes
from sizing.simulation.fleet import Demand, Fleet, FleetSpec
from sizing.simulation.nodes import NodeSpec
from sizing.simulation.voice import VoiceTimes

MOST_DIVERTED: Final = 0.001
"""Goal: the share of offered calls that are diverted is below this."""
MOST_DIVERTED_BY_NODE: Final = 0.005
"""The same in the hour in which a node dies. Resources are bought for the death of one relay."""
HOUR_S: Final = 3600.0
START_S: Final = 15.0
"""Time from the placement of a pod on a node until it is ready: image, start, two probes."""
PROVISION_S: Final = 180.0
"""Time until a new node is ready."""
SESSION_S: Final = 1.0
"""Handshake and configuration of a voice session."""
SCRAPE_S: Final = 45.0
"""Age of a metric that the Prometheus adapter serves: scrape interval and its own cache."""
DEATHS_EVERY_S: Final = 600.0
Events = Callable[[Fleet], None]


@dataclass(frozen=True, slots=True)
class Row:
    name: str
    curve: Curve
    """Calls of the whole deployment."""
    hours: float
    events: Events | None = None
    cells: int | None = None
    """None: as many as the plan has for the peak."""
    autoscaler: str = AUTOSCALERS[0]
    repeats: int = 1
    """Runs with different seeds."""
    diverted_below: float = MOST_DIVERTED


@dataclass(slots=True)
class Result:
    row: Row
    cells: int
    resources: int
    counts: Counts = field(default_factory=Counts)
    relays: int = 0
    gateways: int = 0
    """Highest numbers of running pods, draining ones included."""
    relays_draining: int = 0
    """Highest number in one cell at the same time."""
    gateways_draining: int = 0
    relay_hours: float = 0.0
    gateway_hours: float = 0.0
    rolled_out_s: float = 0.0
    """Longest roll-out."""

    @property
    def mistakes(self) -> list[str]:
        """Return the goals that the row misses."""
        found = []
        if self.counts.diverted_share >= self.row.diverted_below:
            found.append(f"diverted {self.counts.diverted_share:.3%}")
        if self.counts.lost:
            found.append(f"lost {self.counts.lost.total()}")
        return found

    @property
    def longest_silence_s(self) -> float:
        return max(self.counts.silences_s, default=0.0)


def _relay_deaths(fleet: Fleet) -> None:
    fleet.clock.every(DEATHS_EVERY_S, fleet.relay_dies)


def _node_death(fleet: Fleet) -> None:
    fleet.clock.after(DEATHS_EVERY_S, fleet.node_dies)


def _roll_out(fleet: Fleet) -> None:
    fleet.roll_out()


def _roll_out_and_deaths(fleet: Fleet) -> None:
    _roll_out(fleet)
    _relay_deaths(fleet)


def day(calls: float, *, night: float = 10.0) -> Curve:
    """A day in 6 hours: quiet, an hour of growth, two hours of full load, one and a half of decline, quiet."""
    hours = ((0.0, night), (0.5, night), (1.5, calls), (3.5, calls), (5.0, night), (6.0, night))
    return Curve(tuple((at * HOUR_S, value) for at, value in hours))


def rows() -> list[Row]:
    falling = Curve(((0.0, 1000.0), (0.25 * HOUR_S, 1000.0), (0.5 * HOUR_S, 10.0)))
    return [
        Row("10 calls", Curve.level(10), 100),
        Row("100 calls", Curve.level(100), 10),
        Row("1,000 calls", Curve.level(1000), 2),
        Row("10,000 calls", Curve.level(10_000), 0.5),
        Row("a day: 10, 1,000, 10 calls", day(1000), 6),
        Row("a day in one cell", day(1000), 6, cells=1),
        Row("a day, HPA component", day(1000), 6, autoscaler="hpa"),
        Row("1,000 to 10 calls in 15 minutes", falling, 2),
        Row("100 calls, roll-out", Curve.level(100), 1, _roll_out, repeats=10),
        Row("1,000 calls, roll-out", Curve.level(1000), 2, _roll_out),
        Row("100 calls, a relay dies every 10 minutes", Curve.level(100), 10, _relay_deaths),
        Row("1,000 calls, a relay of each cell dies every 10 minutes", Curve.level(1000), 2, _relay_deaths),
        Row("1,000 calls, the same and a roll-out", Curve.level(1000), 2, _roll_out_and_deaths),
        Row(
            "100 calls, a node dies", Curve.level(100), 1, _node_death, repeats=10, diverted_below=MOST_DIVERTED_BY_NODE
        ),
        Row(
            "1,000 calls, a node of each cell dies",
            Curve.level(1000),
            1,
            _node_death,
            diverted_below=MOST_DIVERTED_BY_NODE,
        ),
    ]


def simulate(model: Model, row: Row) -> Result:
    """Simulate all cells of a row. Each has the same share of the calls, and its own seed."""
    number = row.cells or cells(model, round(row.curve.peak))[0]
    spec = fleet_spec(model, row.autoscaler, row.curve.scaled(1 / number))
    result = Result(row, number, number * spec.resources)
    for repeat in range(row.repeats):
        fleets = [Fleet(spec, repeat * 1000 + cell) for cell in range(number)]
        for fleet in fleets:
            result.counts.add(fleet.run(row.hours * HOUR_S, row.events))
            result.relays_draining = max(result.relays_draining, fleet.relays.most.draining)
            result.gateways_draining = max(result.gateways_draining, fleet.gateways.most.draining)
            rolled_out_s = [*fleet.relays.rolled_out_s, *fleet.gateways.rolled_out_s]
            result.rolled_out_s = max([result.rolled_out_s, *rolled_out_s])
            relay_hours, gateway_hours = fleet.hours()
            result.relay_hours += relay_hours
            result.gateway_hours += gateway_hours
        result.relays = max(result.relays, sum(fleet.relays.most.pods for fleet in fleets))
        result.gateways = max(result.gateways, sum(fleet.gateways.most.pods for fleet in fleets))
    return result


def fleet_spec(model: Model, autoscaler: str, curve: Curve) -> FleetSpec:
    """Return the specification of one cell."""
    deployed, assumed = model.deployed, model.assumed
    relay, gateway = deployed.services[RELAY], deployed.services[GATEWAY]
    return FleetSpec(
        curve=curve,
        mean_call_s=assumed.mean_call_s,
        resources=model.resources(round(curve.peak)),
        connections_per_min=deployed.connections_per_min,
        relay=_pod_spec(RELAY, relay),
        gateway=_pod_spec(GATEWAY, gateway),
        relay_scaling=relay.scaling[autoscaler],
        gateway_scaling=gateway.scaling[autoscaler],
        demand=Demand(
            buffer_calls=deployed.buffer_calls,
            buffer_percent=deployed.buffer_percent,
            lag_s=SCRAPE_S if autoscaler == "hpa" else 0.0,
        ),
        voice=VoiceTimes(SESSION_S, deployed.answer_deadline_s, deployed.reconnect_budget_s),
        relay_drain=DrainTimes(relay.pre_stop_s, relay.drain_s),
        gateway_drain=DrainTimes(gateway.pre_stop_s, gateway.drain_s),
        media_patience_s=deployed.media_patience_s,
        node=NodeSpec(assumed.node_cpu_m, assumed.nodes_min, PROVISION_S),
    )


def _pod_spec(kind: str, service: Service) -> PodSpec:
    return PodSpec(kind, service.cpu_m, service.capacity, START_S, service.min_ready_s, service.max_surge)
