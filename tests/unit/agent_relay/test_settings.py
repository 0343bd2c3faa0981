from __future__ import annotations

from pathlib import Path

import pytest

from agent_relay.core.protocol.agent_profile import AgentProfile
from agent_relay.core.protocol.voice_target import Mode, TokenScope
from agent_relay.settings import RelaySettings
from bridge_common.service.settings import load_settings

BASE = {"REDIS_URL": "redis://localhost", "AZURE_VOICE_LIVE_ENDPOINT": "https://res.services.ai.azure.com"}
OURS = [name.upper() for name in RelaySettings.model_fields]


@pytest.fixture(autouse=True)
def empty_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in OURS:
        monkeypatch.delenv(name, raising=False)


def _load(monkeypatch: pytest.MonkeyPatch, **settings: str) -> RelaySettings:
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    return load_settings(RelaySettings)


def _refused(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], **settings: str) -> str:
    with pytest.raises(SystemExit) as caught:
        _load(monkeypatch, **settings)
    assert caught.value.code == 2
    return capsys.readouterr().err


@pytest.mark.parametrize(
    ("chosen", "mode", "version", "scopes"),
    [
        ({"AGENT_NAME": "a", "AGENT_PROJECT_NAME": "p"}, Mode.AGENT, "2026-07-15", {TokenScope.AI}),
        (
            {"AGENT_ID": "asst_1", "AGENT_PROJECT_NAME": "p"},
            Mode.CLASSIC_AGENT,
            "2026-01-01-preview",
            {TokenScope.AI, TokenScope.COGNITIVE_SERVICES},
        ),
        ({"VOICE_LIVE_MODEL": "gpt-realtime"}, Mode.MODEL, "2026-07-15", {TokenScope.AI}),
        ({"VOICE_LIVE_MODEL": "m", "AZURE_VOICE_LIVE_API_KEY": "k"}, Mode.MODEL, "2026-07-15", set()),
        (
            {"AZURE_OPENAI_DEPLOYMENT": "d"},
            Mode.AZURE_OPENAI,
            "2024-10-01-preview",
            {TokenScope.COGNITIVE_SERVICES},
        ),
        (
            {"AZURE_OPENAI_DEPLOYMENT": "d", "VOICE_LIVE_API_VERSION": "v1"},
            Mode.AZURE_OPENAI_GA,
            "v1",
            {TokenScope.COGNITIVE_SERVICES},
        ),
        (
            {"AZURE_OPENAI_DEPLOYMENT": "d", "VOICE_LIVE_API_VERSION": "2025-04-01-preview"},
            Mode.AZURE_OPENAI,
            "2025-04-01-preview",
            {TokenScope.COGNITIVE_SERVICES},
        ),
    ],
)
def test_one_setting_selects_the_connection_mode(
    monkeypatch: pytest.MonkeyPatch, chosen: dict[str, str], mode: Mode, version: str, scopes: set[TokenScope]
) -> None:
    settings = _load(monkeypatch, **BASE, **chosen)
    assert (settings.target.mode, settings.target.api_version) == (mode, version)
    assert set(settings.target.scopes()) == scopes
    assert settings.port == 8082


def test_scopes_can_be_set(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = _load(monkeypatch, **BASE, VOICE_LIVE_MODEL="m", AZURE_AI_SCOPE="https://other/.default")
    assert settings.scopes[TokenScope.AI] == "https://other/.default"


def test_all_mistakes_are_listed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    stderr = _refused(
        monkeypatch,
        capsys,
        AZURE_VOICE_LIVE_ENDPOINT="res.azure.com",
        VOICE_LIVE_API_VERSION="latest",
        AGENT_NAME="a",
        VOICE_LIVE_MODEL="m",
        PORT="x",
        RELAY_CAPACITY="0",
        AGENT_PROFILES_FILE="/nowhere.yaml",
    )
    for name in (
        "REDIS_URL",
        "AZURE_VOICE_LIVE_ENDPOINT",
        "VOICE_LIVE_API_VERSION",
        "AGENT_NAME, VOICE_LIVE_MODEL",
        "PORT",
        "RELAY_CAPACITY",
        "AGENT_PROFILES_FILE",
    ):
        assert f"  {name}: " in stderr


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({}, "AGENT_NAME, AGENT_ID, VOICE_AGENT_NAME, VOICE_LIVE_MODEL, AZURE_OPENAI_DEPLOYMENT"),
        ({"VOICE_AGENT_NAME": "a"}, "AGENT_PROJECT_NAME"),
        ({"VOICE_AGENT_NAME": "a:3", "AGENT_PROJECT_NAME": "p"}, "VOICE_AGENT_NAME"),
        ({"VOICE_AGENT_NAME": "a", "AGENT_PROJECT_NAME": "p", "RELAY_WARM_SESSIONS": "2"}, "RELAY_WARM_SESSIONS"),
        ({"VOICE_AGENT_NAME": "a", "AGENT_PROJECT_NAME": "p", "FOUNDRY_FEATURES": "é"}, "FOUNDRY_FEATURES"),
        (
            {"VOICE_AGENT_NAME": "a", "AGENT_PROJECT_NAME": "p", "AZURE_VOICE_LIVE_API_KEY": "k"},
            "AZURE_VOICE_LIVE_API_KEY",
        ),
        ({"AGENT_NAME": "a"}, "AGENT_PROJECT_NAME"),
        ({"VOICE_LIVE_MODEL": "m", "VOICE_LIVE_API_VERSION": "v1"}, "VOICE_LIVE_API_VERSION"),
        ({"AGENT_NAME": "a:3", "AGENT_PROJECT_NAME": "p"}, "AGENT_NAME"),
        (
            {"AGENT_ID": "asst_1", "AGENT_PROJECT_NAME": "p", "VOICE_LIVE_API_VERSION": "2026-04-10"},
            "VOICE_LIVE_API_VERSION",
        ),
        (
            {"AGENT_NAME": "a", "AGENT_PROJECT_NAME": "p", "VOICE_LIVE_API_VERSION": "2025-10-01"},
            "VOICE_LIVE_API_VERSION",
        ),
        (
            {"AGENT_NAME": "a", "AGENT_PROJECT_NAME": "p", "AZURE_VOICE_LIVE_API_KEY": "k"},
            "AZURE_VOICE_LIVE_API_KEY",
        ),
    ],
)
def test_impossible_modes_are_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], settings: dict[str, str], named: str
) -> None:
    assert f"  {named}: " in _refused(monkeypatch, capsys, **BASE, **settings)


