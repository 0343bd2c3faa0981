"""Connection modes of voice sessions: all their differences are in the table `MODES`.

Query keys contain hyphens. If an agent's key contains underscores, the service reports `agent_initialization_failed`,
which looks like a missing role.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Final
from urllib.parse import quote, unquote, urlencode, urlsplit, urlunsplit

VOICE_LIVE: Final = "/voice-live/realtime"
VOICE_AGENT: Final = "/api/projects/{project}/agents/{agent}/endpoint/protocols/voice"
_KNOWN_PATHS: Final = (VOICE_LIVE, "/voice-agent/realtime", "/openai/realtime", "/openai/v1/realtime")
_PROJECT: Final = re.compile(r"/api/projects/([^/]+)$")
GA_VERSION: Final = "v1"
"""The api-version of Foundry voice agents, and the one that selects Azure OpenAI Realtime GA, where it is part of the
path.
"""
VOICE_AGENT_FEATURES: Final = "VoiceAgents=V1Preview"
"""Value of the header `Foundry-Features` that voice agents need while they are in preview."""
LAST_CLASSIC_VERSION: Final = "2026-01-01-preview"
"""The last api-version that accepts classic agents (`asst_…`)."""
FIRST_PRE_GENERATED_VERSION: Final = "2026-01-01-preview"


class Mode(StrEnum):
    AGENT = "agent"
    CLASSIC_AGENT = "classic_agent"
    VOICE_AGENT = "voice_agent"
    MODEL = "model"
    AZURE_OPENAI = "azure_openai"
    AZURE_OPENAI_GA = "azure_openai_ga"


class TokenScope(StrEnum):
    """Selects one of the two configured token scopes."""

    AI = "ai"
    COGNITIVE_SERVICES = "cognitive_services"


@dataclass(frozen=True, slots=True, kw_only=True)
class VoiceTarget:
    """A resource and the agent or model to use there. Only the fields of its mode are used."""

    mode: Mode
    endpoint: str
    """http(s) or ws(s) URL; a known path of the service at its end is ignored."""
    api_version: str
    agent_name: str = ""
    agent_project_name: str = ""
    agent_version: str = ""
    agent_id: str = ""
    model: str = ""
    deployment: str = ""
    api_key: str = field(default="", repr=False)
    """API key of the resource, in model modes only; agent modes require tokens."""
    features: str = VOICE_AGENT_FEATURES
    """Header `Foundry-Features`; "": it is not sent."""
    greets: bool = True
    """Whether the definition of a voice agent has a greeting, which the service speaks by itself in each session."""
    sends_tools: bool = False
    """Whether the relay sends its function tools to a voice agent; otherwise they are part of the definition."""

    @property
    def spec(self) -> ModeSpec:
        return MODES[self.mode]

    @property
    def speaks_fixed_text(self) -> bool:
        """Whether this api-version supports `pre_generated_assistant_message`."""
        return self.spec.pre_generated and version_date(self.api_version) >= version_date(FIRST_PRE_GENERATED_VERSION)

    @property
    def credential(self) -> str:
        """Identifies what the resource authorizes: the API key, or the relay's identity for this project."""
        used = [self.api_key if self.spec.takes_key else "", self.agent_project_name, *self.scopes()]
        return hashlib.sha256("\0".join(used).encode()).hexdigest()[:12]

    @property
    def greets_itself(self) -> bool:
        return self.spec.defined and self.greets

    def scopes(self) -> tuple[TokenScope, ...]:
        """Return the scopes of the tokens that a connection needs; none if an API key is used."""
        if self.api_key and self.spec.takes_key:
            return ()
        extra = self.spec.query_token
        return (self.spec.header_token,) if extra is None else (self.spec.header_token, extra)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModeSpec:
    path: str
    """With the placeholders `project` and `agent`."""
    default_version: str
    header_token: TokenScope
    query_token: TokenScope | None = None
    """Scope of the token in the query (`agent-access-token`)."""
    query: Callable[[VoiceTarget], Mapping[str, str]]
    headers: tuple[tuple[str, str], ...] = ()
    """Headers of the mode. `Foundry-Features` is added from the target."""
    takes_key: bool = False
    agent: bool = False
    """Whether the instructions belong to the agent."""
    runs_tools: bool = False
    """Whether the service runs the tools of the agent. A session.update with tools is then rejected."""
    defined: bool = False
    """Whether the service configures the session by itself, from the definition of a voice agent."""
    azure_voices: bool = True
    """Whether Azure voices, turn detection, noise suppression and echo cancellation are supported."""
    resumes: bool = False
    """Whether a conversation can be resumed by `conversation-id`; otherwise its history is sent again."""
    pre_generated: bool = True
    ga: bool = False
    """Whether the messages are those of the OpenAI Realtime API GA: a nested session object, `output_text` parts."""


