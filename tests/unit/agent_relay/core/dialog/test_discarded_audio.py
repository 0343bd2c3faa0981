from __future__ import annotations

from agent_relay.core.dialog.discarded_audio import DiscardedAudio


def test_a_dropped_response_is_dropped_until_it_has_ended() -> None:
    discarded = DiscardedAudio()
    discarded.drop("r1")
    discarded.discard("a1", "r1")
    discarded.discard("a2", "r2")
    dropped = [discarded.dropped("r1")]
    assert discarded.response_done("r1") == ["a1"]
    assert [*dropped, discarded.dropped("r1")] == [True, False]
    assert discarded.response_done("r1") == [], "once"


def test_a_response_of_which_something_was_discarded_cannot_be_resumed() -> None:
    discarded = DiscardedAudio()
    discarded.drop("r1")
    discarded.drop("r2")
    discarded.discard("a1", "r1")
    assert not discarded.resume("r1")
    assert discarded.resume("r2")
    assert (discarded.dropped("r1"), discarded.dropped("r2")) == (True, False)


def test_a_closed_item_has_sent_something() -> None:
    discarded = DiscardedAudio()
    discarded.close("a1")
    assert discarded.closed("a1")
    discarded.discard("a1", "r1")
    assert discarded.response_done("r1") == []


def test_only_the_newest_items_stay_closed() -> None:
    discarded = DiscardedAudio()
    for number in range(257):
        discarded.close(f"a{number}")
    assert [discarded.closed(f"a{number}") for number in (0, 1, 256)] == [False, True, True]


def test_a_lost_session_ends_its_responses_and_its_items_stay_closed() -> None:
    discarded = DiscardedAudio()
    discarded.drop("r1")
    discarded.discard("a1", "r1")
    discarded.close("a2")
    discarded.session_lost()
    assert not discarded.dropped("r1")
    assert discarded.response_done("r1") == []
    assert discarded.closed("a2")
