"""Function tools in a profile: valid ones, and the errors of invalid ones."""

from __future__ import annotations

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


def test_a_tool_without_arguments() -> None:
    tool = HttpTool(name="ping", description="Ping.", url="https://shop.example.com/ping")
    assert tool.definition()["parameters"] == {"type": "object", "properties": {}, "additionalProperties": False}


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"name": "order status"}, "String should match pattern"),
        ({"url": "ftp://shop.example.com/"}, "url must be an http:// or https:// URL"),
        ({"url": "https://user@shop.example.com/"}, "without user name"),
        ({"url": "https://{order_id}.example.com/"}, "placeholder in its host"),
        ({"url": "https://shop.example.com/{customer}"}, "missing in `parameters`: customer"),
        ({"parameters": {"type": "string"}}, "`type: object`"),
        ({"parameters": {"type": "object", "properties": 5}}, "not a valid JSON Schema"),
        ({"headers": {"Host": "other"}}, "header 'Host' is set by agent-relay"),
        ({"headers": {"X-A\r\nB": "c"}}, "is not a valid header name"),
        ({"headers": {"X-A": "b\r\nX-C: d"}}, "printable ASCII"),
        ({"headers": {"X-A": {"secret": "lower"}}}, "String should match pattern"),
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
