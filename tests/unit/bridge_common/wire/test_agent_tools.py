"""The schemas of agent tools: what Foundry and models accept."""

from __future__ import annotations

import re

import pytest

from bridge_common.wire.agent_tools import AGENT_TOOLS, AgentTool


@pytest.mark.parametrize("tool", AGENT_TOOLS.values(), ids=AGENT_TOOLS)
def test_schemas_are_flat_and_strict(tool: AgentTool) -> None:
    assert re.fullmatch("[a-z_]+", tool.name)
    schema = tool.parameters()
    assert schema["required"] == list(schema["properties"])
    assert schema["additionalProperties"] is False
    for value in schema["properties"].values():
        assert value["type"] == "string"
        assert not {"anyOf", "allOf", "oneOf", "$ref"} & set(value)


def test_arguments_are_those_of_the_action() -> None:
    tool = AGENT_TOOLS["send_dtmf"]
    assert tool.arguments_of({"digits": "12#", "call": "7QK4-M2X9-R0"}) == '{"tones":"12#"}'
    assert AGENT_TOOLS["end_call"].arguments_of({}) == "{}"


def test_further_arguments_come_first() -> None:
    schema = AGENT_TOOLS["add_note"].parameters(call={"type": "string"})
    assert list(schema["properties"]) == schema["required"] == ["call", "text"]
