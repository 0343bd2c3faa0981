"""The tools of the profiles: built for each profile, and what is missing for them."""

from __future__ import annotations

from agent_relay.core.protocol.agent_profile import AgentProfile
from agent_relay.core.protocol.tool_profile import HttpTool, SecretRef
from agent_relay.tools.egress import tool_session
from agent_relay.tools.profile_tools import tool_mistakes, tools_of

TOOL = HttpTool(
    name="order_status",
    description="Status of an order.",
    url="https://shop.example.com/orders",
    headers={"Authorization": SecretRef(secret="SHOP_TOKEN")},
    timeout_s=3,
    retries=1,
)
PROFILES = {"default": AgentProfile(), "sales": AgentProfile(tools=(TOOL,))}


async def test_each_profile_has_its_own_tools() -> None:
    async with tool_session([]) as http:
        tools = {name: tools_of(profile, http, {"SHOP_TOKEN": "x"}) for name, profile in PROFILES.items()}
    assert {name: list(found) for name, found in tools.items()} == {"default": [], "sales": ["order_status"]}
    assert tools["sales"]["order_status"].limit_s >= 2 * 3


def test_mistakes_name_the_profile_and_the_tool() -> None:
    assert list(tool_mistakes(PROFILES, [], [], {})) == [
        "sales.tools (order_status): shop.example.com is not in TOOL_HOSTS; add it to allow it",
        "sales.tools (order_status): the environment variable SHOP_TOKEN is not set",
    ]
    assert list(tool_mistakes(PROFILES, ["*.example.com"], [], {"SHOP_TOKEN": "x"})) == []
