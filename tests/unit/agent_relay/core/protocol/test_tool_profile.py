"""Function tools in a profile: valid ones, and the errors of invalid ones."""

from __future__ import annotations

import re
from typing import Any

import pytest
from pydantic import ValidationError

from agent_relay.core.protocol.tool_profile import HttpTool, host_allowed

ORDER: dict[str, Any] = {
    "name": "order_status",
    "description": "Status of an order.",
    "parameters": {
        "type": "object",
        "properties": {"order_id": {"type": "string"}},
        "required": ["order_id"],
    },
    "url": "https://shop.example.com/orders/{order_id}",
    "method": "GET",
    "headers": {"Authorization": {"secret": "SHOP_TOKEN", "prefix": "Bearer "}, "X-Desk": "phone"},
    "signing_secret": "SHOP_SIGNING",
}


def test_a_tool() -> None:
    tool = HttpTool.model_validate(ORDER)
    assert (tool.host, tool.placeholders) == ("shop.example.com", ("order_id",))
    assert list(tool.secrets) == ["SHOP_TOKEN", "SHOP_SIGNING"]
    assert tool.definition() == {
        "type": "function",
        "name": "order_status",
        "description": "Status of an order.",
        "parameters": ORDER["parameters"],
    }


PAY: dict[str, Any] = {
    "name": "pay",
    "description": "Pays.",
    "parameters": {"type": "object", "properties": {"amount": {"type": "integer"}}},
    "url": "https://shop.example.com/payments",
    "keypad": {"argument": "card_number", "min_digits": 13, "max_digits": 19},
}


def test_the_model_does_not_see_the_argument_that_the_caller_types() -> None:
    tool = HttpTool.model_validate(PAY)
    assert tool.keypad is not None
    assert tool.keypad.ask_text.startswith("Please type it")
    assert "card_number" not in str(tool.definition())


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"method": "GET"}, "a keypad argument is sent in the body; use POST, PUT or PATCH instead of GET"),
        (
            {"parameters": {"type": "object", "properties": {"card_number": {}}}},
            "card_number must not be in `parameters`, which the model sees; remove it",
        ),
        ({"url": "https://shop.example.com/{card_number}"}, "missing in `parameters`: card_number"),
        ({"keypad": {"argument": "n", "min_digits": 5, "max_digits": 4}}, "min_digits must not be greater than"),
        ({"keypad": {"argument": "a b"}}, "must begin with a letter or _"),
        ({"keypad": {"argument": "n", "wait_s": 0}}, "greater than or equal to 3"),
        ({"keypad": {}}, "Field required"),
    ],
)
def test_wrong_keypad_arguments(change: dict[str, Any], fault: str) -> None:
    with pytest.raises(ValidationError, match=re.escape(fault)):
        HttpTool.model_validate({**PAY, **change})


def test_all_faults_of_a_keypad_argument_are_reported_at_once() -> None:
    parameters = {"type": "object", "properties": {"card_number": {}}}
    with pytest.raises(ValidationError, match=r"remove it; a keypad argument is sent in the body"):
        HttpTool.model_validate({**PAY, "method": "DELETE", "parameters": parameters})


def test_a_tool_without_arguments() -> None:
    tool = HttpTool(name="ping", description="Ping.", url="https://shop.example.com/ping")
    assert tool.definition()["parameters"] == {"type": "object", "properties": {}, "additionalProperties": False}


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"name": "order status"}, "must begin with a letter or _"),
        ({"url": "ftp://shop.example.com/"}, "url must be an http:// or https:// URL"),
        ({"url": "https://user@shop.example.com/"}, "without user name"),
        ({"url": "https://{order_id}.example.com/"}, "placeholder in its host"),
        ({"url": "https://shop.example.com/{customer}"}, "missing in `parameters`: customer"),
        ({"parameters": {"type": "string"}}, "`type: object`"),
        ({"parameters": {"type": "object", "properties": 5}}, "not a valid JSON Schema"),
        ({"headers": {"Host": "other"}}, "header 'Host' is set by agent-relay"),
        ({"headers": {"X-A\r\nB": "c"}}, "is not a valid header name"),
        ({"headers": {"X-A": "b\r\nX-C: d"}}, "printable ASCII"),
        ({"headers": {"X-A": {"secret": "lower"}}}, "must be the name of an environment variable"),
        ({"timeout_s": 0}, "greater than 0"),
        ({"retries": 9}, "less than or equal to 5"),
        ({"mood": "good"}, "Extra inputs"),
    ],
)
def test_mistakes(change: dict[str, Any], fault: str) -> None:
    with pytest.raises(ValidationError, match=fault.replace("[", r"\[")):
        HttpTool.model_validate(ORDER | change)


@pytest.mark.parametrize(
    ("host", "patterns", "allowed"),
    [
        ("shop.example.com", ["shop.example.com"], True),
        ("shop.example.com", ["SHOP.example.com"], True),
        ("shop.example.com", ["*.example.com"], True),
        ("example.com", ["*.example.com"], False),
        ("evilexample.com", ["*.example.com"], False),
        ("shop.example.com.evil.org", ["shop.example.com", "*.example.com"], False),
        ("shop.example.com", [], False),
    ],
)
def test_hosts(host: str, patterns: list[str], allowed: bool) -> None:
    assert host_allowed(host, patterns) is allowed
