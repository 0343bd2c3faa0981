from __future__ import annotations

import pytest

from agent_relay.core.dialog.played_item import PlayedItem
from agent_relay.core.dialog.truncation import Truncations
from agent_relay.core.protocol.voice_events import ClientEvent, ErrorEvent, delete_item, truncate_item


def _item(item_id: str = "a1", heard_ms: int = 0, parts: int = 1) -> PlayedItem:
    item = PlayedItem(item_id, "r1", 0, 10.0)
    for index in range(parts):
        item.add_audio(bytes(48_000), index)
    item.heard_ms = heard_ms
    return item


def _refusal(event: ClientEvent, code: str = "invalid_value") -> ErrorEvent:
    return ErrorEvent(code, "no", "", str(event["event_id"]))


def test_a_refused_truncation_at_zero_becomes_a_deletion_and_no_more() -> None:
    truncations = Truncations()
    (first,) = truncations.truncate(_item())
    assert first == truncate_item("a1", 0, "truncate-2")
    assert truncations.refused(_refusal(first)) == [delete_item("a1", "delete-1")]
    assert truncations.refused(_refusal(delete_item("a1", "delete-1"))) == []
    assert truncations.refused(_refusal(delete_item("a1", "delete-1"))) is None


def test_what_was_partly_heard_is_never_deleted() -> None:
    truncations = Truncations()
    (event,) = truncations.truncate(_item(heard_ms=1))
    assert truncations.refused(_refusal(event)) == []


def test_an_item_that_the_service_does_not_have_is_not_deleted() -> None:
    truncations = Truncations()
    (event,) = truncations.truncate(_item())
    assert truncations.refused(_refusal(event, "item_truncate_invalid_item_id")) == []


def test_a_service_that_knows_the_first_part_only_gets_the_position_in_the_item() -> None:
    truncations = Truncations()
    event, later = truncations.truncate(_item(heard_ms=1400, parts=3))
    assert (event["content_index"], event["audio_end_ms"]) == (1, 400)
    assert (later["content_index"], later["audio_end_ms"]) == (2, 0)
    (again,) = truncations.refused(_refusal(event)) or []
    assert (again["type"], again["content_index"], again["audio_end_ms"]) == ("conversation.item.truncate", 0, 1400)
    assert truncations.refused(_refusal(again)) == []
    assert truncations.refused(_refusal(later)) == []


def test_a_truncation_that_was_accepted_is_forgotten() -> None:
    truncations = Truncations()
    (event,) = truncations.truncate(_item())
    truncations.accepted("a1")
    assert truncations.refused(_refusal(event)) is None


@pytest.mark.parametrize("event_id", ["answer-1", "probe-1", "update-1"])
def test_a_refusal_of_something_else_is_left_alone(event_id: str) -> None:
    truncations = Truncations()
    truncations.truncate(_item())
    assert truncations.refused(ErrorEvent("unsupported_content_type", "no", "", event_id)) is None


def test_an_error_without_an_event_id_is_of_the_oldest_truncation_if_it_is_about_one() -> None:
    truncations = Truncations()
    truncations.truncate(_item("a1"))
    truncations.truncate(_item("a2"))
    assert truncations.refused(ErrorEvent("server_error", "busy", "", "")) is None
    refusal = ErrorEvent("unsupported_content_type", "Only model output audio messages can be truncated", "", "")
    deleted = [event["item_id"] for _ in range(2) for event in truncations.refused(refusal) or []]
    assert deleted == ["a1", "a2"]


def test_truncations_that_are_never_answered_do_not_pile_up() -> None:
    truncations = Truncations()
    (first,) = truncations.truncate(_item("a0"))
    for number in range(1, 100):
        (last,) = truncations.truncate(_item(f"a{number}"))
    assert truncations.refused(_refusal(first)) is None
    assert truncations.refused(_refusal(last)) is not None
