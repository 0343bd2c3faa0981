"""The tools of the profiles: built for each profile, and what is missing for them."""

from __future__ import annotations

from agent_relay.core.protocol.agent_profile import AgentProfile
from agent_relay.core.protocol.mcp_profile import McpServer
from agent_relay.core.protocol.target_profile import TargetProfile
from agent_relay.core.protocol.tool_profile import HttpTool, SecretRef
from agent_relay.core.protocol.voice_target import Mode
from agent_relay.tools.egress import tool_session
from agent_relay.tools.profile_tools import mcp_mistakes, tool_mistakes, tools_of

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


SHOP = McpServer(
    label="shop",
    url="https://mcp.example.com/mcp",
    allowed_tools=("search", "cancel"),
    authorization=SecretRef(secret="MCP_TOKEN"),
)
WITH_MCP = {"sales": AgentProfile(mcp_servers=(SHOP,))}


async def test_tools_of_mcp_servers_can_be_run_as_functions() -> None:
    async with tool_session([]) as http:
        assert set(tools_of(WITH_MCP["sales"], http, {"MCP_TOKEN": "x"})) == {"search", "cancel"}


def test_mistakes_name_the_mcp_server() -> None:
    assert list(tool_mistakes(WITH_MCP, [], [], {})) == [
        "sales.mcp_servers (shop): mcp.example.com is not in TOOL_HOSTS; add it to allow it",
        "sales.mcp_servers (shop): the environment variable MCP_TOKEN is not set",
    ]


def test_only_a_model_of_voice_live_can_have_mcp_servers() -> None:
    assert list(mcp_mistakes(WITH_MCP, Mode.MODEL)) == []
    assert list(mcp_mistakes(WITH_MCP, None)) == []
    [fault] = mcp_mistakes(WITH_MCP, Mode.AGENT)
    assert fault.startswith("sales.mcp_servers: only a Voice Live model can have them")
    assert "add the server to the tools of the agent" in fault
    target = TargetProfile(azure_openai_deployment="x")
    assert len(list(mcp_mistakes({"a": AgentProfile(mcp_servers=(SHOP,), target=target)}, Mode.MODEL))) == 1
