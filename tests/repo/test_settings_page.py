"""docs/settings.md equals the generator's output, and its column of required settings is correct."""

from __future__ import annotations

import re
from itertools import product

import pytest

from bridge_common.service.insecure import KEYS, URL, Insecure
from bridge_common.service.settings import load_settings
from tests.repo.settings_page import PAGE_PATH, REQUIRED, SERVICES, default_of, fields_of, sections, with_tables

PAGE = PAGE_PATH.read_text(encoding="utf-8")
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
    "VOICE_AGENT_NAME": "agent",
    "VOICE_LIVE_MODEL": "gpt-realtime",
    "AZURE_OPENAI_DEPLOYMENT": "gpt-realtime",
    "AGENT_PROJECT_NAME": "project",
}


def required_by(service: str) -> dict[str, str]:
    """Return the settings that the service reads, each with the text of the page's column "required"."""
    fields = SERVICES[service].model_fields
    return {
        name.upper(): REQUIRED.get(name.upper(), "yes" if field.is_required() else "") for name, field in fields.items()
    }


def named_in(cell: str) -> list[str]:
    """Return the settings that replace or require this one, except those that are written with a value."""
    return re.findall(r"`([A-Z_]+)`", cell)


def groups_of(service: str) -> list[list[str]]:
    """Return groups of settings. One setting of each group is required."""
    cells = required_by(service)
    groups = {tuple(sorted([name, *named_in(cell)])) for name, cell in cells.items() if cell.startswith("yes")}
    return [list(group) for group in sorted(groups)]


@pytest.fixture(autouse=True)
def empty_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for cls in SERVICES.values():
        for name in cls.model_fields:
            monkeypatch.delenv(name.upper(), raising=False)


def starts(monkeypatch: pytest.MonkeyPatch, service: str, names: set[str]) -> bool:
    with monkeypatch.context() as patch:
        for name in names | {
            name
            for name, cell in required_by(service).items()
            if set(named_in(cell)) & names and cell.startswith("with")
        }:
            patch.setenv(name, VALUES[name])
        try:
            load_settings(SERVICES[service])
        except SystemExit:
            return False
        return True


def test_the_page_is_current() -> None:
    assert with_tables(PAGE) == PAGE, "run: python -m tests.repo.settings_page"


def test_each_section_names_the_services_that_read_its_settings() -> None:
    for title, settings in sections().items():
        named = list(SERVICES) if title == "all services" else [name for name in SERVICES if name in title]
        for setting in settings:
            assert list(fields_of(setting)) == named, f"{setting} in {title}"


def test_the_page_has_the_setting_of_each_service_with_default_and_range() -> None:
    assert "| `PORT` |  | `8080 / 8081 / 8082` | 0 to 65,535 | Port to listen on |" in PAGE
    assert "| `ACS_JWT_MODE` |  | `enforce` | `off`, `log`, `enforce` |" in PAGE
    assert default_of("MAX_CALL_S") == "14400"
    assert all(f"\n| `{name.upper()}` |" in PAGE for cls in SERVICES.values() for name in cls.model_fields)


def test_the_audience_is_not_needed_without_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    given = {name: VALUES[name] for name in ("REDIS_URL", "MEDIA_TOKEN_KEYS")}
    for name, value in {**given, "ALLOW_INSECURE": "unchecked-tokens", "ACS_JWT_MODE": "off"}.items():
        monkeypatch.setenv(name, value)
    load_settings(SERVICES["media-gateway"])


@pytest.mark.parametrize("service", SERVICES)
def test_required_settings_are_necessary_and_sufficient(service: str, monkeypatch: pytest.MonkeyPatch) -> None:
    groups = groups_of(service)
    for chosen in product(*groups):
        assert starts(monkeypatch, service, set(chosen)), chosen
    first = [group[0] for group in groups]
    for missing in first:
        assert not starts(monkeypatch, service, set(first) - {missing}), missing


@pytest.mark.parametrize("service", SERVICES)
def test_settings_that_another_one_requires_are_necessary(
    service: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, cell in required_by(service).items():
        for other in named_in(cell) if cell.startswith("with") else []:
            group = next(group for group in groups_of(service) if other in group)
            rest = {each[0] for each in groups_of(service) if each != group}
            with monkeypatch.context() as patch:
                for each in rest | {other}:
                    patch.setenv(each, VALUES[each])
                with pytest.raises(SystemExit):
                    load_settings(SERVICES[service])
            assert f"  {name}: " in capsys.readouterr().err


def test_the_page_lists_each_word_with_its_settings() -> None:
    rows = dict(re.findall(r"^\| `([a-z-]+)` \| [^|]+ \| ([^|]+) \|$", PAGE, re.MULTILINE))
    assert list(rows) == list(Insecure)
    checks = {name.upper(): check for cls in SERVICES.values() for name, check in cls.checks().items()}
    assert set(named_in(rows["short-keys"])) == {name for name, check in checks.items() if check is KEYS}
    assert set(named_in(rows["plain-http"])) == {name for name, check in checks.items() if check is URL}
