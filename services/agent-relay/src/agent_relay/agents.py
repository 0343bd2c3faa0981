"""The agents of a relay: each is one version of a profile with its connections, tools and warm voice sessions.

New calls use the newest version. A call keeps the version that its record names, also when another relay takes it over
(`profile_versions`).
"""

from __future__ import annotations

import asyncio
import hashlib
import ssl
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from typing import Final
from urllib.parse import urlsplit

from agent_relay import metrics
from agent_relay.core.dialog.session_profile import session_profile_of
from agent_relay.core.protocol.agent_profile import AgentProfile
from agent_relay.core.protocol.target_profile import voice_targets
from agent_relay.core.protocol.voice_target import TokenScope, VoiceTarget
from agent_relay.definition_check import DefinitionCheck
from agent_relay.profiles import DEFAULT
from agent_relay.tools.runner import Tool
from agent_relay.voice.connection_quota import ConnectionQuota
from agent_relay.voice.voice_link import Dialer
from agent_relay.voice.voice_live_client import trusted_certificates
from agent_relay.voice.voice_resources import VoiceResources
from agent_relay.voice.warm_pool import WarmPool, WarmPoolConfig
from bridge_common.auth.entra_tokens import Tokens
from bridge_common.wire.call_record import CallRecord

_MOST_OLD: Final = 64
"""Limit of the versions that are kept for running calls."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentVersion:
    name: str
    profile: AgentProfile
    voice: VoiceResources
    tools: Mapping[str, Tool] = field(default_factory=dict)
    mcp: Sequence[Mapping[str, object]] = field(default=(), repr=False)
    """Definitions of the MCP servers, with secrets."""
    warm: WarmPool = field(default_factory=WarmPool)
    definition: DefinitionCheck = field(default_factory=DefinitionCheck)

    def session_ready(self, functions: tuple[str, ...] | None) -> None:
        """Handle a configured session with these function tools, None if the service did not report them."""
        if self.voice.target.spec.defined:
            self.definition.compare(self.name, self.profile, functions)

    @property
    def version(self) -> str:
        return self.profile.version


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentFactory:
    """`targets`: the target of the settings at each of their resources. `scopes`: all token scopes."""

    targets: Sequence[VoiceTarget]
    tokens: Tokens
    scopes: Mapping[TokenScope, str]
    quota: ConnectionQuota
    secrets: Mapping[str, str]
    warm_sessions: int = 0
    """For the default profile."""
    open_timeout_s: float = 5.0
    ping_interval_s: float = 20.0
    tools_of: Callable[[AgentProfile], Mapping[str, Tool]] = lambda _: {}
    api_key: Callable[[int], str] | None = None
    """Returns the API key in force of one of `targets`; None: their own."""

    def __call__(self, name: str, profile: AgentProfile) -> AgentVersion:
        targets = voice_targets(profile.target, self.targets, self.secrets)
        self.tokens.require({scope: self.scopes[scope] for target in targets for scope in target.scopes()})
        has_own_key = profile.target is not None and bool(profile.target.endpoint)
        key = None if has_own_key else self.api_key
        dialers = [self._dialer(target, key and partial(key, number)) for number, target in enumerate(targets)]
        voice = VoiceResources(dialers, self.quota)
        for dialer in dialers:
            metrics.know_resource(dialer.resource)
        count = profile.warm_sessions
        if count is None:
            count = self.warm_sessions if name == DEFAULT else 0
        if voice.target.greets_itself:
            count = 0  # nobody would hear the greeting
        mcp = tuple(server.definition(self.secrets) for server in profile.mcp_servers)
        warm = WarmPool(WarmPoolConfig(voice, session_profile_of(profile, voice.target, mcp=mcp), count))
        tools = self.tools_of(profile)
        return AgentVersion(name=name, profile=profile, voice=voice, tools=tools, mcp=mcp, warm=warm)

    def _dialer(self, target: VoiceTarget, api_key: Callable[[], str] | None) -> Dialer:
        tls = _certificates() if urlsplit(target.endpoint).scheme in ("https", "wss") else None
        return Dialer(target, self.tokens, self.open_timeout_s, self.ping_interval_s, tls, api_key)


class Agents:
    """`run` keeps the warm sessions of the newest versions until it is canceled."""

    def __init__(self, make: Callable[[str, AgentProfile], AgentVersion], profiles: Mapping[str, AgentProfile]) -> None:
        self._make = make
        self._kept: dict[tuple[str, str], AgentVersion] = {}
        self._newest: Mapping[str, AgentVersion] = {}
        self._changed = asyncio.Event()
        self.adopt(profiles)

    def __getitem__(self, name: str) -> AgentVersion:
        """The newest version."""
        return self._newest[name]

    def adopt(self, profiles: Mapping[str, AgentProfile]) -> set[str]:
        """New calls use these profiles. `profiles` contains `default`. Returns the names of those that differ."""
        newest: dict[str, AgentVersion] = {}
        for name, profile in profiles.items():
            key = (name, profile.version)
            newest[name] = self._kept.pop(key) if key in self._kept else self._make(name, profile)
        before, self._newest = self._newest, newest
        self._kept |= {(name, agent.version): agent for name, agent in newest.items()}
        for key in list(self._kept)[: -len(newest) - _MOST_OLD]:
            del self._kept[key]
        self._changed.set()
        metrics.PROFILES_HASH.set(_hash_of(newest))
        return {name for name in before.keys() | newest.keys() if before.get(name) is not newest.get(name)}

    def keep(self, name: str, profile: AgentProfile) -> AgentVersion:
        """Return the agent of a version that is not the newest."""
        key = (name, profile.version)
        if key not in self._kept:
            self._kept[key] = self._make(name, profile)
        return self._kept[key]

    @property
    def resources(self) -> frozenset[str]:
        """The Voice Live resources of the newest versions."""
        return frozenset(dialer.resource for agent in self._newest.values() for dialer in agent.voice.dialers)

    def of(self, record: CallRecord) -> AgentVersion:
        """The version of the record if it is known here, otherwise the newest. If the profile does not exist: the
        default agent.
        """
        kept = self._kept.get((record.profile, record.profile_version))
        return kept or self._newest.get(record.profile) or self._newest[DEFAULT]

    async def run(self) -> None:
        running: dict[tuple[str, str], asyncio.Task[None]] = {}
        async with asyncio.TaskGroup() as tasks:
            while True:
                wanted = {(agent.name, agent.version): agent.warm for agent in self._newest.values()}
                for key in running.keys() - wanted.keys():
                    running.pop(key).cancel()
                for key in wanted.keys() - running.keys():
                    running[key] = tasks.create_task(wanted[key].run())
                self._changed.clear()
                await self._changed.wait()


def _hash_of(agents: Mapping[str, AgentVersion]) -> int:
    """48 bits, which a metric can have exactly."""
    content = "".join(f"{name}\0{agent.version}\0" for name, agent in sorted(agents.items()))
    return int.from_bytes(hashlib.sha256(content.encode()).digest()[:6], "big")


@cache
def _certificates() -> ssl.SSLContext | None:
    """Shared by all dialers, because loading them is slow."""
    return trusted_certificates("https://")