MODES: Final[Mapping[Mode, ModeSpec]] = MappingProxyType(
    {
        Mode.AGENT: ModeSpec(
            path=VOICE_LIVE,
            default_version="2026-07-15",
            header_token=TokenScope.AI,
            query=lambda t: {
                "agent-name": t.agent_name,
                "agent-project-name": t.agent_project_name,
                "agent-version": t.agent_version,
            },
            agent=True,
            runs_tools=True,
            resumes=True,
        ),
        Mode.CLASSIC_AGENT: ModeSpec(
            path=VOICE_LIVE,
            default_version=LAST_CLASSIC_VERSION,
            header_token=TokenScope.COGNITIVE_SERVICES,
            query_token=TokenScope.AI,
            query=lambda t: {"agent-id": t.agent_id, "agent-project-name": t.agent_project_name},
            agent=True,
            runs_tools=True,
        ),
        Mode.VOICE_AGENT: ModeSpec(
            path=VOICE_AGENT,
            default_version=GA_VERSION,
            header_token=TokenScope.AI,
            query=lambda t: {"api-version": t.api_version, "x-agent-version-override": t.agent_version},
            headers=(("Sec-WebSocket-Protocol", "realtime"),),
            agent=True,
            defined=True,
            pre_generated=False,
            ga=True,
        ),
        Mode.MODEL: ModeSpec(
            path=VOICE_LIVE,
            default_version="2026-07-15",
            header_token=TokenScope.AI,
            query=lambda t: {"model": t.model},
            takes_key=True,
        ),
        Mode.AZURE_OPENAI: ModeSpec(
            path="/openai/realtime",
            default_version="2024-10-01-preview",
            header_token=TokenScope.COGNITIVE_SERVICES,
            query=lambda t: {"deployment": t.deployment},
            headers=(("OpenAI-Beta", "realtime=v1"),),
            takes_key=True,
            azure_voices=False,
            pre_generated=False,
        ),
        Mode.AZURE_OPENAI_GA: ModeSpec(
            path="/openai/v1/realtime",
            default_version=GA_VERSION,
            header_token=TokenScope.COGNITIVE_SERVICES,
            query=lambda t: {"model": t.deployment},
            takes_key=True,
            azure_voices=False,
            pre_generated=False,
            ga=True,
        ),
    }
)


@dataclass(frozen=True, slots=True)
class ConnectRequest:
    url: str
    headers: Mapping[str, str]


def connect_request(
    target: VoiceTarget, tokens: Mapping[TokenScope, str], *, request_id: str, conversation_id: str = ""
) -> ConnectRequest:
    """Return the URL and headers of a connection. `tokens`: one for each of `target.scopes()`. `request_id` identifies
    the connection for Azure support.
    """
    spec = target.spec
    query = {"api-version": "" if spec.ga else target.api_version, **spec.query(target)}
    if spec.query_token is not None:
        query["agent-access-token"] = tokens[spec.query_token]
    if spec.resumes:
        query["conversation-id"] = conversation_id
    headers = {"x-ms-client-request-id": request_id, **dict(spec.headers)}
    if spec.defined and target.features:
        headers["Foundry-Features"] = target.features
    if target.scopes():
        headers["Authorization"] = f"Bearer {tokens[spec.header_token]}"
    else:
        headers["api-key"] = target.api_key
    project, agent = (quote(name, safe="") for name in (target.agent_project_name, target.agent_name))
    path = spec.path.format(project=project, agent=agent)
    return ConnectRequest(_url(target.endpoint, path, {k: v for k, v in query.items() if v}), headers)


def _url(endpoint: str, path: str, query: Mapping[str, str]) -> str:
    parts = urlsplit(endpoint)
    scheme = {"http": "ws", "https": "wss"}.get(parts.scheme, parts.scheme)
    prefix = parts.path.rstrip("/")
    for known in _KNOWN_PATHS:
        prefix = prefix.removesuffix(known)
    prefix = _PROJECT.sub("", prefix)
    return urlunsplit((scheme, parts.netloc, prefix + path, urlencode(query), ""))


def is_endpoint(text: str) -> bool:
    parts = urlsplit(text)
    if not text.isprintable() or " " in text:
        return False
    return parts.scheme in ("http", "https", "ws", "wss") and bool(parts.hostname)


def project_of(endpoint: str) -> str:
    """Return the project of a project endpoint (`…/api/projects/NAME`), "" for the endpoint of a resource."""
    found = _PROJECT.search(urlsplit(endpoint).path.rstrip("/"))
    return unquote(found.group(1)) if found else ""


_VERSION: Final = re.compile(r"(\d{4})-(\d{2})-(\d{2})(-preview)?")


def is_version(text: str) -> bool:
    return _VERSION.fullmatch(text) is not None


def version_date(text: str) -> str:
    """Return the sort key of an api-version."""
    return text[:10]
