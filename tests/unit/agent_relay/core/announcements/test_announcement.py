from __future__ import annotations

from agent_relay.core.announcements.announcement import GONE_S, PAUSE_S, STOP_PAUSE_S, Announcement
from bridge_common.wire.entries import Say


def announcement(spoken: int = 0) -> Announcement:
    return Announcement("say_1", "en-US", spoken)


def taken(one: Announcement) -> list[str]:
    texts = []
    while sentence := one.take():
        texts.append(sentence.text)
        one.was_spoken(sentence, "r1")
    return texts


def test_sentences_are_there_as_soon_as_they_are_whole() -> None:
    one = announcement()
    one.add("1-0", Say("say_1", 0, "Good morning. This is"), 1.0)
    assert (one.ready, one.begun) == (True, False)
    assert taken(one) == ["Good morning."]
    assert (one.ready, one.begun) == (False, True)
    one.add("2-0", Say("say_1", 21, " Contoso.", last=True), 1.1)
    assert taken(one) == ["This is Contoso."]
    assert (one.whole, one.spoken, one.response_ids) == (True, 30, ["r1", "r1"])


def test_a_piece_that_came_twice_is_one() -> None:
    one = announcement()
    for _ in range(2):
        one.add("1-0", Say("say_1", 0, "Yes. "), 1.0)
        one.add("2-0", Say("say_1", 5, "No.", last=True), 1.0)
    assert taken(one) == ["Yes.", "No."]


def test_what_another_relay_spoke_is_not_spoken_again() -> None:
    one = announcement(14)
    assert one.begun
    one.add("1-0", Say("say_1", 0, "Good mor"), 1.0)
    one.add("2-0", Say("say_1", 8, "ning. This is Contoso. "), 1.0)
    one.add("3-0", Say("say_1", 31, "Bye.", last=True), 1.0)
    assert taken(one) == ["This is Contoso.", "Bye."]
    assert one.spoken == 35


def test_the_first_piece_may_be_trimmed_already() -> None:
    one = announcement(40)
    one.add("9-0", Say("say_1", 30, "xxxxxxxxx The end.", last=True), 1.0)
    assert taken(one) == ["The end."]


def test_pieces_are_needed_until_they_are_spoken_and_the_last_one_longer() -> None:
    one = announcement()
    one.add("1-0", Say("say_1", 0, "Good morning. "), 1.0)
    one.add("2-0", Say("say_1", 14, "This is "), 1.0)
    one.add("3-0", Say("say_1", 22, "Contoso. N"), 1.0)
    assert one.oldest_entry == "1-0"
    assert taken(one) == ["Good morning.", "This is Contoso."]
    assert one.oldest_entry == "3-0"
    one.add("4-0", Say("say_1", 32, "o.", last=True), 1.0)
    taken(one)
    assert one.oldest_entry == "4-0", "the last one until the end of the announcement is recorded"


def test_a_pause_behind_a_stop_ends_a_sentence() -> None:
    one = announcement()
    one.add("1-0", Say("say_1", 0, "Please hold."), 1.0)
    assert one.next_at(silent=False) == 1.0 + STOP_PAUSE_S
    one.look(1.0 + STOP_PAUSE_S - 0.01, silent=True)
    assert not one.ready
    one.look(1.0 + STOP_PAUSE_S, silent=False)
    assert taken(one) == ["Please hold."]


def test_half_a_sentence_is_spoken_only_into_silence() -> None:
    one = announcement()
    one.add("1-0", Say("say_1", 0, "Please hold the"), 1.0)
    one.look(1.0 + PAUSE_S, silent=False)
    assert not one.ready
    assert one.next_at(silent=True) == 1.0 + PAUSE_S
    one.look(1.0 + PAUSE_S, silent=True)
    assert taken(one) == ["Please hold the"]
    assert not one.whole


def test_a_writer_that_is_gone_ends_its_text() -> None:
    one = announcement()
    one.add("1-0", Say("say_1", 0, "Yes. "), 1.0)
    one.look(1.0 + STOP_PAUSE_S, silent=True)
    assert taken(one) == ["Yes."]
    assert one.next_at(silent=True) == 1.0 + GONE_S
    one.look(1.0 + GONE_S, silent=True)
    assert one.whole
    one.add("2-0", Say("say_1", 5, "No."), 30.0)
    assert not one.ready


def test_nothing_becomes_due_while_a_sentence_waits_or_after_the_last_piece() -> None:
    one = announcement()
    one.add("1-0", Say("say_1", 0, "Good morning. This is"), 1.0)
    assert one.next_at(silent=True) is None, "a whole sentence is there"
    assert taken(one) == ["Good morning."]
    assert one.next_at(silent=True) == 1.0 + PAUSE_S
    one.add("2-0", Say("say_1", 21, " Contoso.", last=True), 1.1)
    assert taken(one) == ["This is Contoso."]
    assert one.next_at(silent=True) is None, "nothing more comes"
