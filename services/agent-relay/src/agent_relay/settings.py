"""Settings of agent-relay. `.env.example` describes them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated, Final
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field, SecretStr
from pydantic_settings import NoDecode

from agent_relay.core.dialog.debt import Limits
from agent_relay.core.protocol.agent_profile import AgentProfile
from agent_relay.core.protocol.spoken_text import Form
from agent_relay.core.protocol.voice_target import (
    GA_VERSION,
    LAST_CLASSIC_VERSION,
    MODES,
    VOICE_AGENT_FEATURES,
    Mode,
    TokenScope,
    VoiceTarget,
    is_endpoint,
    is_version,
    version_date,
)
from agent_relay.profiles import Check, load_profiles, target_mistakes
from agent_relay.tools.profile_tools import mode_mistakes, tool_mistakes
from bridge_common.base.errors import InputError
from bridge_common.service import insecure
from bridge_common.service.secret_files import RELOADED, environment
from bridge_common.service.settings import (
    CommaSeparated,
    Secrets,
    ServiceSettings,
    comma_separated,
    revealed,
)

_CHOICES: Final[Mapping[str, Mode]] = {
    "agent_name": Mode.AGENT,
    "agent_id": Mode.CLASSIC_AGENT,
    "voice_agent_name": Mode.VOICE_AGENT,
    "voice_live_model": Mode.MODEL,
    "azure_openai_deployment": Mode.AZURE_OPENAI,
}
"""The settings that select the connection mode. Azure OpenAI GA is selected by the api-version `v1`."""


def _none_if_empty(value: object) -> object:
    return None if value == "" else value


class RelaySettings(ServiceSettings):
    port: int = Field(default=8082, ge=0, le=65535)

    azure_voice_live_endpoint: Annotated[str, insecure.URL]
    azure_voice_live_api_key: Annotated[SecretStr, RELOADED] = SecretStr("")
    azure_voice_live_further_endpoints: Annotated[CommaSeparated, insecure.URL] = ()
    azure_voice_live_further_api_keys: Annotated[Secrets, RELOADED] = ()
    voice_live_connections_per_min: int = Field(default=30, ge=0, le=100_000)
    voice_live_api_version: str = ""
    agent_name: str = ""
    agent_project_name: str = ""
    agent_version: str = ""
    agent_id: str = ""
    voice_agent_name: str = ""
    voice_live_model: str = ""
    azure_openai_deployment: str = ""
    foundry_features: str = VOICE_AGENT_FEATURES
    azure_ai_scope: str = "https://ai.azure.com/.default"
    azure_cognitive_services_scope: str = "https://cognitiveservices.azure.com/.default"

    agent_profiles_file: Path | None = None
    tool_hosts: CommaSeparated = ()
    """Hosts that function tools of profiles may call; `*.example.com` stands for all hosts below it."""
    tool_private_hosts: CommaSeparated = ()
    """The same for hosts whose addresses are not public."""
    history_turns: int = Field(default=40, ge=1, le=1000)
    say_forms: Annotated[tuple[Form, ...], NoDecode, BeforeValidator(comma_separated)] = ()
    greeting_delay_ms: Annotated[int | None, BeforeValidator(_none_if_empty)] = Field(default=None, ge=0, le=10_000)
    response_start_s: float = Field(default=5.0, ge=1, le=600)
    agent_patience_s: float = Field(default=60.0, ge=5, le=600)
    dtmf_interrupts: bool = True
    transcripts: bool = True

    relay_capacity: int = Field(default=200, ge=1, le=1000)
    relay_warm_sessions: int = Field(default=0, ge=0, le=100)
    reconnect_budget_s: float = Field(default=20.0, ge=0, le=300)
    voice_live_open_timeout_s: float = Field(default=5.0, gt=0, le=60)
    voice_live_ping_interval_s: float = Field(default=20.0, gt=0, le=60)

    @property
    def target(self) -> VoiceTarget:
        mode = next(mode for name, mode in _CHOICES.items() if getattr(self, name))
        if mode is Mode.AZURE_OPENAI and self.voice_live_api_version == GA_VERSION:
            mode = Mode.AZURE_OPENAI_GA
        return VoiceTarget(
            mode=mode,
            endpoint=self.azure_voice_live_endpoint,
            api_version=self.voice_live_api_version or MODES[mode].default_version,
            agent_name=self.agent_name or self.voice_agent_name,
            agent_project_name=self.agent_project_name,
            agent_version=self.agent_version,
            agent_id=self.agent_id,
            model=self.voice_live_model,
            deployment=self.azure_openai_deployment,
            api_key=self.azure_voice_live_api_key.get_secret_value(),
            features="" if self.foundry_features == "off" else self.foundry_features,
        )

    @property
    def further_targets(self) -> list[VoiceTarget]:
        keys = revealed(self.azure_voice_live_further_api_keys) or [""] * len(self.azure_voice_live_further_endpoints)
        return [
            replace(self.target, endpoint=endpoint, api_key=key)
            for endpoint, key in zip(self.azure_voice_live_further_endpoints, keys, strict=True)
        ]

    @property
    def environment(self) -> Mapping[str, str]:
        """Environment variables and secret files, for the secrets that profiles name. Each access reads the files."""
        return environment(self.secrets_dir)

    @property
    def scopes(self) -> Mapping[TokenScope, str]:
        return {
            TokenScope.AI: self.azure_ai_scope,
            TokenScope.COGNITIVE_SERVICES: self.azure_cognitive_services_scope,
        }

    @property
    def limits(self) -> Limits:
        return Limits(start_s=self.response_start_s, patience_s=self.agent_patience_s)

    def profiles(self) -> Mapping[str, AgentProfile]:
        return load_profiles(self.agent_profiles_file, self.profile_check)

    @property
    def profile_check(self) -> Check:
        """For the profiles of a changed file."""
        lists = {name: getattr(self, name) for name in ("allow_insecure", "tool_hosts", "tool_private_hosts")}
        given = {name: ",".join(values) for name, values in lists.items()}
        given["secrets_dir"] = str(self.secrets_dir or "")
        return partial(_profile_mistakes, given=given | {name: getattr(self, name) for name in _CHOICES})

    @classmethod
    def mistakes(cls, given: Mapping[str, str]) -> Iterator[tuple[str, str]]:
        yield from super().mistakes(given)
        yield from _mistakes(given)


def _mistakes(given: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    endpoint = given.get("azure_voice_live_endpoint", "")
    if endpoint and not is_endpoint(endpoint):
        yield (
            "azure_voice_live_endpoint",
            "is not a valid URL; must begin with https://, wss://, http:// or ws:// and contain a host",
        )
    yield from _mistakes_of_further(given)
    version = given.get("voice_live_api_version", "")
    is_ga = version == GA_VERSION and bool(given.get("azure_openai_deployment") or given.get("voice_agent_name"))
    if version and not is_version(version) and not is_ga:
        yield (
            "voice_live_api_version",
            f"must be a date like 2026-07-15, with or without -preview; {GA_VERSION} needs AZURE_OPENAI_DEPLOYMENT",
        )
        version = ""
    chosen = [name for name in _CHOICES if given.get(name)]
    if len(chosen) != 1:
        names = ", ".join(name.upper() for name in chosen or _CHOICES)
        message = "are set together; keep one" if chosen else "none is set; set one to select the connection mode"
        yield "", f"{names}: {message}"
        chosen = []
    yield from (mistake for name in chosen for mistake in _mistakes_of(name, version, given))
    path = given.get("agent_profiles_file", "")
    if path:
        try:
            load_profiles(Path(path), partial(_profile_mistakes, given=given))
        except InputError as error:
            yield "agent_profiles_file", error.message


def _profile_mistakes(profiles: Mapping[str, AgentProfile], given: Mapping[str, str]) -> Iterator[str]:
    """Mistakes that depend on settings. `given`: texts of the settings."""
    allowed, hosts, private_hosts = (
        insecure.parts_of(given.get(name, "")) for name in ("allow_insecure", "tool_hosts", "tool_private_hosts")
    )
    secrets = environment(given.get("secrets_dir"))
    yield from target_mistakes(profiles, secrets, allowed)
    yield from tool_mistakes(profiles, hosts, private_hosts, secrets)
    chosen = next((mode for name, mode in _CHOICES.items() if given.get(name)), None)
    yield from mode_mistakes(profiles, chosen)


def _mistakes_of_further(given: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    first = given.get("azure_voice_live_endpoint", "")
    endpoints, keys = (
        insecure.parts_of(given.get(f"azure_voice_live_further_{name}", "")) for name in ("endpoints", "api_keys")
    )
    for endpoint in endpoints:
        if not is_endpoint(endpoint):
            yield (
                "azure_voice_live_further_endpoints",
                f"{endpoint} is not a valid URL; must begin with https:// and contain a host",
            )
    hosts = [urlsplit(endpoint).netloc for endpoint in (first, *endpoints)]
    if len(set(hosts)) != len(hosts):
        yield (
            "azure_voice_live_further_endpoints",
            "contains the same resource twice; remove one (AZURE_VOICE_LIVE_ENDPOINT counts as well)",
        )
    needed = len(endpoints) if given.get("azure_voice_live_api_key") else 0
    if len(keys) != needed:
        yield (
            "azure_voice_live_further_api_keys",
            f"contains {len(keys)} keys, expected {needed}: one for each endpoint, if AZURE_VOICE_LIVE_API_KEY is set",
        )


def _mistakes_of(chosen: str, version: str, given: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    spec = MODES[_CHOICES[chosen]]
    if spec.agent and not given.get("agent_project_name"):
        yield "agent_project_name", f"is not set; required with {chosen.upper()}"
    if spec.agent and given.get("azure_voice_live_api_key"):
        yield "azure_voice_live_api_key", f"must not be set with {chosen.upper()}: agents accept tokens only"
    if chosen == "agent_id" and version and version_date(version) > version_date(LAST_CLASSIC_VERSION):
        yield "voice_live_api_version", f"must not be later than {LAST_CLASSIC_VERSION} with AGENT_ID; use AGENT_NAME"
    if chosen == "agent_name" and version and version_date(version) < version_date(LAST_CLASSIC_VERSION):
        yield "voice_live_api_version", f"must be {LAST_CLASSIC_VERSION} or later with AGENT_NAME"
    if chosen in ("agent_name", "voice_agent_name") and ":" in given[chosen]:
        yield chosen, "contains a colon; set the version in AGENT_VERSION"
    if chosen == "voice_agent_name":
        yield from _mistakes_of_voice_agent(given)


def _mistakes_of_voice_agent(given: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    if given.get("relay_warm_sessions", "0").strip() not in ("", "0"):
        yield (
            "relay_warm_sessions",
            "must be 0 with VOICE_AGENT_NAME, because nobody would hear the greeting of a warm session",
        )
    features = given.get("foundry_features", "")
    if not (features.isascii() and features.isprintable()):
        yield "foundry_features", f"must be printable ASCII such as {VOICE_AGENT_FEATURES}, or off"
