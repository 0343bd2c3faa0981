"""The field `dtmf` of a profile: the mode alone, or an object."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent_relay.core.protocol.agent_profile import AgentProfile
from agent_relay.core.protocol.keypad_profile import KeypadProfile
from agent_relay.profiles import load_profiles
from bridge_common.base.errors import InputError


def load(folder: Path, text: str) -> AgentProfile:
    path = folder / "profiles.yaml"
    path.write_text(text, encoding="utf-8")
    return load_profiles(path)["default"]


@pytest.mark.parametrize("mode", ["agent", "transcript", "ignore", "masked"])
def test_the_mode_is_enough(tmp_path: Path, mode: str) -> None:
    dtmf = load(tmp_path, f"default: {{dtmf: {mode}}}").dtmf
    assert dtmf == KeypadProfile.model_validate({"mode": mode})
    assert (dtmf.end_key, dtmf.pause_s, dtmf.max_digits) == ("#", 2.0, 64)


def test_the_limits_of_an_entry(tmp_path: Path) -> None:
    dtmf = load(tmp_path, 'default: {dtmf: {mode: agent, end_key: "*", pause_s: 3, max_digits: 6}}').dtmf
    assert (dtmf.mode, dtmf.end_key, dtmf.pause_s, dtmf.max_digits) == ("agent", "*", 3.0, 6)


def test_both_forms_are_the_same_version() -> None:
    versions = {AgentProfile.model_validate({"dtmf": dtmf}).version for dtmf in ("masked", {"mode": "masked"})}
    versions.add(AgentProfile.model_validate({"dtmf": {"mode": "masked", "pause_s": 2}}).version)
    assert len(versions) == 1
    assert AgentProfile.model_validate({"dtmf": {"mode": "masked", "pause_s": 3}}).version not in versions
    assert AgentProfile.model_validate({"dtmf": "agent"}).version == AgentProfile().version


@pytest.mark.parametrize(
    ("dtmf", "fault"),
    [
        ("mask", "default.dtmf.mode: "),
        ("{mode: agent, end_key: #}", "not valid YAML"),
        ("\n    mode: agent\n    end_key: #", "`end_key` is empty; put # in quotes, or write none"),
        ('{end_key: "1"}', "default.dtmf.end_key: "),
        ("{pause_s: 0}", "default.dtmf.pause_s: "),
        ("{max_digits: 65}", "default.dtmf.max_digits: "),
        ("{end: none}", "default.dtmf.end: is unknown; known fields are mode, end_key, pause_s, max_digits"),
    ],
)
def test_wrong_values(tmp_path: Path, dtmf: str, fault: str) -> None:
    with pytest.raises(InputError) as caught:
        load(tmp_path, f"default:\n  dtmf: {dtmf}")
    assert fault in caught.value.message


TOOL = """
  tools:
    - {name: pay, description: Pays., url: "https://shop.example.com/pay", keypad: {argument: card, KEY}}
"""


def test_an_agent_that_receives_the_keys_has_no_tool_for_masked_digits(tmp_path: Path) -> None:
    text = "default:\n  dtmf: agent" + TOOL.replace("KEY", "min_digits: 4")
    with pytest.raises(InputError, match="`keypad` of pay needs `dtmf: masked`, got agent"):
        load(tmp_path, text)
    assert load(tmp_path, text.replace("dtmf: agent", "dtmf: masked")).tools[0].keypad is not None


def test_unknown_fields_of_a_keypad_argument(tmp_path: Path) -> None:
    text = "default:\n  dtmf: masked" + TOOL.replace("KEY", "least: 4")
    with pytest.raises(
        InputError, match=r"tools\[0\] \(pay\).keypad.least: is unknown; known fields are argument, min_digits"
    ):
        load(tmp_path, text)
