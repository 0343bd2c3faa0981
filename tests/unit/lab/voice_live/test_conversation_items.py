"""Conversation items: decoding, encoding, order and truncation."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.voice_live.conversation_items import ConversationItem, ConversationItems, decode_item, user_audio
from lab.voice_live.server_events import Event, RefusedError


def message(role: str, *parts: Event) -> Event:
    return {"type": "message", "role": role, "content": list(parts)}


def spoken(ms: int = 2000, text: str = "one two three four") -> ConversationItem:
    return ConversationItem(
        "item_a", "message", "assistant", content=({"type": "audio", "transcript": text},), text=text, audio_ms=ms
    )


@pytest.mark.parametrize(
    ("given_item", "content"),
    [
        (message("user", {"type": "input_text", "text": "Hi"}), {"type": "input_text", "text": "Hi"}),
        (message("assistant", {"type": "output_text", "text": "Hello"}), {"type": "text", "text": "Hello"}),
        (message("system", {"type": "input_text", "text": "VIP"}), {"type": "input_text", "text": "VIP"}),
        (
            message("user", {"type": "input_audio", "audio": "AAAA", "transcript": "Hi"}),
            {"type": "input_audio", "transcript": "Hi"},
        ),
    ],
)
def test_messages_are_echoed_as_the_service_does(given_item: Event, content: Event) -> None:
    item = decode_item(given_item)
    assert item.to_wire() == {
        "id": item.id,
        "object": "realtime.item",
        "type": "message",
        "status": "completed",
        "role": given_item["role"],
        "content": [content],
    }
    assert item.text == (content.get("text") or content.get("transcript"))


def test_function_items_are_echoed_as_the_service_does() -> None:
    call = decode_item({"type": "function_call", "id": "i1", "call_id": "c", "name": "f", "arguments": "{}"})
    assert call.to_wire()["status"] == "completed"
    output = decode_item({"type": "function_call_output", "id": "i2", "call_id": "c", "output": "42"})
    assert output.to_wire() == {
        "id": "i2",
        "object": "realtime.item",
        "type": "function_call_output",
        "call_id": "c",
        "output": "42",
    }


@pytest.mark.parametrize(
    "bad",
    [
        None,
        "x",
        {},
        {"type": "magic"},
        {"type": []},
        {"type": "message", "role": "robot", "content": [{"type": "text", "text": "x"}]},
        {"type": "message", "role": ["user"], "content": []},
        message("user"),
        message("user", {"type": "text"}),
        message("user", {"type": [], "text": "x"}),
        message("assistant", {"type": "input_audio", "audio": ""}),
        {"type": "message", "role": "user", "content": ["x"]},
        {"type": "message", "role": "user", "content": "x"},
        {"type": "function_call_output", "call_id": "c", "output": {"not": "a string"}},
        {"type": "function_call", "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "id": 7, "call_id": "c", "output": ""},
    ],
)
def test_bad_items_are_refused(bad: object) -> None:
    with pytest.raises(RefusedError):
        decode_item(bad)


def test_items_are_inserted_at_the_requested_position() -> None:
    conversation = ConversationItems("conv_1")
    first, second, third, fourth = (user_audio(name) for name in ("u1", "u2", "u3", "u4"))
    assert conversation.add(first) is None
    assert conversation.add(second) == "u1"
    assert conversation.add(third, "u1") == "u1"
    assert conversation.add(fourth, "root") is None
    assert [item.id for item in conversation.items] == ["u4", "u1", "u3", "u2"]
    with pytest.raises(RefusedError, match="'nowhere'"):
        conversation.add(user_audio("u5"), "nowhere")
    with pytest.raises(RefusedError, match="exists already"):
        conversation.add(user_audio("u1"))
    assert conversation.user_turns == 4


def test_deleting_and_finding() -> None:
    conversation = ConversationItems("conv_1", items=[user_audio("u1")])
    conversation.delete("u1")
    assert conversation.find("u1") is None
    with pytest.raises(RefusedError) as refusal:
        conversation.delete("u1")
    assert refusal.value.code == "item_delete_invalid_item_id"


def test_truncation_takes_audio_and_words() -> None:
    conversation = ConversationItems("conv_1", items=[user_audio("u1"), spoken()])
    left = conversation.truncate("item_a", 0, 1000)
    assert (left.text, left.audio_ms) == ("one two", 1000)
    assert left.content == ({"type": "audio", "transcript": "one two"},)
    assert conversation.items[1] == left
    assert conversation.truncate("item_a", 0, 0).text == ""


@pytest.mark.parametrize(
    ("item_id", "index", "end_ms", "code"),
    [
        ("item_x", 0, 10, "item_truncate_invalid_item_id"),
        ("u1", 0, 10, "item_truncate_invalid_item_id"),
        (["item_a"], 0, 10, "item_truncate_invalid_item_id"),
        ("item_a", 1, 10, "invalid_value"),
        ("item_a", 0, -1, "invalid_value"),
        ("item_a", 0, "10", "invalid_value"),
        ("item_a", 0, True, "invalid_value"),
        ("item_a", 0, 2001, "invalid_value"),
    ],
)
def test_invalid_truncations_are_refused(item_id: object, index: object, end_ms: object, code: str) -> None:
    conversation = ConversationItems("conv_1", items=[user_audio("u1"), spoken()])
    with pytest.raises(RefusedError) as refusal:
        conversation.truncate(item_id, index, end_ms)
    assert refusal.value.code == code
    assert conversation.items[1] == spoken()


def test_a_truncation_beyond_the_end_reports_both_lengths() -> None:
    conversation = ConversationItems("conv_1", items=[spoken()])
    with pytest.raises(RefusedError, match=r"^Audio content of 2000ms is already shorter than 2500ms$"):
        conversation.truncate("item_a", 0, 2500)


@given(ends=st.lists(st.integers(0, 4000), max_size=6), text=st.text(" ab", max_size=40))
def test_truncation_never_makes_anything_longer(ends: list[int], text: str) -> None:
    conversation = ConversationItems("conv_1", items=[spoken(3000, text)])
    before = conversation.items[0]
    for end_ms in ends:
        if end_ms > before.audio_ms:
            continue
        after = conversation.truncate("item_a", 0, end_ms)
        assert after.audio_ms == end_ms
        assert before.text.split()[: len(after.text.split())] == after.text.split()
        before = after


def _two_parts() -> ConversationItem:
    content: tuple[Event, ...] = tuple({"type": "audio", "transcript": text} for text in ("one two", "three four"))
    return replace(spoken(2000, "one two three four"), content=content, parts_ms=(1000, 1000))


def test_each_part_is_truncated_by_itself() -> None:
    conversation = ConversationItems("conv_1", items=[_two_parts()], any_part=True)
    left = conversation.truncate("item_a", 1, 500)
    assert (left.text, left.audio_ms, left.parts_ms) == ("one two three", 1500, (1000, 500))
    left = conversation.truncate("item_a", 0, 500)
    assert (left.text, left.audio_ms, left.parts_ms) == ("one three", 1000, (500, 500))
    with pytest.raises(RefusedError, match="500ms is already shorter"):
        conversation.truncate("item_a", 1, 501)
    with pytest.raises(RefusedError) as refusal:
        conversation.truncate("item_a", 2, 0)
    assert refusal.value.param == "content_index"


def test_a_service_that_knows_the_first_part_only_counts_over_the_item() -> None:
    conversation = ConversationItems("conv_1", items=[_two_parts()])
    with pytest.raises(RefusedError) as refusal:
        conversation.truncate("item_a", 1, 500)
    assert refusal.value.param == "content_index"
    left = conversation.truncate("item_a", 0, 1500)
    assert (left.text, left.audio_ms, left.parts_ms) == ("one two three", 1500, ())


def test_truncation_at_zero_may_be_refused() -> None:
    conversation = ConversationItems("conv_1", items=[spoken()], refuses_zero=True)
    with pytest.raises(RefusedError) as refusal:
        conversation.truncate("item_a", 0, 0)
    assert refusal.value.code == "unsupported_content_type"
    assert conversation.truncate("item_a", 0, 1).audio_ms == 1
