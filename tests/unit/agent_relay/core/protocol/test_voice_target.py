from __future__ import annotations

from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

import pytest

from agent_relay.core.protocol.voice_target import (
    MODES,
    ConnectRequest,
    Mode,
    TokenScope,
    VoiceTarget,
    connect_request,
    is_endpoint,
)

TOKENS = {TokenScope.AI: "ai-token", TokenScope.COGNITIVE_SERVICES: "cs-token"}
ENDPOINT = "https://res.services.ai.azure.com"
TARGETS = {
    Mode.AGENT: VoiceTarget(
        mode=Mode.AGENT,
        endpoint=ENDPOINT,
        api_version="2026-07-15",
        agent_name="front desk",
        agent_project_name="my project",
        agent_version="3",
    ),
    Mode.CLASSIC_AGENT: VoiceTarget(
        mode=Mode.CLASSIC_AGENT,
        endpoint=ENDPOINT,
        api_version="2026-01-01-preview",
        agent_id="asst_1",
        agent_project_name="p",
    ),
    Mode.VOICE_AGENT: VoiceTarget(
        mode=Mode.VOICE_AGENT,
        endpoint=ENDPOINT,
        api_version="v1",
        agent_name="front desk",
        agent_project_name="my project",
        agent_version="3",
    ),
    Mode.MODEL: VoiceTarget(mode=Mode.MODEL, endpoint=ENDPOINT, api_version="2026-07-15", model="gpt-realtime"),
    Mode.AZURE_OPENAI: VoiceTarget(
        mode=Mode.AZURE_OPENAI,
        endpoint="wss://res.cognitiveservices.azure.com/openai/realtime",
        api_version="2024-10-01-preview",
        deployment="gpt-4o-realtime-preview",
    ),
    Mode.AZURE_OPENAI_GA: VoiceTarget(
        mode=Mode.AZURE_OPENAI_GA, endpoint=ENDPOINT, api_version="v1", deployment="my realtime"
    ),
}


def _query(request: ConnectRequest) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(request.url).query, strict_parsing=True).items()}


def _request(target: VoiceTarget, conversation_id: str = "") -> ConnectRequest:
    return connect_request(target, TOKENS, request_id="req", conversation_id=conversation_id)


def test_an_agent_is_named_in_the_query_and_resumes_by_its_conversation() -> None:
    request = _request(TARGETS[Mode.AGENT], "conv_1")
    assert request.url.startswith("wss://res.services.ai.azure.com/voice-live/realtime?")
    assert _query(request) == {
        "api-version": "2026-07-15",
        "agent-name": "front desk",
        "agent-project-name": "my project",
        "agent-version": "3",
        "conversation-id": "conv_1",
    }
    assert request.headers == {"x-ms-client-request-id": "req", "Authorization": "Bearer ai-token"}


def test_unset_fields_are_not_sent() -> None:
    assert "conversation-id" not in _query(_request(TARGETS[Mode.AGENT]))


def test_a_classic_agent_needs_both_tokens() -> None:
    request = _request(TARGETS[Mode.CLASSIC_AGENT], "conv_1")
    assert _query(request) == {
        "api-version": "2026-01-01-preview",
        "agent-id": "asst_1",
        "agent-project-name": "p",
        "agent-access-token": "ai-token",
    }
    assert request.headers["Authorization"] == "Bearer cs-token"


def test_a_model_accepts_a_token_or_a_key() -> None:
    target = TARGETS[Mode.MODEL]
    assert _request(target).headers["Authorization"] == "Bearer ai-token"
    with_key = VoiceTarget(mode=Mode.MODEL, endpoint=ENDPOINT, api_version="2026-07-15", model="m", api_key="k")
    assert with_key.scopes() == ()
    request = connect_request(with_key, {}, request_id="req")
    assert request.headers == {"x-ms-client-request-id": "req", "api-key": "k"}
    assert _query(request) == {"api-version": "2026-07-15", "model": "m"}


def test_azure_openai_has_the_older_handshake() -> None:
    request = _request(TARGETS[Mode.AZURE_OPENAI])
    assert urlsplit(request.url).path == "/openai/realtime"
    assert _query(request) == {"api-version": "2024-10-01-preview", "deployment": "gpt-4o-realtime-preview"}
    assert request.headers["OpenAI-Beta"] == "realtime=v1"
    assert request.headers["Authorization"] == "Bearer cs-token"


