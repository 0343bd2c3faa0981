"""Handshakes: authentication, kind of session, and errors."""

from __future__ import annotations

import time

import pytest

from lab.identity import DEFAULT_SECRET, IssuedToken, mint_token
from lab.voice_live.handshake import (
    AI_AUDIENCE,
    COGNITIVE_AUDIENCE,
    AgentMode,
    Credentials,
    HandshakeError,
    HandshakeRequest,
    Mode,
    ModelMode,
    VoiceAgentMode,
    admit,
)
from lab.voice_live.server_events import RefusedError

NOW = time.time()
CREDENTIALS = Credentials(("key-1",), DEFAULT_SECRET, allow_any_bearer=False, now_s=NOW)
PATH = "/voice-live/realtime"
V = {"api-version": "2026-07-15"}
MODEL = V | {"model": "gpt-realtime"}
NEW_AGENT = V | {"agent-name": "clerk", "agent-project-name": "my project"}
CLASSIC = {"api-version": "2025-05-01-preview", "agent-id": "asst_1", "agent-project-name": "p"}


def bearer(audience: str, lifetime_s: int = 600) -> str:
    return mint_token(IssuedToken(audience, "app", int(NOW) + lifetime_s), DEFAULT_SECRET, NOW)


def with_token(audience: str = AI_AUDIENCE, lifetime_s: int = 600) -> dict[str, str]:
    return {"authorization": f"Bearer {bearer(audience, lifetime_s)}"}


WITH_KEY = {"api-key": "key-1"}


def handshake(query: dict[str, str], headers: dict[str, str], path: str = PATH) -> Mode | RefusedError:
    return admit(HandshakeRequest(path, query, headers), CREDENTIALS)


@pytest.mark.parametrize("path", [PATH, "/voice-agent/realtime", "/some/prefix/voice-live/realtime"])
def test_model_mode_by_key_or_either_token_on_any_prefix(path: str) -> None:
    for headers in (WITH_KEY, with_token(AI_AUDIENCE), with_token(COGNITIVE_AUDIENCE)):
        assert handshake(MODEL, headers, path) == ModelMode("gpt-realtime", "2026-07-15")
    assert handshake(MODEL | {"api-key": "key-1"}, {}, path) == ModelMode("gpt-realtime", "2026-07-15")
    assert isinstance(handshake(MODEL | {"Authorization": f"Bearer {bearer(AI_AUDIENCE)}"}, {}, path), ModelMode)


@pytest.mark.parametrize(
    ("query", "headers", "path", "status"),
    [
        (MODEL, {}, PATH, 401),
        (MODEL, {"api-key": "wrong"}, PATH, 401),
        (MODEL, {"authorization": "Bearer nonsense"}, PATH, 401),
        (MODEL, with_token(lifetime_s=-5), PATH, 401),
        (MODEL, with_token("https://vault.azure.net"), PATH, 401),
        (NEW_AGENT, {}, PATH, 401),
        (MODEL, WITH_KEY, "/voice-live/other", 404),
        ({"model": "gpt-realtime"}, WITH_KEY, PATH, 404),
        ({"api-version": "2019-01-01", "model": "gpt-realtime"}, WITH_KEY, PATH, 404),
        ({"api-version": "2024-10-01-preview"}, WITH_KEY, "/openai/realtime", 404),
        ({"api-version": "soon", "deployment": "d"}, WITH_KEY, "/openai/realtime", 404),
        ({"api-version": "2024-10-01-preview", "deployment": "d"}, {}, "/openai/realtime", 401),
    ],
)
def test_the_handshake_itself_fails(query: dict[str, str], headers: dict[str, str], path: str, status: int) -> None:
    with pytest.raises(HandshakeError) as failure:
        handshake(query, headers, path)
    assert failure.value.status == status


