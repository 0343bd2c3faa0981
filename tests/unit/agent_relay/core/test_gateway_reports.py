"""Speech that is owed while the gateway plays it, loses it or has no media socket."""

from __future__ import annotations

from bridge_common.entries import MediaAttached, MediaDetached, Played, Playing
from talk import Talk, outcomes, plan_for, types


def answered() -> Talk:
    """The agent has answered the caller, and nothing of it was played yet."""
    talk = Talk(plan_for())
    talk.core.caller_audio(0.5)
    talk.open()
    talk.turn()
    talk.reply()
    return talk


def test_audio_that_begins_to_play_pays_what_is_owed() -> None:
    talk = answered()
    talk.core.from_caller(Playing("a1"), 1.2)
    assert not outcomes(talk.core.from_caller(MediaDetached("gone"), 1.5))


def test_audio_that_was_heard_pays_although_its_beginning_was_not_reported() -> None:
    talk = answered()
    talk.core.from_caller(Played("a1", 700, False), 2.0)
    assert not outcomes(talk.core.from_caller(MediaDetached("gone"), 2.5))


def test_audio_of_which_nothing_was_heard_is_asked_for_again() -> None:
    talk = answered()
    assert outcomes(talk.core.from_caller(Played("a1", 0, False), 2.0)) == [("words", "asked_again")]


def test_an_answer_that_was_lost_with_the_media_socket_is_asked_for_again_on_the_next() -> None:
    talk = answered()
    lost = talk.core.from_caller(MediaDetached("gone"), 1.5)
    assert outcomes(lost) == [("words", "asked_again")]
    assert "response.create" not in types(lost), "not while nobody listens"
    assert not outcomes(talk.core.tick(300.0)), "nor is the time counted"
    assert types(talk.core.from_caller(MediaAttached(16_000), 300.0)) == ["response.create"]