def test_azure_openai_ga_has_its_version_in_the_path() -> None:
    request = _request(TARGETS[Mode.AZURE_OPENAI_GA])
    assert urlsplit(request.url).path == "/openai/v1/realtime"
    assert _query(request) == {"model": "my realtime"}
    assert request.headers == {"x-ms-client-request-id": "req", "Authorization": "Bearer cs-token"}


@pytest.mark.parametrize("endpoint", [ENDPOINT, f"{ENDPOINT}/api/projects/my%20project/"])
def test_a_voice_agent_is_named_in_the_path(endpoint: str) -> None:
    request = _request(replace(TARGETS[Mode.VOICE_AGENT], endpoint=endpoint), "conv_1")
    assert urlsplit(request.url)[:3] == (
        "wss",
        "res.services.ai.azure.com",
        "/api/projects/my%20project/agents/front%20desk/endpoint/protocols/voice",
    )
    assert _query(request) == {"api-version": "v1", "x-agent-version-override": "3"}
    assert request.headers == {
        "x-ms-client-request-id": "req",
        "Sec-WebSocket-Protocol": "realtime",
        "Foundry-Features": "VoiceAgents=V1Preview",
        "Authorization": "Bearer ai-token",
    }


def test_the_preview_header_can_be_left_out() -> None:
    request = _request(replace(TARGETS[Mode.VOICE_AGENT], features="", api_key="ignored"))
    assert "Foundry-Features" not in request.headers
    assert "api-key" not in request.headers


def test_only_voice_agents_greet_by_themselves() -> None:
    assert [mode for mode in Mode if TARGETS[mode].greets_itself] == [Mode.VOICE_AGENT]
    assert not replace(TARGETS[Mode.VOICE_AGENT], greets=False).greets_itself


@pytest.mark.parametrize("mode", list(Mode))
def test_query_keys_are_hyphenated(mode: Mode) -> None:
    assert not [key for key in _query(_request(TARGETS[mode], "c")) if "_" in key]


@pytest.mark.parametrize(
    ("endpoint", "begins"),
    [
        ("http://127.0.0.1:8091", "ws://127.0.0.1:8091/voice-live/realtime?"),
        ("ws://127.0.0.1:8091/", "ws://127.0.0.1:8091/voice-live/realtime?"),
        ("https://gate/prefix", "wss://gate/prefix/voice-live/realtime?"),
        ("wss://res/voice-live/realtime", "wss://res/voice-live/realtime?"),
        ("wss://res/voice-agent/realtime/", "wss://res/voice-live/realtime?"),
        ("wss://res/openai/v1/realtime", "wss://res/voice-live/realtime?"),
    ],
)
def test_any_scheme_and_prefix(endpoint: str, begins: str) -> None:
    target = VoiceTarget(mode=Mode.MODEL, endpoint=endpoint, api_version="2026-07-15", model="m")
    assert _request(target).url.startswith(begins)


def test_fixed_text_is_supported_from_its_version_on() -> None:
    def speaks(mode: Mode, version: str) -> bool:
        return VoiceTarget(mode=mode, endpoint="", api_version=version).speaks_fixed_text

    assert speaks(Mode.MODEL, "2026-01-01-preview")
    assert speaks(Mode.AGENT, "2026-07-15")
    assert not speaks(Mode.MODEL, "2025-10-01")
    assert not speaks(Mode.AZURE_OPENAI, "2026-07-15")


def test_every_mode_has_its_spec() -> None:
    assert set(MODES) == set(Mode)


@pytest.mark.parametrize(
    "text", ["", "res.azure.com", "ftp://res", "https://", "wss:///path", "https://a\udcff", "https://a b"]
)
def test_an_invalid_endpoint(text: str) -> None:
    assert not is_endpoint(text)


def test_each_mode_needs_the_tokens_of_its_scopes() -> None:
    def scopes(mode: Mode, key: str = "") -> tuple[TokenScope, ...]:
        return VoiceTarget(mode=mode, endpoint="https://res", api_version="2026-07-15", api_key=key).scopes()

    assert scopes(Mode.AGENT) == scopes(Mode.MODEL) == (TokenScope.AI,)
    assert scopes(Mode.CLASSIC_AGENT) == (TokenScope.COGNITIVE_SERVICES, TokenScope.AI)
    assert scopes(Mode.MODEL, key="k") == ()
    assert scopes(Mode.AGENT, key="k") == (TokenScope.AI,)
