"""The tools of the profiles: built for each profile, and what is missing for them."""

from __future__ import annotations

import pytest

from agent_relay.core.protocol.agent_profile import AgentProfile
from agent_relay.core.protocol.mcp_profile import McpServer
from agent_relay.core.protocol.target_profile import TargetProfile
from agent_relay.core.protocol.tool_profile import HttpTool, SecretRef
from agent_relay.core.protocol.voice_target import Mode
from agent_relay.tools.egress import tool_session
from agent_relay.tools.profile_tools import mode_mistakes, tool_mistakes, tools_of

TOOL = HttpTool(
    name="order_status",
    description="Status of an order.",
    url="https://shop.example.com/orders",
    headers={"Authorization": SecretRef(secret="SHOP_TOKEN")},
    timeout_s=3,
    retries=1,
)
NOT_LISTED = "is not in TOOL_HOSTS; add it to allow it, or to TOOL_PRIVATE_HOSTS if its addresses are not public"
PROFILES = {"default": AgentProfile(), "sales": AgentProfile(tools=(TOOL,))}


async def test_each_profile_has_its_own_tools() -> None:
    async with tool_session([]) as http:
        tools = {name: tools_of(profile, http, {"SHOP_TOKEN": "x"}) for name, profile in PROFILES.items()}
    assert {name: list(found) for name, found in tools.items()} == {"default": [], "sales": ["order_status"]}
    assert tools["sales"]["order_status"].limit_s >= 2 * 3


def test_mistakes_name_the_profile_and_the_tool() -> None:
    assert list(tool_mistakes(PROFILES, [], [], {})) == [
        f"sales.tools[0] (order_status): shop.example.com {NOT_LISTED}",
        "sales.tools[0] (order_status): the environment variable SHOP_TOKEN is not set, and is no file in SECRETS_DIR",
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
        f"sales.mcp_servers[0] (shop): mcp.example.com {NOT_LISTED}",
        "sales.mcp_servers[0] (shop): the environment variable MCP_TOKEN is not set, and is no file in SECRETS_DIR",
    ]


def test_only_a_model_of_voice_live_can_have_mcp_servers() -> None:
    assert list(mode_mistakes(WITH_MCP, Mode.MODEL)) == []
    assert list(mode_mistakes(WITH_MCP, None)) == []
    [fault] = mode_mistakes(WITH_MCP, Mode.AGENT)
    assert fault.startswith("sales.mcp_servers: only a Voice Live model can have them")
    assert "add the server to the tools of the agent" in fault
    target = TargetProfile(azure_openai_deployment="x")
    assert len(list(mode_mistakes({"a": AgentProfile(mcp_servers=(SHOP,), target=target)}, Mode.MODEL))) == 1


OF_MODELS = AgentProfile(tools=(TOOL,), instructions="Be brief.", temperature=0.5, max_response_output_tokens=100)


@pytest.mark.parametrize("mode", [Mode.AGENT, Mode.CLASSIC_AGENT])
def test_fields_that_an_agent_has_itself_are_reported(mode: Mode) -> None:
    faults = list(mode_mistakes({"sales": OF_MODELS}, mode))
    fields = ("tools", "instructions", "temperature", "max_response_output_tokens")
    assert [fault.partition(":")[0] for fault in faults] == [f"sales.{field}" for field in fields]
    assert faults[1] == (
        f"sales.instructions: has no effect with {mode}, which has its own; remove it and set it in the agent, or set "
        "`target: {model: ...}`"
    )


def test_voice_agents_may_have_tools() -> None:
    faults = mode_mistakes({"sales": OF_MODELS}, Mode.VOICE_AGENT)
    assert [fault.partition(":")[0] for fault in faults] == [
        "sales.instructions",
        "sales.temperature",
        "sales.max_response_output_tokens",
    ]


@pytest.mark.parametrize("mode", [Mode.MODEL, Mode.AZURE_OPENAI, Mode.AZURE_OPENAI_GA, None])
def test_models_may_have_all_of_them(mode: Mode | None) -> None:
    assert list(mode_mistakes({"sales": OF_MODELS}, mode)) == []


def test_the_target_of_the_profile_decides() -> None:
    with_agent = OF_MODELS.model_copy(update={"target": TargetProfile(agent="x", project="p")})
    assert list(mode_mistakes({"sales": with_agent}, Mode.MODEL))
    with_model = OF_MODELS.model_copy(update={"target": TargetProfile(model="x")})
    assert list(mode_mistakes({"sales": with_model}, Mode.AGENT)) == []
