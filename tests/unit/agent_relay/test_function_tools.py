from __future__ import annotations

import json
from pathlib import Path

import pytest

from agent_relay.core.protocol.agent_profile import AgentProfile
from agent_relay.function_tools import main

PROFILES = """
sales:
  target: {voice_agent: front-desk, project: phone}
  actions: [end_call]
  tools: [{name: look_up, description: Looks up., url: "https://shop.example.com/orders"}]
"""


@pytest.fixture
def path(tmp_path: Path) -> str:
    path = tmp_path / "profiles.yaml"
    path.write_text(PROFILES, encoding="utf-8")
    return str(path)


def test_the_tools_of_a_profile_are_printed(path: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([path, "sales"]) == 0
    tools = json.loads(capsys.readouterr().out)
    assert [(tool["type"], tool["name"]) for tool in tools] == [("function", "end_call"), ("function", "look_up")]
    assert tools[0] == AgentProfile(actions=("end_call",)).functions()[0]


def test_the_default_profile_needs_no_name(path: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([path]) == 0
    assert json.loads(capsys.readouterr().out) == []


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        ([], "usage: python -m agent_relay.function_tools FILE [PROFILE]"),
        (["PATH", "night"], "has no profile night; its profiles are default, sales"),
        (["nowhere.yaml"], "nowhere.yaml"),
    ],
)
def test_mistakes(path: str, capsys: pytest.CaptureFixture[str], arguments: list[str], fault: str) -> None:
    assert main([path if argument == "PATH" else argument for argument in arguments]) == 2
    assert fault in capsys.readouterr().err
