"""Fields without an effect are found in client events, listed once, and rejected by name in strict mode."""

from __future__ import annotations

import pytest

from lab.unsupported import PretendedError
from lab.voice_live.session_fields import CHECKS
from lab.voice_live.unsupported_by_voice_live import (
    IGNORED,
    SIMPLIFIED,
    pretended_in_event,
    pretended_in_query,
    refusal,
    unsupported_fields,
)


def found(kind: str = "session.update", **body: object) -> list[str]:
    return pretended_in_event(kind, body)


@pytest.mark.parametrize(
    ("session", "fields"),
    [
        ({"avatar": {"character": "lisa"}}, ["session.avatar"]),
        ({"tool_choice": "required"}, ["session.tool_choice"]),
        ({"tools": [{"type": "function"}, {"type": "foundry_agent"}]}, ["session.tools.foundry_agent"]),
        ({"modalities": ["text", "avatar"]}, ["session.modalities.avatar"]),
        ({"voice": {"name": "x", "rate": "1.2"}}, ["session.voice.rate"]),
        ({"turn_detection": {"type": "server_vad", "languages": ["en"]}}, ["session.turn_detection.languages"]),
        ({"speed": 1.2, "tracing": "auto"}, ["session.speed", "session.tracing"]),
    ],
)
def test_a_field_with_an_effect_is_reported(session: dict[str, object], fields: list[str]) -> None:
    assert found(session=session) == fields


@pytest.mark.parametrize(
    "session",
    [
        {},
        {"avatar": None, "tools": [], "parallel_tool_calls": False, "tool_choice": "auto", "speed": 1.0},
        {
            "instructions": "Be kind.",
            "voice": "alloy",
            "modalities": ["text", "audio"],
            "tools": [{"type": "function"}],
        },
        {"turn_detection": {"type": "azure_semantic_vad", "threshold": 0.4, "remove_filler_words": False}},
        {"tools": ["x", None], "voice": 7, "turn_detection": []},
    ],
)
def test_values_without_an_effect_are_not_reported(session: dict[str, object]) -> None:
    assert found(session=session) == []


def test_responses_and_items_are_checked_as_well() -> None:
    assert found("response.create", response={"temperature": 0.5}, additional_instructions="Be brief.") == [
        "response.temperature",
        "response.additional_instructions",
    ]
    assert found("response.create") == []
    assert found("conversation.item.create", item={"content": [{"type": "input_image"}, {"type": "input_text"}]}) == [
        "item.content.input_image"
    ]
    odd: list[dict[str, object]] = [{"item": None}, {"item": {"content": "x"}}, {"session": "x"}, {"response": []}]
    for body in odd:
        for kind in ("conversation.item.create", "session.update", "response.create", "input_audio_buffer.append"):
            assert pretended_in_event(kind, body) == []
    assert pretended_in_query({"model": "gpt-4o", "features": "client_ec_reference:true"}) == ["query.features"]


def test_every_field_is_listed_once_and_its_refusal_names_it() -> None:
    names = [*(each.field for each in IGNORED), *SIMPLIFIED]
    assert len(names) == len(set(names))
    strict = unsupported_fields(strict=True)
    assert [row["where"] for row in strict.json()] == names
    for each in IGNORED:
        with pytest.raises(PretendedError) as raised:
            strict.used(each.field)
        refused = refusal(raised.value)
        assert (refused.code, refused.param) == ("lab_not_simulated", each.field)
        assert each.effect in refused.message


def test_the_listed_keys_of_a_session_exist() -> None:
    names = [*(each.field for each in IGNORED), *SIMPLIFIED]
    assert {name.split(".")[1] for name in names if name.startswith("session.")} <= CHECKS.keys()
