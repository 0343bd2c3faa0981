"""Creates the tools of a profile, and checks the hosts and secrets of all profiles."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import aiohttp

from agent_relay.core.protocol.agent_profile import AgentProfile
from agent_relay.core.protocol.mcp_profile import McpServer
from agent_relay.core.protocol.tool_profile import HttpTool
from agent_relay.core.protocol.voice_target import MODES, Mode
from agent_relay.tools.egress import host_fault
from agent_relay.tools.http_tool import HttpToolRunner
from agent_relay.tools.mcp_tool import LIMIT_S, McpToolRunner
from agent_relay.tools.runner import Tool

_FIELDS_OF_MODELS: Final = ("instructions", "temperature", "max_response_output_tokens")


def tools_of(profile: AgentProfile, http: aiohttp.ClientSession, secrets: Mapping[str, str]) -> dict[str, Tool]:
    """Return the runnable tools by name. `secrets`: the environment variables."""
    runners = [HttpToolRunner(tool, http, secrets) for tool in profile.tools]
    own = {runner.tool.name: Tool(runner.run, runner.limit_s) for runner in runners}
    mcp = {
        name: Tool(McpToolRunner(server, name, http, secrets).run, LIMIT_S + 1)
        for server in profile.mcp_servers
        for name in server.allowed_tools or ()
    }
    return {**mcp, **own}


def tool_mistakes(
    profiles: Mapping[str, AgentProfile],
    hosts: Sequence[str],
    private_hosts: Sequence[str],
    secrets: Mapping[str, str],
) -> Iterator[str]:
    """Yield an error for each host that is not allowed and each secret that is not set."""
    for name, profile in profiles.items():
        places: list[tuple[str, HttpTool | McpServer]] = [
            (f"tools[{index}] ({tool.name})", tool) for index, tool in enumerate(profile.tools)
        ]
        places += [
            (f"mcp_servers[{index}] ({server.label})", server) for index, server in enumerate(profile.mcp_servers)
        ]
        for place, tool in places:
            where = f"{name}.{place}"
            if fault := host_fault(tool.host, hosts, private_hosts):
                yield f"{where}: {fault}"
            for secret in tool.secrets:
                if not secrets.get(secret):
                    yield f"{where}: the environment variable {secret} is not set, and is no file in SECRETS_DIR"


def mode_mistakes(profiles: Mapping[str, AgentProfile], default: Mode | None) -> Iterator[str]:
    """Yield an error for each field that has no effect with the target. `default`: the mode of the settings."""
    for name, profile in profiles.items():
        mode = default if profile.target is None else profile.target.mode
        if mode is None:
            continue
        if profile.mcp_servers and mode is not Mode.MODEL:
            yield (
                f"{name}.mcp_servers: only a Voice Live model can have them, the target is {mode}; add the server to "
                "the tools of the agent, or set `target: {model: ...}`"
            )
        spec = MODES[mode]
        if spec.agent:
            fields = _FIELDS_OF_MODELS if spec.defined else ("tools", *_FIELDS_OF_MODELS)
            for field in fields:
                if getattr(profile, field) not in (None, ()):
                    yield (
                        f"{name}.{field}: has no effect with {mode}, which has its own; remove it and set it in the "
                        "agent, or set `target: {model: ...}`"
                    )
