"""The schemas of agent tools: what Foundry and models accept."""

from __future__ import annotations

import json
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


REASONS = "`reason` must be one of done, caller_asked, abuse, voicemail"


@pytest.mark.parametrize(
    ("tool", "text", "fault"),
    [
        ("end_call", '{"reason":"done"}', ""),
        ("end_call", '{"reason":"x"}', f"{REASONS}."),
        ("end_call", '{"reason":["done"]}', f"{REASONS}."),
        ("end_call", "{}", f"{REASONS}."),
        ("end_call", "", f"{REASONS}."),
        ("end_call", '{"reason":"done","at":1}', "Unknown argument 'at', use `reason`."),
        ("end_call", '{"cause":"done"}', f"Unknown argument 'cause', use `reason`. {REASONS}."),
        ("send_dtmf", '{"digits":"1"}', ""),
        ("send_dtmf", '{"digits":"hello"}', "`digits` must be 1 to 18 characters of 0-9, A-D, * and #."),
        ("send_dtmf", '{"digits":1}', "`digits` must be 1 to 18 characters of 0-9, A-D, * and #."),
        ("add_note", '{"text":""}', "`text` must be a string of 1 to 1000 characters."),
        ("add_note", "{}", "`text` must be a string of 1 to 1000 characters."),
        ("transfer_call", '{"target":"desk"}', ""),
        ("transfer_call", '{"topic":"refund"}', "`target` must be the name of a target in the routing policy."),
        ("transfer_call", '{"target":"desk","topic":5}', "`topic` must be a string of 0 to 48 characters."),
        ("add_note", "[]", "The text of the arguments is not a JSON object."),
        ("add_note", "{", "The text of the arguments is not valid JSON."),
        (
            "set_disposition",
            '{"text":"\\ud83d"}',
            "The text of the arguments contains a lone surrogate; send the complete character.",
        ),
    ],
)
def test_function_calls_follow_the_schema(tool: str, text: str, fault: str) -> None:
    assert AGENT_TOOLS[tool].read(text)[1] == fault


def test_values_that_json_cannot_express_are_refused_too() -> None:
    fault = "`text` must not contain control characters or a lone surrogate."
    assert AGENT_TOOLS["add_note"].fault_in({"text": "\ud83d"}) == fault


def test_further_arguments_come_first() -> None:
    schema = AGENT_TOOLS["add_note"].parameters(call={"type": "string"})
    assert list(schema["properties"]) == schema["required"] == ["call", "text"]


def test_a_topic_or_summary_beyond_its_limit_is_cut() -> None:
    given = {"target": "desk", "topic": "t" * 49, "summary": "ü" * 501}
    arguments, fault = AGENT_TOOLS["transfer_call"].read(json.dumps(given))
    assert fault == ""
    assert json.loads(arguments) == {"target": "desk", "topic": "t" * 48, "summary": "ü" * 500}
