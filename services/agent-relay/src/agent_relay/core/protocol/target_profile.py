"""The target that an agent profile names: an agent or a model, and the resources where it is found."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Final
from urllib.parse import urlsplit

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from agent_relay.core.protocol.profile_fields import SecretName
from agent_relay.core.protocol.voice_target import (
    GA_VERSION,
    LAST_CLASSIC_VERSION,
    MODES,
    Mode,
    VoiceTarget,
    is_endpoint,
    is_version,
    project_of,
    version_date,
)

_CHOICES: Final[Mapping[str, Mode]] = {
    "agent": Mode.AGENT,
    "classic_agent": Mode.CLASSIC_AGENT,
    "voice_agent": Mode.VOICE_AGENT,
    "model": Mode.MODEL,
    "azure_openai_deployment": Mode.AZURE_OPENAI,
}
Name = Annotated[str, Field(min_length=1, max_length=200)]


def _as_list(value: object) -> object:
    return [value] if isinstance(value, str) else value


class TargetProfile(BaseModel):
    """Exactly one of `agent`, `classic_agent`, `voice_agent`, `model` and `azure_openai_deployment`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    agent: Name | None = None
    """Name of a current Foundry agent."""
    classic_agent: Name | None = None
    """Id of a classic agent (`asst_…`)."""
    voice_agent: Name | None = None
    """Name of a Foundry voice agent (`kind: voice`)."""
    model: Name | None = None
    azure_openai_deployment: Name | None = None
    project: Name | None = None
    """Foundry project of the agent."""
    agent_version: Name | None = None
    """None: the newest."""
    endpoint: Annotated[tuple[str, ...], BeforeValidator(_as_list), Field(max_length=16)] = ()
    """Resources, the preferred one first; empty: those of the settings, with their API keys."""
    api_key_secret: SecretName | None = None
    """Environment variable with the API key of `endpoint`; None: tokens."""
    api_version: str | None = None
    """None: the default of the connection mode."""
    greets: bool | None = None
    """Whether the definition of the voice agent has a greeting. None: yes."""
    send_tools: bool = False
    """Whether the relay sends its function tools to the voice agent, instead of those in the definition."""

    @model_validator(mode="after")
    def _fits(self) -> TargetProfile:
        if faults := list(self._faults()):
            raise ValueError("; ".join(faults))
        return self

    def _faults(self) -> Iterator[str]:
        choices = [name for name in _CHOICES if getattr(self, name) is not None]
        if len(choices) != 1:
            yield f"has {' and '.join(choices)}; keep one" if choices else f"needs one of {', '.join(_CHOICES)}"
            return
        spec, chosen = MODES[self.mode], self._chosen
        if spec.agent and self.project is None:
            yield f"`project` is missing; {chosen} needs it"
        if not spec.agent and self.project is not None:
            yield f"`project` has no effect with {chosen}; remove it"
        if self.agent_version is not None and self.agent is None and self.voice_agent is None:
            yield f"`agent_version` has no effect with {chosen}; remove it"
        for name in ("agent", "voice_agent"):
            if ":" in (getattr(self, name) or ""):
                yield f"`{name}` contains a colon; set the version in `agent_version`"
        yield from self._voice_agent_faults()
        if self.api_key_secret is not None and spec.agent:
            yield f"`api_key_secret` must not be set with {chosen}: agents accept tokens only"
        if self.api_key_secret is not None and len(self.endpoint) != 1:
            yield "`api_key_secret` needs exactly one `endpoint`; without one the keys of the settings are used"
        yield from (
            f"`endpoint` {one} is not a valid URL; it must begin with https:// and contain a host"
            for one in self.endpoint
            if not is_endpoint(one)
        )
        hosts = [urlsplit(one).netloc for one in self.endpoint]
        if len(set(hosts)) != len(hosts):
            yield "`endpoint` contains the same resource twice; remove one"
        yield from self._version_faults()

    def _voice_agent_faults(self) -> Iterator[str]:
        if self.voice_agent is None:
            own = {"greets": self.greets is not None, "send_tools": self.send_tools}
            yield from (f"`{name}` has no effect with {self._chosen}; remove it" for name in own if own[name])
            return
        for one in self.endpoint:
            if project_of(one) not in ("", self.project):
                yield f"`endpoint` {one} is that of another project; it must end with `project`, or with the host"

    def _version_faults(self) -> Iterator[str]:
        version = self.api_version
        named = self.azure_openai_deployment is not None or self.voice_agent is not None
        if version is None or (version == GA_VERSION and named):
            return
        if not is_version(version):
            yield (
                "`api_version` must be a date like 2026-07-15, with or without -preview, or "
                f"{GA_VERSION} with azure_openai_deployment and voice_agent"
            )
        elif self.classic_agent is not None and version_date(version) > version_date(LAST_CLASSIC_VERSION):
            yield f"`api_version` must not be later than {LAST_CLASSIC_VERSION} with classic_agent; use agent"
        elif self.agent is not None and version_date(version) < version_date(LAST_CLASSIC_VERSION):
            yield f"`api_version` must be {LAST_CLASSIC_VERSION} or later with agent"

    @property
    def _chosen(self) -> str:
        return next(name for name in _CHOICES if getattr(self, name) is not None)

    @property
    def mode(self) -> Mode:
        is_ga = self.azure_openai_deployment is not None and self.api_version == GA_VERSION
        return Mode.AZURE_OPENAI_GA if is_ga else _CHOICES[self._chosen]


def voice_targets(
    profile: TargetProfile | None, defaults: Sequence[VoiceTarget], secrets: Mapping[str, str]
) -> tuple[VoiceTarget, ...]:
    """The target at each resource. `defaults`: the target of the settings, at each of their resources."""
    if profile is None:
        return tuple(defaults)
    mode = profile.mode
    chosen = VoiceTarget(
        mode=mode,
        endpoint="",
        api_version=profile.api_version or MODES[mode].default_version,
        agent_name=profile.agent or profile.voice_agent or "",
        agent_project_name=profile.project or "",
        agent_version=profile.agent_version or "",
        agent_id=profile.classic_agent or "",
        model=profile.model or "",
        deployment=profile.azure_openai_deployment or "",
        features=defaults[0].features,
        greets=profile.greets is not False,
        sends_tools=profile.send_tools,
    )
    if not profile.endpoint:
        return tuple(replace(chosen, endpoint=one.endpoint, api_key=one.api_key) for one in defaults)
    key = secrets.get(profile.api_key_secret, "") if profile.api_key_secret else ""
    return tuple(replace(chosen, endpoint=endpoint, api_key=key) for endpoint in profile.endpoint)
