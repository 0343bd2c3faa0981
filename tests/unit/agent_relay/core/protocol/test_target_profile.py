from __future__ import annotations

from dataclasses import replace

import pytest
from pydantic import ValidationError

from agent_relay.core.protocol.target_profile import TargetProfile, voice_targets
from agent_relay.core.protocol.voice_target import Mode, TokenScope, VoiceTarget

DEFAULTS = [
    VoiceTarget(
        mode=Mode.MODEL, endpoint=f"https://{name}.azure.com", api_version="x", model="m", api_key=f"key-{name}"
    )
    for name in ("one", "two")
]
SECRETS = {"OTHER_KEY": "key-other"}


def _targets(**fields: object) -> tuple[VoiceTarget, ...]:
    return voice_targets(TargetProfile.model_validate(fields), DEFAULTS, SECRETS)


def test_without_a_target_it_is_that_of_the_settings() -> None:
    assert voice_targets(None, DEFAULTS, SECRETS) == tuple(DEFAULTS)


@pytest.mark.parametrize(
    ("fields", "mode", "version"),
    [
        ({"agent": "a", "project": "p", "agent_version": "3"}, Mode.AGENT, "2026-07-15"),
        ({"classic_agent": "asst_1", "project": "p"}, Mode.CLASSIC_AGENT, "2026-01-01-preview"),
        ({"voice_agent": "a", "project": "p", "agent_version": "3"}, Mode.VOICE_AGENT, "v1"),
        ({"model": "gpt-realtime"}, Mode.MODEL, "2026-07-15"),
        ({"model": "gpt-realtime", "api_version": "2025-10-01"}, Mode.MODEL, "2025-10-01"),
        ({"azure_openai_deployment": "d"}, Mode.AZURE_OPENAI, "2024-10-01-preview"),
        ({"azure_openai_deployment": "d", "api_version": "v1"}, Mode.AZURE_OPENAI_GA, "v1"),
    ],
)
def test_each_mode_at_the_resources_of_the_settings(fields: dict[str, str], mode: Mode, version: str) -> None:
    found = _targets(**fields)
    assert [(one.mode, one.api_version) for one in found] == [(mode, version)] * 2
    assert [(one.endpoint, one.api_key) for one in found] == [(one.endpoint, one.api_key) for one in DEFAULTS]
    names = {
        *(found[0].agent_name, found[0].agent_id, found[0].model, found[0].deployment),
        *(found[0].agent_project_name, found[0].agent_version),
    }
    assert names - {""} == {value for name, value in fields.items() if name != "api_version"}


def test_own_resources_have_their_own_key_or_need_tokens() -> None:
    [one] = _targets(model="m", endpoint="https://other.azure.com", api_key_secret="OTHER_KEY")
    assert (one.endpoint, one.api_key, one.scopes()) == ("https://other.azure.com", "key-other", ())
    pool = _targets(model="m", endpoint=["https://a.azure.com", "https://b.azure.com"])
    assert [one.api_key for one in pool] == ["", ""]
    assert all(one.scopes() for one in pool)


@pytest.mark.parametrize(
    ("fields", "fault"),
    [
        ({}, "needs one of agent, classic_agent, voice_agent, model, azure_openai_deployment"),
        ({"voice_agent": "a"}, "`project` is missing; voice_agent needs it"),
        ({"voice_agent": "a:2", "project": "p"}, "`voice_agent` contains a colon"),
        ({"model": "m", "greets": False}, "`greets` has no effect with model"),
        ({"agent": "a", "project": "p", "send_tools": True}, "`send_tools` has no effect with agent"),
        (
            {"voice_agent": "a", "project": "p", "endpoint": "https://x.azure.com/api/projects/q"},
            "`endpoint` https://x.azure.com/api/projects/q is that of another project",
        ),
        (
            {"voice_agent": "a", "project": "p", "endpoint": "https://x.azure.com", "api_key_secret": "K"},
            "`api_key_secret` must not be set with voice_agent",
        ),
        ({"agent": "a", "model": "m", "project": "p"}, "has agent and model; keep one"),
        ({"agent": "a"}, "`project` is missing; agent needs it"),
        ({"classic_agent": "asst_1"}, "`project` is missing; classic_agent needs it"),
        ({"model": "m", "project": "p"}, "`project` has no effect with model; remove it"),
        ({"model": "m", "agent_version": "1"}, "`agent_version` has no effect with model; remove it"),
        ({"agent": "a:3", "project": "p"}, "set the version in `agent_version`"),
        (
            {"agent": "a", "project": "p", "endpoint": "https://x.azure.com", "api_key_secret": "K"},
            "`api_key_secret` must not be set with agent",
        ),
        ({"model": "m", "api_key_secret": "K"}, "`api_key_secret` needs exactly one `endpoint`"),
        ({"model": "m", "endpoint": "other"}, "`endpoint` other is not a valid URL"),
        ({"model": "m", "endpoint": ["https://x.com", "https://x.com/"]}, "contains the same resource twice"),
        ({"model": "m", "api_version": "v1"}, "must be a date like 2026-07-15"),
        ({"classic_agent": "a", "project": "p", "api_version": "2026-07-15"}, "must not be later than"),
        ({"agent": "a", "project": "p", "api_version": "2025-10-01"}, "or later with agent"),
    ],
)
def test_mistakes(fields: dict[str, object], fault: str) -> None:
    with pytest.raises(ValidationError) as caught:
        TargetProfile.model_validate(fields)
    assert fault in str(caught.value)


def test_a_voice_agent_at_its_project_endpoint() -> None:
    endpoint = "https://x.azure.com/api/projects/p"
    [one] = _targets(voice_agent="a", project="p", endpoint=endpoint, api_version="v1")
    assert (one.greets_itself, one.sends_tools, one.scopes()) == (True, False, (TokenScope.AI,))
    [other] = _targets(voice_agent="a", project="p", endpoint=endpoint, greets=False, send_tools=True)
    assert (other.greets_itself, other.sends_tools) == (False, True)


def test_the_preview_header_is_that_of_the_settings() -> None:
    defaults = [replace(one, features="VoiceAgents=V2Preview") for one in DEFAULTS]
    found = voice_targets(TargetProfile(voice_agent="a", project="p"), defaults, SECRETS)
    assert {one.features for one in found} == {"VoiceAgents=V2Preview"}


def test_all_mistakes_of_a_target_are_listed() -> None:
    with pytest.raises(ValidationError) as caught:
        TargetProfile.model_validate({"agent": "a:1", "endpoint": "x", "api_version": "new"})
    text = str(caught.value)
    assert all(fault in text for fault in ("`project` is missing", "colon", "not a valid URL", "must be a date"))
