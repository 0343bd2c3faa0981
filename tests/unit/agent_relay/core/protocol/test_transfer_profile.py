"""The field `transfer` of a profile."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent_relay.core.protocol.agent_profile import AgentProfile
from agent_relay.core.protocol.transfer_profile import Confirmation, TransferProfile
from agent_relay.profiles import load_profiles
from bridge_common.base.errors import InputError
from bridge_common.wire.agent_tools import AGENT_TOOLS


def load(folder: Path, text: str) -> TransferProfile:
    path = folder / "profiles.yaml"
    path.write_text(text, encoding="utf-8")
    return load_profiles(path)["default"].transfer


def test_all_fields(tmp_path: Path) -> None:
    found = load(
        tmp_path,
        """
default:
  actions: [transfer_call]
  transfer:
    targets: {sales: Orders and prices, front desk: Everything else}
    connecting_text: I am connecting you.
    introduction: "{caller} calls about {topic}."
    caller_text: somebody
    confirm: {words: ["yes", ok], text: "Do you take the call?", wait_s: 8}
    return_key: "*"
    hears: all
""",
    )
    confirm = Confirmation(words=("yes", "ok"), text="Do you take the call?", wait_s=8)
    assert found == TransferProfile(
        targets={"sales": "Orders and prices", "front desk": "Everything else"},
        connecting_text="I am connecting you.",
        introduction="{caller} calls about {topic}.",
        caller_text="somebody",
        confirm=confirm,
        return_key="*",
        hears="all",
    )


def test_a_profile_without_it_keeps_its_version() -> None:
    assert AgentProfile.model_validate({"transfer": {}}).version == AgentProfile().version
    assert AgentProfile.model_validate({"transfer": {"hears": "all"}}).version != AgentProfile().version


@pytest.mark.parametrize(
    ("field", "message"),
    [
        ("{targets: {}, nonsense: 1}", "default.transfer.nonsense: is unknown; known fields are targets, "),
        ('{targets: {"+1 425": x}}', "default.transfer.targets.+1 425 (name): the name of a target must begin with"),
        ("{targets: {sales: ''}}", "default.transfer.targets.sales: has no description; write one for"),
        ("{targets: {sales: }}", "default.transfer.targets.sales: has no description; write one for the model"),
        (
            "{targets: [sales]}",
            "default.transfer.targets: must be a mapping from names to descriptions, such as {billing: ",
        ),
        ("{connecting_text: ''}", "default.transfer.connecting_text: must not be empty"),
        (
            '{introduction: "{name} calls about {topic} }"}',
            "default.transfer.introduction: contains unknown placeholders: name, }; known are {caller} and {topic}",
        ),
        ("{confirm: {}}", "default.transfer.confirm: must contain either `key` or `words`"),
        ('{confirm: {key: "1", words: [ja]}}', "default.transfer.confirm: contains both `key` and `words`; keep one"),
        ("{confirm: {key: 1}}", "default.transfer.confirm.key: must be a string (in YAML: in quotes)"),
        ('{confirm: {key: "12"}}', "default.transfer.confirm.key: must be one key in quotes: 0 to 9, * or #"),
        ("{confirm: {words: []}}", "default.transfer.confirm.words: must have 1 or more entries"),
        ("{confirm: {words: [yes]}}", "YAML reads no, yes, on and off as true or false: put the word in quotes"),
        ("{confirm: {words: [ja], wait_s: 1}}", "default.transfer.confirm.wait_s: must be between 3 and 60"),
        ('{confirm: {key: "1"}, return_key: "1"}', "`confirm.key` and `return_key` must be different keys, got 1"),
        ('{return_key: "#"}', "`transfer.return_key` must not be the `end_key` of `dtmf`, got # for both"),
        ("{targets: {sales: Orders}}", "`transfer.targets` have no effect without transfer_call or add_participant"),
        ('{return_key: "A"}', "default.transfer.return_key: must be one key in quotes: 0 to 9, * or #"),
        ("{hears: nobody}", "default.transfer.hears: must be 'caller' or 'all'"),
    ],
)
def test_mistakes_state_the_fault_and_the_remedy(tmp_path: Path, field: str, message: str) -> None:
    with pytest.raises(InputError) as found:
        load(tmp_path, f"default: {{transfer: {field}}}")
    assert message in found.value.message


@pytest.mark.parametrize(
    ("confirm", "question"),
    [
        (Confirmation(key="1"), "To take the call, press 1."),
        (Confirmation(key="*"), "To take the call, press star."),
        (Confirmation(words=("yes", "ok")), "To take the call, say yes."),
        (Confirmation(key="1", text="Please press one."), "Please press one."),
    ],
)
def test_the_question_has_a_default(confirm: Confirmation, question: str) -> None:
    assert confirm.question == question


@pytest.mark.parametrize("name", ["transfer_call", "add_participant"])
def test_the_targets_are_the_allowed_values_of_the_functions(name: str) -> None:
    profile = AgentProfile.model_validate(
        {"actions": [name, "add_note"], "transfer": {"targets": {"sales": "Orders", "support": "Broken devices"}}}
    )
    function, note = profile.functions()
    target = function["parameters"]["properties"]["target"]
    assert target["enum"] == ["sales", "support"]
    assert "sales: Orders; support: Broken devices" in target["description"]
    assert function["parameters"]["required"] == list(AGENT_TOOLS[name].properties)
    assert note["name"] == "add_note"


def test_without_targets_the_agent_learns_the_names_from_its_instructions() -> None:
    [function] = AgentProfile(actions=("transfer_call",)).functions()
    assert "enum" not in function["parameters"]["properties"]["target"]
    tool = TransferProfile(targets={"sales": "Orders"}).bound(AGENT_TOOLS["end_call"])
    assert tool is AGENT_TOOLS["end_call"]