def test_new_agents_by_token() -> None:
    asked = NEW_AGENT | {"agent-version": "3", "conversation-id": "conv_9", "model": "nonsense", "unknown": "x"}
    expected = AgentMode("clerk", "my project", "2026-07-15", version="3", conversation_id="conv_9")
    assert handshake(asked, with_token()) == expected


def test_classic_agents_on_the_versions_that_know_them() -> None:
    expected = AgentMode("asst_1", "p", "2025-05-01-preview", classic=True)
    assert handshake(CLASSIC, with_token()) == expected
    both = CLASSIC | {"agent-access-token": bearer(AI_AUDIENCE)}
    assert handshake(both, with_token(COGNITIVE_AUDIENCE)) == expected
    underscored = {"api-version": CLASSIC["api-version"], "agent_id": "asst_1", "agent-project-name": "p"}
    assert (
        handshake(underscored | {"agent_access_token": bearer(AI_AUDIENCE)}, with_token(COGNITIVE_AUDIENCE)) == expected
    )


@pytest.mark.parametrize(
    ("query", "headers", "message"),
    [
        (NEW_AGENT, WITH_KEY, "Key authentication is not supported in Agent mode"),
        (NEW_AGENT, with_token(COGNITIVE_AUDIENCE), "Authentication error to AI Agent service: Unauthorized"),
        (CLASSIC, with_token(COGNITIVE_AUDIENCE), "Authentication error to AI Agent service: Unauthorized"),
        (V | {"agent-name": "clerk"}, with_token(), "Missing required agent project name"),
        (V | {"agent-name": "a", "agent_project_name": "p"}, with_token(), "Missing required agent project name"),
        (
            {"api-version": "2025-10-01", "agent-id": "asst_1"},
            with_token(),
            "Missing required agent connection string or project name",
        ),
        (
            V | {"agent-id": "asst_1", "agent-project-name": "p"},
            with_token(),
            "Classic foundry agent is not supported in API version 2026-04-10 and above",
        ),
        (V, WITH_KEY, "Missing required query parameter: model"),
        (V | {"model": "gpt-9"}, WITH_KEY, "Model gpt-9 is not supported in this region"),
        (NEW_AGENT | {"api-version": "2025-10-01"}, with_token(), "Missing required query parameter: model"),
    ],
)
def test_wrong_parameters_come_as_an_error_on_the_open_socket(
    query: dict[str, str], headers: dict[str, str], message: str
) -> None:
    refused = handshake(query, headers)
    assert isinstance(refused, RefusedError)
    assert refused.message == message
    assert refused.fatal


@pytest.mark.parametrize(
    "query", [NEW_AGENT | {"agent-name": "clerk:3"}, V | {"agent_name": "a", "agent-project-name": "p"}]
)
def test_misspelled_agents_are_refused_like_a_missing_role(query: dict[str, str]) -> None:
    refused = handshake(query, with_token())
    assert isinstance(refused, RefusedError)
    assert refused.code == "agent_initialization_failed"


def test_a_deployment_of_ones_own_may_have_any_name() -> None:
    asked = V | {"model": "my-deployment", "profile": "byom-azure-openai-realtime"}
    assert handshake(asked, WITH_KEY) == ModelMode("my-deployment", "2026-07-15", deployed=True)


def test_the_handshake_of_azure_openai_realtime() -> None:
    asked = {"api-version": "2024-10-01-preview", "deployment": "gpt-4o-realtime-preview"}
    mode = handshake(asked, WITH_KEY | {"openai-beta": "realtime=v1"}, "/openai/realtime")
    assert mode == ModelMode("gpt-4o-realtime-preview", "2024-10-01-preview", openai=True)
    with pytest.raises(HandshakeError) as failure:
        handshake(asked, WITH_KEY | {"openai-beta": "realtime=v2"}, "/openai/realtime")
    assert failure.value.status == 400


