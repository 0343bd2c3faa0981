from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from agent_relay.core.protocol.mcp_profile import McpServer

URL = "https://tools.example.com/mcp"


def server(**fields: Any) -> McpServer:
    return McpServer.model_validate({"label": "shop", "url": URL, **fields})


def test_the_definition_has_the_fields_of_voice_live_and_the_secrets() -> None:
    found = server(
        allowed_tools=["search", "cancel"],
        require_approval={"search": "never"},
        approve=["cancel"],
        authorization={"secret": "TOKEN"},
        headers={"X-Tenant": "contoso", "X-Key": {"secret": "KEY"}},
    )
    assert found.definition({"TOKEN": "t", "KEY": "k"}) == {
        "type": "mcp",
        "server_label": "shop",
        "server_url": URL,
        "allowed_tools": ["search", "cancel"],
        "require_approval": {"never": ["search"], "always": []},
        "authorization": "t",
        "headers": {"X-Tenant": "contoso", "X-Key": "k"},
    }
    assert list(found.secrets) == ["TOKEN", "KEY"]
    assert server().definition({}) == {
        "type": "mcp",
        "server_label": "shop",
        "server_url": URL,
        "require_approval": "always",
    }


def test_a_tool_may_run_if_it_needs_no_approval_or_has_it() -> None:
    found = server(require_approval={"search": "never", "cancel": "always"}, approve=["cancel"])
    assert [found.may_run(name) for name in ("search", "cancel", "other")] == [True, True, False]
    assert server(require_approval="never").may_run("any")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"url": "tools.example.com"}, "url must be an http:// or https:// URL"),
        ({"allowed_tools": ["a"], "approve": ["b"]}, "missing in `allowed_tools`: b"),
        ({"allowed_tools": ["a"], "require_approval": {"c": "never"}}, "missing in `allowed_tools`: c"),
        ({"require_approval": "never", "approve": ["a"]}, "`approve` has no effect for tools"),
        ({"require_approval": "sometimes"}, "always"),
        ({"headers": {"Host": "x"}}, "set by agent-relay"),
        ({"label": "a b"}, "label"),
        ({"allowed_tools": []}, "allowed_tools"),
    ],
)
def test_mistakes_are_named(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message.replace("`", ".")):
        server(**fields)
