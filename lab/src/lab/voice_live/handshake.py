"""Authenticates WebSocket handshakes and selects the kind of session from query and headers. No I/O.

Sources: Voice Live API reference 2026-07-15 and its how-to pages (query parameters, agent mode, scopes). An invalid
credential, path or version is rejected with an HTTP status; invalid agent or model parameters are reported by an
`error` event after the handshake.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar
from urllib.parse import unquote

from lab.identity import TokenError, read_token
from lab.voice_live.server_events import RefusedError

API_VERSIONS = (
    "2025-05-01-preview",
    "2025-10-01",
    "2026-01-01-preview",
    "2026-04-10",
    "2026-04-15",
    "2026-06-01-preview",
    "2026-07-15",
)
LAST_WITH_CLASSIC_AGENTS = "2026-01-01-preview"
FIRST_WITH_NEW_AGENTS = "2026-01-01-preview"
AI_AUDIENCE = "https://ai.azure.com"
COGNITIVE_AUDIENCE = "https://cognitiveservices.azure.com"

NATIVE_MODELS = frozenset(
    {"azure-realtime", "phi4-mm-realtime"}
    | {f"gpt-realtime{suffix}" for suffix in ("", "-mini", "-1.5", "-2", "-2.1", "-2.1-mini")}
)
CASCADED_MODELS = frozenset(
    [
        "gpt-4o",
        "gpt-4o-mini",
        "gpt-4.1",
        "gpt-4.1-mini",
        "gpt-4.1-nano",
        "gpt-5",
        "gpt-5-chat",
        "gpt-5-mini",
        "gpt-5-nano",
        "gpt-5.1",
        "gpt-5.2",
        "gpt-5.4",
        "gpt-5.6-terra",
        "gpt-5.6-luna",
        "phi4-mini",
    ]
)
VOICE_AGENT_FEATURE = "VoiceAgents=V1Preview"
_VOICE_AGENT = re.compile(r"/api/projects/([^/]+)/agents/([^/]+)/endpoint/protocols/voice$")
_DATE = re.compile(r"20[0-9]{2}-[0-9]{2}-[0-9]{2}(-preview)?")


class HandshakeError(Exception):
    """Rejects the upgrade with this HTTP status instead of 101."""

    def __init__(self, status: int, reason: str, retry_after_s: int = 0, *, code: str = "") -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason
        self.code = code or str(status)
        self.headers = {"Retry-After": str(retry_after_s)} if retry_after_s else {}


@dataclass(frozen=True)
class AgentMode:
    """A session with a Foundry agent. `classic` agents (ids `asst_…`) cannot resume a conversation."""

    native: ClassVar[bool] = False
    openai: ClassVar[bool] = False
    ga: ClassVar[bool] = False

    name: str
    project: str
    api_version: str
    classic: bool = False
    version: str | None = None
    conversation_id: str | None = None

    @property
    def reported_name(self) -> str:
        """The value of `session.model` for an agent."""
        return self.name

    @property
    def given_name(self) -> str:
        return self.name

    @property
    def marks_phases(self) -> bool:
        return False


@dataclass(frozen=True)
class VoiceAgentMode:
    """A session with a Foundry voice agent (`kind: voice`), whose definition configures it."""

    native: ClassVar[bool] = False
    openai: ClassVar[bool] = False
    ga: ClassVar[bool] = True
    marks_phases: ClassVar[bool] = False

    name: str
    project: str
    api_version: str
    version: str | None = None

    @property
    def reported_name(self) -> str:
        return "gpt-4.1"

    @property
    def given_name(self) -> str:
        return self.name


@dataclass(frozen=True)
class ModelMode:
    """A session with a model.

    `openai`: Azure OpenAI Realtime instead of Voice Live; `ga`: its GA version; `deployed`: a deployment of the
    customer (`profile` in the query).
    """

    model: str
    api_version: str
    openai: bool = False
    ga: bool = False
    deployed: bool = False

    @property
    def reported_name(self) -> str:
        """The value of `session.model`: Voice Live appends a suffix to the names of its own native models."""
        decorated = self.model.startswith("gpt-realtime") and not self.openai and not self.deployed
        return f"{self.model}-global-standard" if decorated else self.model

    @property
    def given_name(self) -> str:
        return self.model

    @property
    def marks_phases(self) -> bool:
        return self.model.startswith("gpt-realtime-2") and not self.openai

    @property
    def native(self) -> bool:
        """Whether the model processes audio itself; otherwise Azure transcribes and speaks for it."""
        return self.openai or self.model in NATIVE_MODELS or "realtime" in self.model


Mode = AgentMode | VoiceAgentMode | ModelMode


@dataclass(frozen=True)
class Credentials:
    """The credentials that the resource accepts. `now_s`: the time for token checks, in Unix seconds."""

    api_keys: tuple[str, ...]
    identity_secret: str
    allow_any_bearer: bool
    now_s: float

    def is_key(self, given: str) -> bool:
        return any(hmac.compare_digest(given.encode(), key.encode()) for key in self.api_keys)

    def audience(self, bearer: str) -> str | None:
        """Return the audience of a bearer token, `"*"` for any, `None` for an invalid token."""
        if self.allow_any_bearer and bearer:
            return "*"
        try:
            return read_token(bearer, self.identity_secret, self.now_s).audience
        except TokenError:
            return None


@dataclass(frozen=True)
class HandshakeRequest:
    """One handshake: path, query (decoded, one value for each key) and headers (lower-case names)."""

    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]

    @property
    def bearer(self) -> str | None:
        given = self.headers.get("authorization") or self.query.get("Authorization") or ""
        scheme, _, token = given.partition(" ")
        return token.strip() if scheme.lower() == "bearer" else None

    @property
    def script(self) -> str | None:
        """The agent script that the connection selects; an extension of the simulator."""
        return self.headers.get("x-lab-agent") or self.query.get("lab-agent")

    @property
    def api_key(self) -> str | None:
        return self.headers.get("api-key") or self.query.get("api-key")


def admit(handshake: HandshakeRequest, credentials: Credentials) -> Mode | RefusedError:
    """Return the kind of session, or the `error` event that is sent before the socket is closed. Raises
    `HandshakeError` if the upgrade must be rejected.
    """
    if (found := _VOICE_AGENT.search(handshake.path)) is not None:
        return _admit_voice_agent(handshake, credentials, *map(unquote, found.groups()))
    if handshake.path.endswith("/v1/realtime"):
        # The path on Azure begins with `/openai`; clients for OpenAI itself use only `/v1/realtime`.
        _authenticated(handshake, credentials, key_as_bearer=True)
        return _admit_openai_ga(handshake)
    openai = handshake.path.endswith("/openai/realtime")
    if not openai and not handshake.path.endswith(("/voice-live/realtime", "/voice-agent/realtime")):
        raise HandshakeError(404, "Resource not found")
    api_version = handshake.query.get("api-version", "")
    if api_version not in API_VERSIONS and not (openai and _DATE.fullmatch(api_version)):
        raise HandshakeError(404, f"API version not supported: {api_version or 'missing'}")
    audience = _authenticated(handshake, credentials)
    if openai:
        return _admit_openai(handshake, api_version)
    if _wants_agent(handshake.query, api_version):
        return _admit_agent(handshake, api_version, credentials, audience)
    return _admit_model(handshake.query, api_version)


def _authenticated(handshake: HandshakeRequest, credentials: Credentials, *, key_as_bearer: bool = False) -> str | None:
    """Check the credentials. Return the audience of the bearer token, or `None` if the key was used. Raises
    `HandshakeError`.

    `key_as_bearer`: also accept the key as bearer token, as clients for OpenAI send it.
    """
    if key_as_bearer and credentials.is_key(handshake.bearer or ""):
        return None
    audience = None if handshake.bearer is None else credentials.audience(handshake.bearer)
    if handshake.bearer is not None and audience not in {AI_AUDIENCE, COGNITIVE_AUDIENCE, "*"}:
        raise HandshakeError(401, "Access denied: the bearer token is invalid, expired or for another audience")
    if handshake.bearer is None:
        given = handshake.api_key
        if given is None:
            raise HandshakeError(401, "Access denied: neither api-key nor Authorization was given")
        if not credentials.is_key(given):
            raise HandshakeError(401, "Access denied due to invalid subscription key")
    return audience


def _admit_voice_agent(
    handshake: HandshakeRequest, credentials: Credentials, project: str, agent: str
) -> VoiceAgentMode:
    """Source: the client of `azure-ai-projects` 2.10.0. The order and the statuses of the checks are not documented."""
    if handshake.bearer is None:
        raise HandshakeError(401, "Access denied: voice agents accept tokens only")
    if credentials.audience(handshake.bearer) not in {AI_AUDIENCE, "*"}:
        raise HandshakeError(401, "Access denied: the bearer token is invalid, expired or for another audience")
    version = handshake.query.get("api-version", "")
    if version != "v1":
        raise HandshakeError(400, f"API version not supported: {version or 'missing'}")
    features = handshake.headers.get("foundry-features") or handshake.query.get("foundry_features") or ""
    if VOICE_AGENT_FEATURE not in features.replace(" ", "").split(","):
        raise HandshakeError(403, f"Voice agents are in preview; set Foundry-Features: {VOICE_AGENT_FEATURE}")
    if "realtime" not in handshake.headers.get("sec-websocket-protocol", "").replace(" ", "").split(","):
        raise HandshakeError(400, "Sec-WebSocket-Protocol must be realtime")
    return VoiceAgentMode(agent, project, version, handshake.query.get("x-agent-version-override"))


def _admit_openai(handshake: HandshakeRequest, api_version: str) -> Mode:
    if handshake.headers.get("openai-beta", "realtime=v1") != "realtime=v1":
        raise HandshakeError(400, "OpenAI-Beta must be realtime=v1")
    deployment = handshake.query.get("deployment")
    if not deployment:
        raise HandshakeError(404, "DeploymentNotFound: the query has no deployment")
    return ModelMode(deployment, api_version, openai=True)


def _admit_openai_ga(handshake: HandshakeRequest) -> Mode:
    """Return the kind of session for the GA version: the version is part of the path, and `model` in the query is the
    name of the deployment.
    """
    if _DATE.fullmatch(handshake.query.get("api-version", "")):
        raise HandshakeError(400, "api-version query parameter is not allowed when using /v1 path")
    if "openai-beta" in handshake.headers:
        raise HandshakeError(400, "OpenAI-Beta is not supported by the GA version; remove the header")
    deployment = handshake.query.get("model")
    if not deployment:
        raise HandshakeError(404, "DeploymentNotFound: the query has no model")
    return ModelMode(deployment, "v1", openai=True, ga=True)


def _admit_model(query: Mapping[str, str], api_version: str) -> Mode | RefusedError:
    model = query.get("model")
    if not model:
        return RefusedError("Missing required query parameter: model", param="model", fatal=True)
    if "profile" not in query and model not in NATIVE_MODELS | CASCADED_MODELS:
        return RefusedError(f"Model {model} is not supported in this region", param="model", fatal=True)
    return ModelMode(model, api_version, deployed="profile" in query)


def _wants_agent(query: Mapping[str, str], api_version: str) -> bool:
    """Whether the query selects an agent. Versions older than the new agents ignore `agent-name`, like any
    unknown key.
    """
    if "agent-name" in query or "agent_name" in query:
        return api_version >= FIRST_WITH_NEW_AGENTS
    return "agent-id" in query or "agent_id" in query


def _admit_agent(
    handshake: HandshakeRequest, api_version: str, credentials: Credentials, audience: str | None
) -> Mode | RefusedError:
    query = handshake.query
    if audience is None:
        return RefusedError("Key authentication is not supported in Agent mode", fatal=True)
    classic = "agent-name" not in query and "agent_name" not in query
    if classic and api_version > LAST_WITH_CLASSIC_AGENTS:
        text = "Classic foundry agent is not supported in API version 2026-04-10 and above"
        return RefusedError(text, fatal=True)
    project = query.get("agent-project-name")
    if not project and not (classic and "agent-connection-string" in query):
        hub = "agent connection string or project name" if classic and "agent_project_name" not in query else None
        return RefusedError(f"Missing required {hub or 'agent project name'}", fatal=True)
    agent_audience = audience
    if classic and (own_token := query.get("agent-access-token") or query.get("agent_access_token")):
        agent_audience = credentials.audience(own_token) or ""
    if agent_audience not in {AI_AUDIENCE, "*"}:
        return RefusedError("Authentication error to AI Agent service: Unauthorized", fatal=True)
    name = query.get("agent-id") or query.get("agent_id") if classic else query.get("agent-name")
    if not name or ":" in name:
        # Current keys with underscores, and `name:version`, fail with the error of a missing role.
        return RefusedError("Failed to initialize the agent", "agent_initialization_failed", fatal=True)
    if classic:
        return AgentMode(name, project or "", api_version, classic=True)
    return AgentMode(
        name,
        project or "",
        api_version,
        version=query.get("agent-version"),
        conversation_id=query.get("conversation-id"),
    )
