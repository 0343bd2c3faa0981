from __future__ import annotations

from pathlib import Path

import pytest

from lab.stack import PARTS, Ports
from lab.stack_environment import API_KEY, environment_of


@pytest.fixture(autouse=True)
def nothing_exported(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AGENT_NAME", "VOICE_LIVE_MODEL", "AGENT_ID", "AZURE_OPENAI_DEPLOYMENT", "ALLOWED_TARGETS"):
        monkeypatch.delenv(name, raising=False)


def test_the_processes_know_each_other() -> None:
    ports = Ports.free()
    of = {part: environment_of(part, ports, "redis://127.0.0.1:1/0", Path("x")) for part in PARTS}
    assert of["acs"]["WEBHOOK_URL"].startswith(of["call-control"]["BASE_URL"])
    assert str(ports.acs) in of["call-control"]["ACS_CONNECTION_STRING"]
    assert of["agent-relay"]["AZURE_VOICE_LIVE_ENDPOINT"] == f"http://127.0.0.1:{ports.voice_live}"
    assert of["agent-relay"]["IDENTITY_HEADER"] == of["identity"]["IDENTITY_HEADER"]
    assert of["voice-live"]["AGENT_TOOLS_KEY"] == of["call-control"]["AGENT_TOOLS_KEYS"]
    assert of["media-gateway"]["MEDIA_TOKEN_KEYS"] == of["call-control"]["MEDIA_TOKEN_KEYS"]
    assert of["call-control"]["API_KEYS"] == API_KEY


def test_an_exported_model_replaces_the_agent(monkeypatch: pytest.MonkeyPatch) -> None:
    assert environment_of("agent-relay", Ports(), "", Path("x"))["AGENT_NAME"] == "lab-agent"
    monkeypatch.setenv("VOICE_LIVE_MODEL", "gpt-4.1")
    assert "AGENT_NAME" not in environment_of("agent-relay", Ports(), "", Path("x"))