def test_any_bearer_passes_where_the_resource_is_set_to_allow_it() -> None:
    lenient = Credentials(("key-1",), DEFAULT_SECRET, allow_any_bearer=True, now_s=NOW)
    headers = {"authorization": "Bearer whatever"}
    assert isinstance(admit(HandshakeRequest(PATH, NEW_AGENT, headers), lenient), AgentMode)
    assert isinstance(admit(HandshakeRequest(PATH, MODEL, headers), lenient), ModelMode)


GA_PATH = "/openai/v1/realtime"


def test_the_handshake_of_azure_openai_realtime_ga() -> None:
    assert handshake({"model": "my-realtime"}, WITH_KEY, GA_PATH) == ModelMode(
        "my-realtime", "v1", openai=True, ga=True
    )
    assert isinstance(handshake({"model": "m"}, with_token(COGNITIVE_AUDIENCE), GA_PATH), ModelMode)


@pytest.mark.parametrize("path", [GA_PATH, "/v1/realtime"])
def test_clients_made_for_openai_send_the_key_as_the_bearer(path: str) -> None:
    assert handshake({"model": "m"}, {"authorization": "Bearer key-1"}, path) == ModelMode(
        "m", "v1", openai=True, ga=True
    )
    for headers, elsewhere in (({"authorization": "Bearer key-2"}, path), ({"authorization": "Bearer key-1"}, PATH)):
        with pytest.raises(HandshakeError) as failure:
            handshake(V | {"model": "gpt-4o"} if elsewhere == PATH else {"model": "m"}, headers, elsewhere)
        assert failure.value.status == 401


@pytest.mark.parametrize(
    ("query", "headers", "status"),
    [
        ({"model": "m"}, {}, 401),
        ({"deployment": "m"}, WITH_KEY, 404),
        ({"model": "m", "api-version": "2025-04-01-preview"}, WITH_KEY, 400),
        ({"model": "m"}, WITH_KEY | {"openai-beta": "realtime=v1"}, 400),
    ],
)
def test_a_handshake_that_ga_refuses(query: dict[str, str], headers: dict[str, str], status: int) -> None:
    with pytest.raises(HandshakeError) as failure:
        handshake(query, headers, GA_PATH)
    assert failure.value.status == status


VOICE = "/api/projects/my%20project/agents/front%20desk/endpoint/protocols/voice"
VOICE_HEADERS = {"foundry-features": "VoiceAgents=V1Preview", "sec-websocket-protocol": "realtime"}


@pytest.mark.parametrize("path", [VOICE, f"/prefix{VOICE}"])
def test_a_voice_agent_is_named_in_the_path(path: str) -> None:
    query = {"api-version": "v1", "x-agent-version-override": "3"}
    found = handshake(query, with_token() | VOICE_HEADERS, path)
    assert found == VoiceAgentMode("front desk", "my project", "v1", "3")
    in_query = {"api-version": "v1", "foundry_features": "VoiceAgents=V1Preview"}
    protocol = {"sec-websocket-protocol": "realtime"}
    assert isinstance(handshake(in_query, with_token() | protocol, path), VoiceAgentMode)


@pytest.mark.parametrize(
    ("query", "headers", "status"),
    [
        ({"api-version": "v1"}, WITH_KEY | VOICE_HEADERS, 401),
        ({"api-version": "v1"}, with_token(COGNITIVE_AUDIENCE) | VOICE_HEADERS, 401),
        ({"api-version": "v1"}, with_token(lifetime_s=-1) | VOICE_HEADERS, 401),
        (V, with_token() | VOICE_HEADERS, 400),
        ({}, with_token() | VOICE_HEADERS, 400),
        ({"api-version": "v1"}, with_token() | VOICE_HEADERS | {"foundry-features": "Other=V1"}, 403),
        ({"api-version": "v1"}, with_token() | VOICE_HEADERS | {"sec-websocket-protocol": "chat"}, 400),
    ],
)
def test_a_handshake_that_a_voice_agent_refuses(query: dict[str, str], headers: dict[str, str], status: int) -> None:
    with pytest.raises(HandshakeError) as caught:
        handshake(query, headers, VOICE)
    assert caught.value.status == status
