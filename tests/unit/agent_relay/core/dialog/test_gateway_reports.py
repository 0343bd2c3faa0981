"""A pending response while the gateway plays it, loses it or has no media socket."""

from __future__ import annotations

from agent_relay.core.protocol import voice_events as vl
from bridge_common.wire.entries import MediaAttached, MediaDetached, Played, Playing, Say
from tests.unit.support.talk import Talk, outcomes, profile_for, sent, types


def answered() -> Talk:
    """A conversation in which the agent has answered the caller, and none of the answer was played yet."""
    talk = Talk(profile_for())
    talk.core.caller_audio(0.5)
    talk.open()
    talk.turn()
    talk.reply()
    return talk


def test_audio_that_begins_to_play_pays_what_is_owed() -> None:
    talk = answered()
    talk.core.from_caller(Playing("a1"), 1.0)
    assert not outcomes(talk.core.from_caller(MediaDetached("gone"), 1.6))


def test_audio_that_was_heard_pays_although_its_beginning_was_not_reported() -> None:
    talk = answered()
    talk.core.from_caller(Played("a1", 600, False), 2.0)
    assert not outcomes(talk.core.from_caller(MediaDetached("gone"), 2.5))


def test_audio_of_which_nothing_was_heard_is_asked_for_again() -> None:
    talk = answered()
    assert outcomes(talk.core.from_caller(Played("a1", 0, False), 2.0)) == [("words", "asked_again")]


def test_an_answer_that_was_lost_with_the_media_socket_is_asked_for_again_on_the_next() -> None:
    talk = answered()
    lost = talk.core.from_caller(MediaDetached("gone"), 1.5)
    assert outcomes(lost) == [("words", "asked_again")]
    assert "response.create" not in types(lost), "not while there is no media socket"
    assert not outcomes(talk.core.tick(300.0)), "time limits do not count"
    assert types(talk.core.from_caller(MediaAttached(16_000), 300.0)) == ["response.create"]


def test_what_the_caller_was_hearing_goes_on_on_the_next_media_socket() -> None:
    talk = answered()
    talk.core.from_caller(Playing("a1"), 1.1)
    talk.core.from_caller(Played("a1", 300, False), 1.4)
    lost = talk.core.from_caller(MediaDetached("gone"), 1.4)
    assert outcomes(lost) == [("rest", "resumed")]
    assert "response.create" not in types(lost)
    assert types(talk.core.from_caller(MediaAttached(16_000), 3.0)) == ["response.create"]


def test_a_socket_that_went_without_a_report_played_no_longer_than_it_lived() -> None:
    talk = answered()
    talk.core.from_caller(Playing("a1"), 1.0)
    commands = talk.core.media_replaced(1.25, 9.0)
    assert sent(commands)[0] == vl.truncate_item("a1", 250, "truncate-1")
    assert outcomes(commands) == [("rest", "resumed")]
    assert types(commands)[-1] == "response.create"


def test_an_answer_that_nobody_could_play_is_asked_for_again_at_once() -> None:
    talk = answered()
    assert outcomes(talk.core.media_replaced(1.0, 9.0)) == [("words", "asked_again")]


def test_an_answer_that_may_wait_for_the_new_socket_is_waited_for() -> None:
    talk = answered()
    assert outcomes(talk.core.media_replaced(1.0, 1.5)) == []
    assert outcomes(talk.core.from_caller(Playing("a1"), 1.6)) == []


def test_an_answer_whose_beginning_was_lost_with_the_socket_is_asked_for_again() -> None:
    """The new socket plays only the audio that is appended after it has attached."""
    talk = answered()
    talk.core.media_replaced(1.0, 1.5)
    talk.core.from_caller(Playing("a1"), 1.6)
    commands = talk.core.from_caller(Played("a1", 400, True), 2.0)
    assert types(commands) == ["conversation.item.truncate", "response.create"]
    assert sent(commands)[0]["audio_end_ms"] == 0
    assert outcomes(commands) == [("rest", "resumed")]


def test_an_answer_that_the_new_socket_does_not_begin_is_asked_for_again_soon() -> None:
    """It was appended while no socket was attached."""
    talk = answered()
    talk.core.media_replaced(1.0, 1.5)
    commands = [command for tenth in range(16, 40) for command in talk.core.tick(tenth / 10)]
    assert outcomes(commands) == [("words", "asked_again")]
    assert types(commands)[-1] == "response.create"


def test_a_text_of_others_that_the_new_socket_does_not_begin_is_spoken_again() -> None:
    talk = Talk(profile_for())
    talk.core.caller_audio(0.5)
    talk.open()
    talk.core.say("1-0", Say("say_1", 0, "Good morning.", last=True), 1.0)
    talk.reply()
    talk.core.media_replaced(1.0, 1.5)
    commands = [command for tenth in range(16, 40) for command in talk.core.tick(tenth / 10)]
    assert "Good morning." in str(sent(commands))


def test_a_few_words_lost_at_the_beginning_are_not_asked_for() -> None:
    talk = answered()
    talk.core.media_replaced(1.0, 1.5)
    talk.core.from_caller(Playing("a1"), 1.6)
    assert outcomes(talk.core.from_caller(Played("a1", 600, True), 2.2)) == []


def test_a_few_words_lost_at_the_end_are_not_asked_for() -> None:
    talk = answered()
    talk.core.from_caller(Playing("a1"), 1.1)
    talk.core.from_caller(Played("a1", 700, False), 1.8)
    assert outcomes(talk.core.from_caller(MediaDetached("gone"), 1.8)) == []


def test_what_the_caller_interrupted_is_not_asked_for() -> None:
    talk = answered()
    talk.core.from_caller(Playing("a1"), 1.1)
    talk.hear(vl.SpeechStarted("u2"))
    talk.core.from_caller(Played("a1", 300, False), 1.4)
    assert outcomes(talk.core.from_caller(MediaDetached("gone"), 1.4)) == []


def test_a_text_of_others_goes_on_with_the_sentence_that_was_lost() -> None:
    talk = Talk(profile_for())
    talk.core.caller_audio(0.5)
    talk.open()
    talk.core.say("1-0", Say("say_1", 0, "Good morning. This is Contoso.", last=True), 1.0)
    for number in (1, 2):
        talk.reply(f"a{number}", f"r{number}")
    talk.core.from_caller(Playing("a1"), 1.1)
    lost = talk.core.from_caller(MediaDetached("gone"), 1.2)
    assert outcomes(lost) == []
    assert "Good morning." in str(sent(talk.core.from_caller(MediaAttached(16_000), 3.0)))


def test_a_text_of_others_is_spoken_again_if_its_beginning_was_lost() -> None:
    talk = Talk(profile_for())
    talk.core.caller_audio(0.5)
    talk.open()
    talk.core.say("1-0", Say("say_1", 0, "Good morning.", last=True), 1.0)
    talk.reply()
    talk.core.media_replaced(1.0, 1.5)
    talk.core.from_caller(Playing("a1"), 1.6)
    assert "Good morning." in str(sent(talk.core.from_caller(Played("a1", 400, True), 2.0)))