def test_a_voice_agent_from_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    voice_agent = {"VOICE_AGENT_NAME": "a", "AGENT_PROJECT_NAME": "p", "AGENT_VERSION": "2", "FOUNDRY_FEATURES": "off"}
    target = _load(monkeypatch, **BASE, **voice_agent).target
    assert (target.mode, target.agent_name, target.agent_project_name) == (Mode.VOICE_AGENT, "a", "p")
    assert (target.api_version, target.agent_version, target.features) == ("v1", "2", "")
    assert target.greets_itself


def test_wrong_profiles_in_a_file_with_braces_are_reported(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "{braces}.yaml"
    path.write_text("a: {x: 1}", encoding="utf-8")
    stderr = _refused(monkeypatch, capsys, **BASE, VOICE_LIVE_MODEL="m", AGENT_PROFILES_FILE=str(path))
    assert "{braces}.yaml: a.x" in stderr


def test_a_key_is_not_logged(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = _load(monkeypatch, **BASE, VOICE_LIVE_MODEL="m", AZURE_VOICE_LIVE_API_KEY="secret-key")
    assert "secret-key" not in repr(settings)


def test_further_resources_have_the_same_mode(monkeypatch: pytest.MonkeyPatch) -> None:
    further = {
        "AZURE_VOICE_LIVE_FURTHER_ENDPOINTS": "https://two.services.ai.azure.com, https://three.services.ai.azure.com",
        "AZURE_VOICE_LIVE_FURTHER_API_KEYS": "k2,k3",
    }
    settings = _load(monkeypatch, **BASE, VOICE_LIVE_MODEL="m", AZURE_VOICE_LIVE_API_KEY="k", **further)
    assert [(target.endpoint, target.api_key, target.model) for target in settings.further_targets] == [
        ("https://two.services.ai.azure.com", "k2", "m"),
        ("https://three.services.ai.azure.com", "k3", "m"),
    ]
    assert "k2" not in repr(settings)


@pytest.mark.parametrize(
    ("given", "mistake"),
    [
        ({"ENDPOINTS": "two.azure.com"}, "AZURE_VOICE_LIVE_FURTHER_ENDPOINTS: two.azure.com is not a valid URL"),
        ({"ENDPOINTS": "https://a\udcff.example"}, "https://a?.example is not a valid URL"),
        ({"ENDPOINTS": "a\udcff"}, "AZURE_VOICE_LIVE_FURTHER_ENDPOINTS: a? is not a valid URL"),
        (
            {"ENDPOINTS": "https://res.services.ai.azure.com"},
            "AZURE_VOICE_LIVE_FURTHER_ENDPOINTS: contains the same resource twice",
        ),
        ({"ENDPOINTS": "https://two.azure.com", "API_KEYS": "k"}, "AZURE_VOICE_LIVE_FURTHER_API_KEYS"),
    ],
)
def test_mistakes_in_further_resources_are_listed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], given: dict[str, str], mistake: str
) -> None:
    further = {f"AZURE_VOICE_LIVE_FURTHER_{name}": value for name, value in given.items()}
    assert mistake in _refused(monkeypatch, capsys, **BASE, VOICE_LIVE_MODEL="m", **further)


@pytest.mark.parametrize(("settings", "faults"), [({"AGENT_NAME": "a", "AGENT_PROJECT_NAME": "p"}, 1), ({}, 0)])
def test_changed_profiles_are_compared_with_the_target_of_the_settings(
    monkeypatch: pytest.MonkeyPatch, settings: dict[str, str], faults: int
) -> None:
    """Regression: only the start compared them."""
    loaded = _load(monkeypatch, **BASE, **(settings or {"VOICE_LIVE_MODEL": "m"}))
    found = list(loaded.profile_check({"sales": AgentProfile(instructions="Be brief.")}))
    assert len(found) == faults
    assert all(fault.startswith("sales.instructions: has no effect with agent") for fault in found)
