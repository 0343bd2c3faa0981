"""docs/settings.md names every setting, what needs it and its default, as the code has them."""

from __future__ import annotations

import re
from enum import Enum
from itertools import product
from pathlib import Path

import pytest
from pydantic import SecretStr

from agent_relay.settings import RelaySettings
from bridge_common.service.insecure import KEYS, URL, Insecure
from bridge_common.service.settings import ServiceSettings, load_settings
from call_control.settings import CallControlSettings
from media_gateway.settings import GatewaySettings

SERVICES: dict[str, type[ServiceSettings]] = {
    "call-control": CallControlSettings,
    "media-gateway": GatewaySettings,
    "agent-relay": RelaySettings,
}
PAGE = (Path(__file__).resolve().parents[2] / "docs/settings.md").read_text(encoding="utf-8")
ROWS = {
    row[0]: row[1:]
    for row in re.findall(
        r"^\| `([A-Z_]+)` \| ?([^|]*?) ?\| ?([^|]*?) ?\| ?([^|]*?) ?\| ?([^|]*?) ?\|$", PAGE, re.MULTILINE
    )
}
VALUES = {
    "REDIS_URL": "redis://localhost",
    "BASE_URL": "https://phone.example.com",
    "MEDIA_TOKEN_KEYS": "a" * 32,
    "ACS_JWT_AUDIENCE": "89e8cb59-b991-48b0-b154-1db84f16a077",
    "ACS_CONNECTION_STRING": "endpoint=https://acs.example/;accesskey=a2V5",
    "ACS_ENDPOINT": "https://acs.example",
    "EVENT_GRID_SECRETS": "b" * 32,
    "EVENT_GRID_TENANT_ID": "tenant",
    "EVENT_GRID_AUDIENCE": "audience",
    "AZURE_VOICE_LIVE_ENDPOINT": "https://voice.example",
    "AGENT_NAME": "agent",
    "AGENT_ID": "asst_1",
    "VOICE_LIVE_MODEL": "gpt-realtime",
    "AZURE_OPENAI_DEPLOYMENT": "gpt-realtime",
    "AGENT_PROJECT_NAME": "project",
}


def cells_of(service: str) -> dict[str, str]:
    """What the page says about the settings that the service reads."""
    column = list(SERVICES).index(service)
    return {name: row[column] for name, row in ROWS.items() if row[column]}


def named_in(cell: str) -> list[str]:
    return re.findall(r"`([A-Z_]+)`", cell)


def groups_of(service: str) -> list[list[str]]:
    """Of each group one setting is needed."""
    cells = cells_of(service)
    groups = {tuple(sorted([name, *named_in(cell)])) for name, cell in cells.items() if cell.startswith("required")}
    return [list(group) for group in sorted(groups)]


def shown(value: object) -> str:
    if isinstance(value, SecretStr):
        value = value.get_secret_value()
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Enum):
        value = value.value
    return "" if value is None or value == () else f"{value:g}" if isinstance(value, float) else str(value)


@pytest.fixture(autouse=True)
def empty_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for cls in SERVICES.values():
        for name in cls.model_fields:
            monkeypatch.delenv(name.upper(), raising=False)


def starts(monkeypatch: pytest.MonkeyPatch, service: str, names: set[str]) -> bool:
    with monkeypatch.context() as patch:
        for name in names | {
            name for name, cell in cells_of(service).items() if set(named_in(cell)) & names and cell.startswith("with")
        }:
            patch.setenv(name, VALUES[name])
        try:
            load_settings(SERVICES[service])
        except SystemExit:
            return False
        return True


@pytest.mark.parametrize("service", SERVICES)
def test_the_page_names_the_settings_of_each_service(service: str) -> None:
    assert set(cells_of(service)) == {name.upper() for name in SERVICES[service].model_fields}


@pytest.mark.parametrize("name", sorted({name for cls in SERVICES.values() for name in cls.model_fields}))
def test_the_page_has_the_default(name: str) -> None:
    fields = [cls.model_fields[name] for cls in SERVICES.values() if name in cls.model_fields]
    defaults = dict.fromkeys("" if field.is_required() else shown(field.default) for field in fields)
    assert ROWS[name.upper()][3].strip("`") == " / ".join(defaults)


@pytest.mark.parametrize("service", SERVICES)
def test_what_is_required_is_needed_and_enough(service: str, monkeypatch: pytest.MonkeyPatch) -> None:
    groups = groups_of(service)
    for chosen in product(*groups):
        assert starts(monkeypatch, service, set(chosen)), chosen
    first = [group[0] for group in groups]
    for missing in first:
        assert not starts(monkeypatch, service, set(first) - {missing}), missing


@pytest.mark.parametrize("service", SERVICES)
def test_what_is_needed_with_another_is_needed(
    service: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, cell in cells_of(service).items():
        for other in named_in(cell) if cell.startswith("with") else []:
            group = next(group for group in groups_of(service) if other in group)
            rest = {each[0] for each in groups_of(service) if each != group}
            with monkeypatch.context() as patch:
                for each in rest | {other}:
                    patch.setenv(each, VALUES[each])
                with pytest.raises(SystemExit):
                    load_settings(SERVICES[service])
            assert f"  {name}: " in capsys.readouterr().err


def test_the_page_names_the_words_and_what_they_are_about() -> None:
    rows = dict(re.findall(r"^\| `([a-z-]+)` \| [^|]+ \| ([^|]+) \|$", PAGE, re.MULTILINE))
    assert list(rows) == list(Insecure)
    checks = {name.upper(): check for cls in SERVICES.values() for name, check in cls.checks().items()}
    assert set(named_in(rows["short-keys"])) == {name for name, check in checks.items() if check is KEYS}
    assert set(named_in(rows["plain-http"])) == {name for name, check in checks.items() if check is URL}
