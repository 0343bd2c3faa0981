"""Creates the tools of a profile, and checks the hosts and secrets of all profiles."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import aiohttp

from agent_relay.core.protocol.agent_profile import AgentProfile
from agent_relay.tools.egress import host_fault
from agent_relay.tools.http_tool import HttpToolRunner
from agent_relay.tools.runner import Tool


def tools_of(profile: AgentProfile, http: aiohttp.ClientSession, secrets: Mapping[str, str]) -> dict[str, Tool]:
    """Return the runnable tools by name. `secrets`: the environment variables."""
    runners = [HttpToolRunner(tool, http, secrets) for tool in profile.tools]
    return {runner.tool.name: Tool(runner.run, runner.limit_s) for runner in runners}


def tool_mistakes(
    profiles: Mapping[str, AgentProfile],
    hosts: Sequence[str],
    private_hosts: Sequence[str],
    secrets: Mapping[str, str],
) -> Iterator[str]:
    """Yield an error for each host that is not allowed and each secret that is not set."""
    for name, profile in profiles.items():
        for tool in profile.tools:
            where = f"{name}.tools ({tool.name})"
            if fault := host_fault(tool.host, hosts, private_hosts):
                yield f"{where}: {fault}"
            for secret in tool.secrets:
                if not secrets.get(secret):
                    yield f"{where}: the environment variable {secret} is not set"
