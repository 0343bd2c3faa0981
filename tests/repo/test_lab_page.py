"""docs/lab.md documents exactly the keys, routes, faults and settings of the simulators."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel
from starlette.applications import Starlette
from starlette.routing import Route

from lab import business, identity
from lab.acs.acs_faults import CallbackFault, EventGridFault, FaultPlan, MediaFault, OddFrame, RestFault
from lab.acs.app import create_app as acs_app
from lab.acs.forms import CallForms
from lab.acs.incoming_call_event import CustomContext
from lab.acs.lab_api import NewCall
from lab.acs.party_api import SayRequest, Tones
from lab.acs.people import CalleePlan
from lab.acs.rest import OPERATIONS
from lab.acs.settings import AcsSettings
from lab.business import AnswerDelay, BusinessFaults, BusinessSettings, RefusedRequest
from lab.identity import IdentityFaults, IdentitySettings
from lab.scenario import (
    Agent,
    CallHeaders,
    Reply,
    Scenario,
    ScenarioCaller,
    ScenarioFunctionCall,
    ScenarioStack,
    ScenarioStep,
    ScenarioTool,
)
from lab.scenario_file import load_scenario
from lab.scenario_outcome import ExpectedContext, ExpectedTool, ExpectedTransfer, ScenarioOutcome
from lab.stack import API_KEY, IDENTITY_HEADER, Ports
from lab.voice_live import injected_faults as voice_faults
from lab.voice_live.app import create_app as voice_live_app
from lab.voice_live.settings import DEFAULT_API_KEY, VoiceLiveSettings

_ROUTE = re.compile(r"`(GET|POST|PUT|DELETE) (/[^`]*)`")
_IDENTITY_NAMES = {"SECRET": "LAB_IDENTITY_SECRET", "HEADER": "IDENTITY_HEADER"}


@pytest.fixture(scope="module")
def page(root: Path) -> str:
    return (root / "docs/lab.md").read_text(encoding="utf-8")


def _section(page: str, title: str) -> str:
    """Return the text below a heading, up to the next heading of the same or a higher level."""
    found = re.search(rf"^(#+) {re.escape(title)}$\n(.*?)(?=^#{{1,2}} |\Z)", page, re.MULTILINE | re.DOTALL)
    assert found, title
    text = found.group(2)
    return text.split("\n### ")[0] if found.group(1) == "###" else text


@pytest.mark.parametrize(
    ("title", "models"),
    [
        ("Scenarios", [Scenario, ScenarioCaller, CallHeaders]),
        ("Steps of the caller", [ScenarioStep]),
        ("The agent script", [Agent, Reply, ScenarioFunctionCall, ScenarioTool]),
        (
            "Built-in scenarios",
            [ScenarioStack, ScenarioOutcome, ExpectedTool, ExpectedTransfer, ExpectedContext],
        ),
        ("Calls by hand", [NewCall, CustomContext]),
        ("Control routes of the simulated ACS", [CalleePlan, Tones, SayRequest]),
        ("Control routes of the simulated identity", [IdentityFaults]),
        (
            "Faults",
            [
                *(FaultPlan, RestFault, EventGridFault, CallbackFault, MediaFault, OddFrame, CallForms),
                *(voice_faults.VoiceLiveFaults, BusinessFaults, AnswerDelay, RefusedRequest),
            ],
        ),
    ],
)
def test_every_key_is_described(title: str, models: list[type[BaseModel]], page: str) -> None:
    text = _section(page, title)
    for model in models:
        names = {field.alias or name for name, field in model.model_fields.items()}
        assert not sorted(name for name in names if f"`{name}`" not in text and f'"{name}"' not in text), model.__name__


def test_every_key_of_each_fault_of_the_voice_service_is_in_its_row(page: str) -> None:
    rows = [row for row in _section(page, "Faults").splitlines() if row.startswith("| `")]
    for name, field in voice_faults.VoiceLiveFaults.model_fields.items():
        [row] = [row for row in rows if f"`{name}`" in row.split("|")[1] and row.count("|") == 4]
        model = next(part for part in _parts_of(field.annotation) if issubclass(part, voice_faults.InjectedFault))
        keys = set(model.model_fields) - {"times"}
        assert not sorted(key for key in keys if f"`{key}`" not in row), name


def _parts_of(annotation: Any) -> Iterator[Any]:
    yield from (part for part in getattr(annotation, "__args__", ()) if isinstance(part, type))


def test_every_operation_that_can_fail_is_listed_and_no_other(page: str) -> None:
    text = _section(page, "Faults")
    listed = text[text.index("Operations of `rest`") : text.index("Of the simulated Voice Live")]
    assert set(re.findall(r"`([a-z_*]+)`", listed)) - {"rest"} == {"*", *(operation.name for operation in OPERATIONS)}


@pytest.mark.parametrize(
    ("title", "app"),
    [
        ("Control routes of the simulated ACS", acs_app(AcsSettings())),
        ("Control routes of the simulated Voice Live", voice_live_app(VoiceLiveSettings())),
        ("Control routes of the simulated identity", identity.create_app(IdentitySettings())),
        ("Control routes of the simulated business", business.create_app(BusinessSettings())),
    ],
    ids=["acs", "voice-live", "identity", "business"],
)
def test_the_routes_are_those_of_the_code(title: str, app: Starlette, page: str) -> None:
    assert set(_ROUTE.findall(_section(page, title))) == set(_routes_of(app))


def _routes_of(app: Starlette) -> Iterator[tuple[str, str]]:
    for route in app.routes:
        if isinstance(route, Route) and route.path.startswith(
            ("/lab/", "/healthz", "/msi/", "/orders/", "/appointments", "/payments")
        ):
            yield from ((method, route.path) for method in sorted(route.methods or ()) if method != "HEAD")


@pytest.mark.parametrize(
    ("heading", "settings"),
    [
        ("Simulated ACS:", AcsSettings),
        ("Simulated Voice Live:", VoiceLiveSettings),
        ("Simulated identity:", IdentitySettings),
        ("Simulated business:", BusinessSettings),
    ],
)
def test_the_settings_are_those_of_the_code(heading: str, settings: type[Any], page: str) -> None:
    text = _section(page, "Settings of the simulators").split(heading)[1].split("\nSimulated ")[0]
    described = {name for row in text.splitlines() for name in re.findall(r"`([A-Z][A-Z_]+)`", _cell(row, 0))}
    names = {
        field.name.upper() for field in dataclasses.fields(settings) if field.metadata.get("from_environment", True)
    }
    if settings is IdentitySettings:
        names = {_IDENTITY_NAMES.get(name, name) for name in names}
    assert described == names


def _cell(row: str, number: int) -> str:
    return row.split("|")[number + 1] if row.startswith("|") else ""


def test_defaults_are_those_of_the_code(page: str) -> None:
    rows = [row for row in _section(page, "Settings of the simulators").splitlines() if row.startswith("| `")]
    compared = 0
    for settings in (AcsSettings(), VoiceLiveSettings()):
        values = {name.upper(): value for name, value in dataclasses.asdict(settings).items() if name != "port"}
        for row in rows:
            names, shown = re.findall(r"`([A-Z][A-Z_]+)`", _cell(row, 0)), _cell(row, 1).split(",")
            if len(names) != len(shown):
                continue  # A default with a comma, or a description.
            for name, text in zip(names, shown, strict=True):
                if type(values.get(name)) in (int, float):
                    compared += 1
                    assert float(text) == values[name], name
    assert compared > 15


def test_the_example_is_the_packaged_scenario(root: Path, page: str, tmp_path: Path) -> None:
    example, with_stack = _scenarios_of(page, tmp_path)
    assert example == load_scenario(root / "lab/src/lab/scenarios/order-status.yaml")
    for part in ("stack", "caller", "agent", "expect"):
        assert getattr(with_stack, part) != getattr(Scenario(name="x"), part)


def _scenarios_of(page: str, folder: Path) -> list[Scenario]:
    found = []
    for example in re.findall(r"```yaml\n(.*?)```", page, re.DOTALL):
        (folder / "mine.yaml").write_text(example, encoding="utf-8")
        found.append(load_scenario(folder / "mine.yaml"))
    return found


def test_bodies_of_examples_are_accepted(page: str) -> None:
    bodies = re.findall(r"-d '(\{.*?\})' localhost:(\d+)(/lab/\w+)", page, re.DOTALL)
    assert len(bodies) == 5
    for body, port, path in bodies:
        voice = Ports().voice_live == int(port)
        faults: type[BaseModel] = voice_faults.VoiceLiveFaults if voice else FaultPlan
        (faults if path == "/lab/faults" else NewCall).model_validate(yaml.safe_load(body))


def test_ports_and_keys_are_those_of_the_stack(page: str) -> None:
    text = _section(page, "The stack")
    for port in dataclasses.astuple(Ports()):
        assert f"| {port} |" in text
    for key in (API_KEY, DEFAULT_API_KEY, IDENTITY_HEADER):
        assert key in text
