"""docs/agent-profiles.md lists the fields of a profile, and its example is accepted."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from agent_relay.core.protocol.agent_profile import AgentProfile, Greeting
from agent_relay.core.protocol.keypad_profile import KeypadArgument, KeypadProfile
from agent_relay.core.protocol.target_profile import TargetProfile
from agent_relay.profiles import load_profiles


@pytest.fixture(scope="module")
def page(root: Path) -> str:
    return (root / "docs/agent-profiles.md").read_text(encoding="utf-8")


def test_the_fields_are_those_of_the_code(page: str) -> None:
    profile, rest = page.split("## Target")
    target, keys = rest.split("## Key presses")
    keys = keys.split("\n## ")[0]
    assert set(re.findall(r"^\| `(\w+)` \|", profile, re.MULTILINE)) == set(AgentProfile.model_fields)
    rows = re.findall(r"^\| (.*`\w+`) \|", target, re.MULTILINE)
    assert {name for row in rows for name in re.findall(r"`(\w+)`", row)} == set(TargetProfile.model_fields)
    rows = re.findall(r"^\| (`[^|]*`) \|", keys, re.MULTILINE)
    typed = {*KeypadProfile.model_fields, *KeypadArgument.model_fields}
    assert {name for row in rows for name in re.findall(r"`(\w+)`", row)} == typed
    assert all(f"`{name}" in page for name in Greeting.model_fields)


def test_the_examples_are_accepted(page: str, tmp_path: Path) -> None:
    examples = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    expected = [
        *({"default", "sales-de", "night"}, {"default"}, {"default", "sales", "support", "night"}),
        {"default", "front-desk"},
        *({"default"}, {"default"}),
    ]
    for example, names in zip(examples, expected, strict=True):
        (tmp_path / "profiles.yaml").write_text(example, encoding="utf-8")
        assert set(load_profiles(tmp_path / "profiles.yaml")) == names


def test_the_example_of_all_settings_promises_no_field_that_is_refused(root: Path) -> None:
    lines = (root / ".env.example").read_text(encoding="utf-8").splitlines()
    comment = next(line for line in lines if line.startswith("# A YAML file with agent profiles"))
    promised = comment.split("(")[1].split(")")[0].split(", ")
    assert {name.strip().replace(" ", "_") for name in promised} <= set(AgentProfile.model_fields)
    assert "docs/agent-profiles.md" in comment
