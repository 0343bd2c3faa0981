from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from agent_relay.core.dialog.played_item import PlayedItem, cut_text


def _item(generated_ms: int = 1000, text: str = "") -> PlayedItem:
    return PlayedItem("i", "r", 0, 10.0, generated_bytes=generated_ms * 48, text=text)


def test_a_truncation_is_never_beyond_what_was_generated() -> None:
    item = _item(1000)
    item.heard_ms = 1240
    assert item.truncation_ms() == 1000


def test_half_heard_is_half_the_words() -> None:
    item = _item(1000, "one two three four")
    item.heard_ms = 500
    assert item.heard_text() == "one two"


def test_all_heard_is_the_whole_text() -> None:
    item = _item(1000, "one two")
    item.heard_ms, item.complete = 990, True
    assert item.heard_text() == "one two"


def test_nothing_heard_is_no_text() -> None:
    item = _item(1000, "one two")
    item.heard_ms = 0
    assert item.heard_text() == ""


@given(st.text(max_size=80), st.floats(-1, 2))
def test_a_cut_text_is_a_beginning_of_the_text(text: str, share: float) -> None:
    cut = cut_text(text, share)
    assert text.startswith(cut)
    assert len(cut) <= max(len(text) * max(share, 0), 0) or share >= 1


def test_latencies_count_from_the_end_of_the_callers_say() -> None:
    item = _item()
    assert item.latency_ms(11.0) == -1
    item.speech_end_at = 10.5
    assert item.latency_ms(11.0) == 500
    assert item.latency_ms(None) == -1


def test_what_must_have_been_heard_is_bounded_by_what_was_generated() -> None:
    item = _item(1000)
    assert item.estimated_heard_ms(50.0) == 0
    item.first_frame_at = 10.0
    assert item.estimated_heard_ms(10.4) == 400
    assert item.estimated_heard_ms(50.0) == 1000


def test_a_truncation_lies_within_its_part() -> None:
    item = PlayedItem("i", "r", 0, 10.0)
    for index, size in ((0, 1002), (2, 480), (3, 96)):
        item.add_audio(bytes(size), index)
    for heard_ms in range(35):
        item.heard_ms = heard_ms
        (index, end_ms), *later = item.truncations()
        assert end_ms <= {0: 20, 2: 10, 3: 2}[index]
        assert [end_ms for _, end_ms in later] == [0] * len(later)
        assert [index, *(index for index, _ in later)] == [0, 2, 3][-1 - len(later) :]


def test_an_item_may_begin_with_any_part() -> None:
    item = PlayedItem("i", "r", 0, 10.0)
    item.add_audio(bytes(4800), 1)
    item.add_text("one two", 1, whole=True)
    item.heard_ms = 50
    assert item.truncations() == [(1, 50)]
    assert item.heard_text() == "one"


def test_the_text_of_an_item_is_that_of_its_parts_in_their_order() -> None:
    item = PlayedItem("i", "r", 0, 10.0)
    item.add_text("And", 1, whole=False)
    item.add_text("Hello.", 0, whole=True)
    assert not item.text_whole
    item.add_text(" you?", 1, whole=False)
    assert item.text == "Hello. And you?"
    item.add_text("And you?", 1, whole=True)
    assert (item.text, item.text_whole) == ("Hello. And you?", True)


@given(st.lists(st.binary(max_size=9)))
def test_pieces_of_any_size_make_whole_samples(pieces: list[bytes]) -> None:
    item = PlayedItem("i", "r", 0, 10.0)
    played = [item.add_audio(piece, 0) for piece in pieces]
    assert all(len(pcm) % 2 == 0 for pcm in played)
    whole = b"".join(pieces)
    assert b"".join(played) + item.half == whole
    assert item.generated_bytes == len(whole) & ~1
