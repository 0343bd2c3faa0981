"""What is only pretended: found in client events, named once, refused by name."""

from __future__ import annotations

import pytest

from lab.voice_live.session_fields import CHECKS
from lab.voice_live.unsupported_by_voice_live import (
    IGNORED,
    SIMPLIFIED,
    pretended_in_event,
    pretended_in_query,
    refusal,
)


def found(kind: str = "session.update", **body: object) -> list[str]:
    return pretended_in_event(kind, body)


@pytest.mark.parametrize(
    ("session", "fields"),
    [
        ({"avatar": {"character": "lisa"}}, ["session.avatar"]),
        ({"tool_choice": "required"}, ["session.tool_choice"]),
        ({"tools": [{"type": "function"}, {"type": "mcp"}]}, ["session.tools.mcp"]),
        ({"modalities": ["text", "avatar"]}, ["session.modalities.avatar"]),
        ({"voice": {"name": "x", "rate": "1.2"}}, ["session.voice.rate"]),
        ({"turn_detection": {"type": "server_vad", "languages": ["en"]}}, ["session.turn_detection.languages"]),
        ({"speed": 1.2, "tracing": "auto"}, ["session.speed", "session.tracing"]),
    ],
)
def test_a_field_that_asks_for_something_is_found(session: dict[str, object], fields: list[str]) -> None:
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
def test_what_asks_for_nothing_is_not(session: dict[str, object]) -> None:
    assert found(session=session) == []


def test_responses_and_items_are_looked_at_as_well() -> None:
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
    names = [each.field for each in IGNORED + SIMPLIFIED]
    assert len(names) == len(set(names))
    for each in IGNORED:
        refused = refusal(each.field)
        assert (refused.code, refused.param) == ("lab_not_simulated", each.field)
        assert each.effect in refused.message


def test_the_listed_keys_of_a_session_exist() -> None:
    listed = {each.field.split(".")[1] for each in IGNORED + SIMPLIFIED if each.field.startswith("session.")}
    assert listed <= CHECKS.keys()
