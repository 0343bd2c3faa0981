"""Settings of call-control, from environment variables. Their names are the field names in capitals."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Final, Literal, TypeVar
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field, SecretStr, ValidationInfo, field_validator

from bridge_common.base.errors import InputError
from bridge_common.service import insecure
from bridge_common.service.acs_settings import AcsTrustSettings, lower
from bridge_common.service.secret_files import RELOADED
from bridge_common.service.setting_input import read_setting_file
from bridge_common.service.settings import CommaSeparated, Secrets
from call_control.core.connection_string import AcsAddress, endpoint_of, parse_connection_string
from call_control.core.machine.transition import CallPolicy
from call_control.core.policy.parties import ANONYMOUS, decode_pattern, raw_id_of
from call_control.core.policy.policy_text import MAX_BYTES, PolicyError, policy_of_text
from call_control.core.policy.ring_limits import RingLimits, Treatment
from call_control.core.policy.routing import Routing
from call_control.core.policy.routing_policy import Policy
from call_control.kubernetes.pod_api import ApiServer

T = TypeVar("T")
SERVICE_ACCOUNT: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_TRUE: Final = frozenset({"true", "1", "yes", "on", "t", "y"})
"""Texts that pydantic accepts as True."""


class CallControlSettings(AcsTrustSettings):
    port: int = Field(default=8080, ge=0, le=65535)

    base_url: Annotated[str, insecure.URL]
    """Public URL of this service, as reached by ACS: https in Azure."""
    media_base_url: Annotated[str, insecure.URL] = Field(default="", validate_default=True)
    """Public URL of the media gateways, as reached by ACS; empty: `base_url` with ws or wss."""
    acs_endpoint: Annotated[str, insecure.URL] = ""
    """Endpoint for requests with a managed identity; replaces the connection string."""
    acs_connection_string: Annotated[SecretStr, insecure.URL] = Field(default=SecretStr(""), validate_default=True)
    acs_audio_format: Annotated[Literal["pcm16k", "pcm24k"], BeforeValidator(lower)] = "pcm16k"
    acs_audio_channels: Annotated[Literal["mixed", "unmixed"], BeforeValidator(lower)] = "unmixed"

    event_grid_secrets: Annotated[Secrets, insecure.KEYS, RELOADED] = ()
    """Accepted values of `?code=` in the webhook's URL; two during a rotation."""
    event_grid_tenant_id: str = ""
    event_grid_audience: str = Field(default="", validate_default=True)
    event_grid_jwks_url: Annotated[str, insecure.URL] = ""
    """JWKS URL; empty: that of the tenant at Entra."""
    api_keys: Annotated[Secrets, insecure.KEYS, RELOADED] = ()
    """API keys of operators; empty: the operator API answers 403."""

    agent_tools_keys: Annotated[Secrets, insecure.KEYS, RELOADED] = ()
    """Keys that project connections of Foundry send with tool calls; two during a rotation."""
    agent_tools_tenant_id: str = ""
    agent_tools_audience: str = Field(default="", validate_default=True)
    """Application ID URI of our app registration, for which the platform of the agents requests tokens."""
    agent_tools_identities: CommaSeparated = Field(default=(), validate_default=True)
    """Object or application ids of the agents' identities."""
    agent_tools_jwks_url: Annotated[str, insecure.URL] = ""
    """JWKS URL; empty: that of the tenant at Entra."""

    record_retention_s: int = Field(default=24 * 3600, ge=60, le=90 * 24 * 3600)
    """Retention of the record of an ended call."""
    transcript_retention_s: int = Field(default=24 * 3600, ge=0, le=90 * 24 * 3600)
    """Retention of the transcript, at most that of the record; 0: deleted when the call ends."""

    say_max_characters: int = Field(default=20_000, ge=1, le=100_000)
    """Limit for the text of one announcement; 20,000 characters take about 20 minutes to speak."""
    say_per_minute: int = Field(default=60, ge=1, le=6000)
    """Limit for announcements in one call per minute."""

    answer_when: Annotated[Literal["ready", "at_once"], BeforeValidator(lower)] = "ready"
    answer_deadline_s: float = Field(default=8.0, gt=0, le=25)
    """Limit from the ring to a ready voice session; ACS lets a phone ring for about 30 s."""
    redirect_target: str = ""
    """Party that receives calls when no relay has capacity; empty: the caller hears busy."""
    transfer_target: str = ""
    """Party that receives a call whose voice session cannot be restored; empty: the caller hears an apology."""
    allowed_targets: CommaSeparated = ()
    """Patterns of redirect targets for policies set at run time, in addition to the two above and the policy file."""
    media_patience_s: float = Field(default=20.0, gt=0, le=300)
    """How long call-control tries to restore lost media; after that it transfers to `transfer_target` or hangs up."""
    max_call_s: float = Field(default=4 * 3600, gt=0, le=24 * 3600)
    """Maximum length of a call; after it the agent says goodbye and the call is hung up."""
    max_call_warning_s: float = Field(default=60.0, ge=0, le=3600)
    """How long before `max_call_s` the agent announces the end of the call; 0: never."""
    goodbye_timeout_s: float = Field(default=12.0, gt=0, le=60)
    """Limit for the goodbye: a requested hang-up follows after this time at the latest."""
    ring_time_s: float = Field(default=60.0, gt=0, le=600)
    """Maximum age of the IncomingCall event; a call with an older event is not answered."""
    calls_per_caller_per_min: int = Field(default=10, ge=0, le=1_000_000)
    """Limit for calls of one caller to an agent per minute; 0: no limit."""
    calls_per_min: int = Field(default=0, ge=0, le=1_000_000)
    """Limit for calls of all callers to an agent per minute; callers without a number use at most half. 0: no limit."""
    calls_over_limit: Annotated[Treatment, BeforeValidator(lower)] = "busy"
    pod_deletion_cost: bool = False
    """Whether to write the calls of gateways and relays into the deletion cost of their pods."""
    kubernetes_service_host: str = ""
    """Address of the API server; set by Kubernetes in every container, as is the port."""
    kubernetes_service_port: int = Field(default=443, ge=1, le=65535)
    kubernetes_service_account: Path = SERVICE_ACCOUNT
    """Folder with the token, the certificate authority and the namespace of the service account."""
    scale_buffer_calls: int = Field(default=10, ge=0, le=100_000)
    """Least free capacity, in calls, that `demand` of GET /api/fleet includes."""
    scale_buffer_percent: int = Field(default=20, ge=0, le=1000)
    """The same as a percentage of the present calls; the larger of both counts."""
    default_profile: str = "default"
    refused_callers: CommaSeparated = ()
    on_behalf_reject_reason: Annotated[Literal["none", "busy", "forbidden"], BeforeValidator(lower)] = "none"
    """Reject reason for calls that a Teams user makes through our resource (`onBehalfOfCallee`)."""
    routing_key: Annotated[SecretStr, insecure.KEYS] = SecretStr("")
    """Key of the hash that assigns callers to a share (`percent`); the same on all replicas."""
    routing_policy: Path | None = None
    """Path of a YAML file; unset: every call is routed to `default_profile`."""

    @field_validator("base_url")
    @classmethod
    def _http_address(cls, value: str) -> str:
        return _address(value, "http", "https")

    @field_validator("media_base_url")
    @classmethod
    def _ws_address(cls, value: str, info: ValidationInfo) -> str:
        if not value and "base_url" in info.data:
            return "ws" + str(info.data["base_url"]).removeprefix("http")
        return _address(value, "ws", "wss") if value else ""

    @field_validator("acs_endpoint")
    @classmethod
    def _acs_endpoint(cls, value: str) -> str:
        return _plain(endpoint_of, value) if value else ""

    @field_validator("acs_connection_string")
    @classmethod
    def _connection_string(cls, value: SecretStr, info: ValidationInfo) -> SecretStr:
        if value.get_secret_value():
            _plain(parse_connection_string, value.get_secret_value())
        elif not info.data.get("acs_endpoint"):
            raise ValueError("is not set; set it, or set ACS_ENDPOINT to use a managed identity")
        return value

    @field_validator("event_grid_audience")
    @classmethod
    def _event_grid_audience(cls, value: str, info: ValidationInfo) -> str:
        if bool(value) != bool(info.data.get("event_grid_tenant_id")):
            raise ValueError("only one of EVENT_GRID_TENANT_ID and EVENT_GRID_AUDIENCE is set; set both or neither")
        return value

    @field_validator("agent_tools_audience")
    @classmethod
    def _agent_tools_audience(cls, value: str, info: ValidationInfo) -> str:
        if bool(value) != bool(info.data.get("agent_tools_tenant_id")):
            raise ValueError("only one of AGENT_TOOLS_TENANT_ID and AGENT_TOOLS_AUDIENCE is set; set both or neither")
        return value

    @field_validator("agent_tools_identities")
    @classmethod
    def _agent_identities(cls, value: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        if info.data.get("agent_tools_audience") and not value:
            raise ValueError(
                "is not set; list the object ids of the agents' identities, otherwise every agent could act"
            )
        return value

    @field_validator("redirect_target", "transfer_target")
    @classmethod
    def _party(cls, value: str) -> str:
        return _plain(raw_id_of, value) if value else ""

    @field_validator("allowed_targets")
    @classmethod
    def _patterns(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if any(_plain(decode_pattern, one).text == ANONYMOUS for one in value):
            raise ValueError("`anonymous` cannot be a target; remove it")
        return value

    @field_validator("routing_policy")
    @classmethod
    def _good_policy(cls, value: Path | None, info: ValidationInfo) -> Path | None:
        try:
            policy = load_policy(value) if value else None
        except PolicyError as error:
            raise ValueError("".join([f"{value}:", *(f"\n    {mistake}" for mistake in error.mistakes)])) from error
        key = info.data.get("routing_key")
        if policy and policy.shares and isinstance(key, SecretStr) and not key.get_secret_value():
            raise ValueError(f"{value}: percent and agents need ROUTING_KEY (rule {', '.join(policy.shares)})")
        return value

    @classmethod
    def faults(cls, given: Mapping[str, str]) -> Iterator[tuple[str, insecure.InsecureSetting]]:
        yield from super().faults(given)
        yield from insecure.webhook_faults(given)

    @classmethod
    def mistakes(cls, given: Mapping[str, str]) -> Iterator[tuple[str, str]]:
        yield from super().mistakes(given)
        if given.get("pod_deletion_cost", "").lower() in _TRUE:
            yield from _account_faults(given)

    @property
    def api_server(self) -> ApiServer | None:
        """The API server of Kubernetes if pod deletion costs are enabled."""
        if not self.pod_deletion_cost:
            return None
        return ApiServer(self.kubernetes_service_host, self.kubernetes_service_port, self.kubernetes_service_account)

    @property
    def acs_address(self) -> AcsAddress:
        secret = self.acs_connection_string.get_secret_value()
        return parse_connection_string(secret) if secret else AcsAddress(self.acs_endpoint)

    @property
    def call_policy(self) -> CallPolicy:
        return CallPolicy(
            answer_at_once=self.answer_when == "at_once",
            ring_ms=round(self.ring_time_s * 1000),
            redirect_target=self.redirect_target,
            transfer_target=self.transfer_target,
            voice_ms=round(self.answer_deadline_s * 1000),
            media_patience_ms=round(self.media_patience_s * 1000),
            longest_call_ms=round(self.max_call_s * 1000),
            warning_ms=round(self.max_call_warning_s * 1000),
            goodbye_ms=round(self.goodbye_timeout_s * 1000),
        )

    @property
    def ring_limits(self) -> RingLimits:
        return RingLimits(self.calls_per_caller_per_min, self.calls_per_min, self.calls_over_limit)

    @property
    def routing(self) -> Routing:
        """Routing settings. Each access reads the policy file."""
        key = self.routing_key.get_secret_value().encode()
        return Routing(
            self.default_profile,
            frozenset(self.refused_callers),
            key,
            self._policy(),
            on_behalf_reject_reason=self.on_behalf_reject_reason,
            redirect_target=self.redirect_target,
            transfer_target=self.transfer_target,
            allowed_targets=tuple(map(decode_pattern, self.allowed_targets)),
        )

    def _policy(self) -> Policy | None:
        return load_policy(self.routing_policy) if self.routing_policy else None


def _account_faults(given: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Find what POD_DELETION_COST needs and does not have."""
    if not given.get("kubernetes_service_host"):
        yield (
            "kubernetes_service_host",
            "is not set; POD_DELETION_COST=true works in a pod of Kubernetes only, which sets it",
        )
    folder = Path(given.get("kubernetes_service_account") or SERVICE_ACCOUNT)
    if missing := [name for name in ("token", "ca.crt", "namespace") if not os.access(folder / name, os.R_OK)]:
        fault = f"{folder} has no readable {', '.join(missing)}; POD_DELETION_COST=true needs a service account"
        yield "kubernetes_service_account", f"{fault} with automountServiceAccountToken: true"


def load_policy(path: Path) -> Policy:
    """Read and decode the policy file. Raises `PolicyError` with all errors in it."""
    try:
        text = read_setting_file(path, MAX_BYTES)
    except InputError as error:
        raise PolicyError([error.message]) from error
    return policy_of_text(text)


def _address(value: str, *schemes: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in schemes or not parts.netloc or parts.query or parts.fragment:
        raise ValueError(f"is not a valid URL; expected {' or '.join(f'{scheme}://<host>' for scheme in schemes)}")
    return value.rstrip("/")


def _plain(parse: Callable[[str], T], value: str) -> T:
    """Convert `InputError` to `ValueError`, which pydantic collects."""
    try:
        return parse(value)
    except InputError as error:
        raise ValueError(error.message) from error
