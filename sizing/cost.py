"""The cost of a call: quantities from the simulation, prices from prices.yaml, which the operator edits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import yaml

from sizing.deployed import CONTROL, GATEWAY, RELAY
from sizing.plan import Model
from sizing.rows import Result

PRICES: Final = Path(__file__).with_name("prices.yaml")
QUANTITIES: Final = (
    "node_hour",
    "redis_hour",
    "acs_minute",
    "acs_streaming_minute",
    "voice_input_mtokens",
    "voice_output_mtokens",
)


class PriceError(Exception):
    """prices.yaml is not valid. The message lists each mistake."""


@dataclass(frozen=True, slots=True)
class Price:
    what: str
    """The product, and its unit."""
    price: float | None
    source: str
    date: str


@dataclass(frozen=True, slots=True)
class Prices:
    currency: str
    prices: Mapping[str, Price]


def load_prices(path: Path = PRICES) -> Prices:
    stored = yaml.safe_load(path.read_text(encoding="utf-8"))
    prices = {name: Price(**one) for name, one in stored["prices"].items()}
    mistakes = [f"{name}: is not set; add it" for name in QUANTITIES if name not in prices]
    mistakes += [f"{name}: is unknown; remove it" for name in prices if name not in QUANTITIES]
    for name, one in prices.items():
        if one.price is not None and one.price < 0:
            mistakes.append(f"{name}: price must be 0 or more, got {one.price}")
        if one.price is not None and not (one.source and one.date):
            mistakes.append(f"{name}: a price needs its source and date")
    if mistakes:
        raise PriceError("\n".join([f"{path}:", *mistakes]))
    return Prices(stored["currency"], prices)


def quantities(result: Result, model: Model) -> dict[str, float]:
    """Return what one call of the row uses, by the names of the prices. The cells share the nodes of a cluster."""
    assumed, services = model.assumed, model.deployed.services
    calls = result.counts.offered - result.counts.diverted.total()
    minutes = assumed.mean_call_s / 60
    hours = result.row.hours * result.row.repeats
    cpu_m = result.relay_hours * services[RELAY].cpu_m + result.gateway_hours * services[GATEWAY].cpu_m
    cpu_m += result.cells * hours * model.deployed.scaling(CONTROL).minimum * services[CONTROL].cpu_m
    return {
        "node_hour": max(assumed.nodes_min * hours, cpu_m / assumed.node_cpu_m) / calls,
        "redis_hour": result.cells * hours / calls,
        "acs_minute": minutes,
        "acs_streaming_minute": minutes,
        "voice_input_mtokens": assumed.mean_call_s * assumed.tokens_in_per_s / 1e6,
        "voice_output_mtokens": assumed.mean_call_s * assumed.agent_talks * assumed.tokens_out_per_s / 1e6,
    }


def cost(quantity: float, price: Price) -> float | None:
    return None if price.price is None else quantity * price.price
