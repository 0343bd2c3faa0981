"""docs/sizing.md, the settings and the manifests agree, and the rows of the simulation meet their goals."""

from __future__ import annotations

from dataclasses import replace

import pytest

from agent_relay.voice.connection_quota import Urgency
from sizing import deployed
from sizing.cost import load_prices
from sizing.deployed import AUTOSCALERS, CONTROL, GATEWAY, RELAY
from sizing.measured import load
from sizing.page import PAGE, fixed_tables, simulated_tables, table_of
from sizing.plan import CORE_MS, Assumed, Model
from sizing.rows import HOUR_S, Row, fleet_spec, rows, simulate
from sizing.simulation.arrivals import Curve
from sizing.simulation.fleet import Fleet

WRITE = "run `python -m sizing --write`"
LARGEST_MEASURED = 200
"""Calls of the largest process in docs/sizing.md, "Predicted and measured"."""


@pytest.fixture(scope="module")
def model() -> Model:
    return Model(load().measured, deployed.read(), Assumed())


@pytest.fixture(scope="module")
def page() -> str:
    return PAGE.read_text(encoding="utf-8")


def test_the_page_has_the_plan_of_these_settings_and_manifests(model: Model, page: str) -> None:
    for name, text in fixed_tables(model, load()).items():
        assert table_of(page, name) == text, f"the table {name} is outdated; {WRITE}"


def test_the_page_has_a_row_for_each_simulation_and_all_goals_are_met(page: str) -> None:
    table = table_of(page, "simulation").splitlines()[2:]
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in table if line]
    assert [line[0] for line in lines] == [row.name for row in rows()], WRITE
    assert {line[-1] for line in lines} == {"met"}


def test_the_simulated_figures_are_those_of_the_page(model: Model, page: str) -> None:
    """One row, in full: the others need a minute."""
    row = next(row for row in rows() if row.name == "100 calls, a relay dies every 10 minutes")
    table = simulated_tables([simulate(model, row)], model, load_prices())["simulation"]
    assert table.splitlines()[2] in table_of(page, "simulation"), WRITE


def _short(row: Row) -> Row:
    """Return the row with the calls of one or two cells, and for a shorter time if nothing depends on it."""
    if row.events is None and row.curve.peak == row.curve.at(0) == row.curve.at(2 * HOUR_S):
        return replace(row, hours=min(row.hours, 1.0), curve=Curve.level(min(row.curve.peak, 250.0)))
    if row.curve.peak > 250:
        factor = 250 / row.curve.peak
        return replace(row, curve=row.curve.scaled(factor), hours=min(row.hours, 6.0), cells=row.cells)
    return replace(row, hours=min(row.hours, 2.0), repeats=min(row.repeats, 3))


@pytest.mark.parametrize("row", rows(), ids=lambda row: row.name)
def test_every_row_meets_its_goals(model: Model, row: Row) -> None:
    assert simulate(model, _short(row)).mistakes == []


# -- one model
def test_capacities_are_within_a_core_and_the_measurement(model: Model) -> None:
    for name, cpu in ((GATEWAY, model.measured.gateway_cpu), (RELAY, model.measured.relay_cpu)):
        capacity = model.deployed.services[name].capacity
        assert capacity <= min(cpu.calls_within(model.assumed.busy * CORE_MS), LARGEST_MEASURED), name


@pytest.mark.parametrize("autoscaler", AUTOSCALERS)
def test_half_of_the_pods_can_carry_all_calls(model: Model, autoscaler: str) -> None:
    """Autoscalers ignore a demand of up to 110 % of their target."""
    for name in (GATEWAY, RELAY):
        service = model.deployed.services[name]
        assert 2 * 1.1 * service.scaling[autoscaler].target <= service.capacity, name


def test_both_autoscalers_have_the_same_numbers(model: Model) -> None:
    for name, service in model.deployed.services.items():
        assert service.scaling["keda"] == service.scaling["hpa"], name


def test_requests_are_what_was_measured(model: Model) -> None:
    """CPU: at the demand per pod and the target utilization, rounded up to 50 millicores. Memory: at the capacity."""
    measured, services = model.measured, model.deployed.services
    for name, cpu, memory in (
        (GATEWAY, measured.gateway_cpu, measured.gateway_mb),
        (RELAY, measured.relay_cpu, measured.relay_mb),
    ):
        needed = cpu.at(model.deployed.scaling(name).target) / model.assumed.busy
        assert needed <= services[name].cpu_m < needed + 50, name
        assert memory.at(services[name].capacity) <= services[name].memory_mb <= 2 * memory.at(0), name
    calls_per_s = model.deployed.scaling(CONTROL).target / model.assumed.mean_call_s
    assert calls_per_s * measured.control_ms_per_call / model.assumed.busy <= services[CONTROL].cpu_m


def test_roll_outs_drain_one_relay_at_a_time(model: Model) -> None:
    """A relay has handed its calls over a little after half of its drain time."""
    relay, gateway = model.deployed.services[RELAY], model.deployed.services[GATEWAY]
    assert relay.drain_s / 2 + relay.pre_stop_s < relay.min_ready_s
    assert gateway.drain_s + gateway.pre_stop_s < gateway.min_ready_s
    assert {one.max_surge for one in model.deployed.services.values()} == {1}


def test_the_limit_of_incoming_calls_is_what_the_resources_admit(model: Model) -> None:
    """The overlay for AKS has one resource."""
    one = model.deployed
    assert one.calls_per_min == int(one.connections_per_min * one.shares[Urgency.NEW])


def test_resources_bought_for_30_calls_a_minute_would_divert_callers(model: Model) -> None:
    """Docs said so once: 12 resources for the 333 new calls a minute of 1,000 calls."""
    spec = replace(fleet_spec(model, AUTOSCALERS[0], Curve.level(1000)), resources=12)
    assert Fleet(spec, 1).run(HOUR_S / 4).diverted_share > 0.14


def test_the_plan_fits_into_the_autoscalers(model: Model) -> None:
    """1,000 calls in one cell, for a Redis that is faster than the measured one."""
    for name in (GATEWAY, RELAY):
        assert model.pods(name, 1000) < model.deployed.scaling(name).maximum
