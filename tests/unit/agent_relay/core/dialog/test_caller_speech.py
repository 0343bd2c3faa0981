from __future__ import annotations

from agent_relay.core.dialog.caller_speech import CallerSpeech
from agent_relay.core.dialog.conversation_commands import Record, WallClock
from agent_relay.core.dialog.history import History
from agent_relay.core.protocol.voice_events import UserTranscript, UserTranscriptFailed, create_message
from bridge_common.wire.entries import Notice, Turn


def _speech(history: History) -> CallerSpeech:
    return CallerSpeech(history, WallClock())


def test_a_turn_is_dated_by_its_beginning() -> None:
    history = History()
    speech = _speech(history)
    speech.started("u1", 1.0)
    assert speech.speaks
    assert speech.stopped("u1", 2.0)
    assert (speech.speaks, speech.take_unanswered(), speech.unanswered) == (False, "u1", "")
    assert speech.transcript(UserTranscript("u1", " Hello. "), 3.0) == [Record(Turn("caller", "u1", "Hello.", 1000))]
    assert history.replay() == [create_message("user", "Hello.")]


def test_what_was_not_understood_is_noted() -> None:
    speech = _speech(History())
    assert speech.transcript(UserTranscriptFailed("u1", "noise"), 3.0) == [
        Record(Notice("not_transcribed", "noise", 3000))
    ]
    assert speech.transcript(UserTranscript("u1", "  "), 3.0) == []


def test_says_without_a_transcript_do_not_pile_up() -> None:
    speech = _speech(History())
    for n in range(1000):
        speech.started(f"u{n}", float(n))
    assert speech.transcript(UserTranscript("u0", "old"), 2000.0) == [Record(Turn("caller", "u0", "old", 2_000_000))]


def test_a_repeated_transcript_is_one_turn() -> None:
    history = History()
    speech = _speech(history)
    speech.started("u1", 1.0)
    speech.stopped("u1", 2.0)
    assert len(speech.transcript(UserTranscript("u1", "Hello."), 3.0)) == 1
    assert speech.transcript(UserTranscript("u1", "Hello."), 3.1) == []
    assert speech.transcript(UserTranscriptFailed("u1", "noise"), 3.2) == []
    assert history.replay() == [create_message("user", "Hello.")]


def test_a_transcript_may_follow_a_failed_or_an_empty_one() -> None:
    speech = _speech(History())
    speech.started("u1", 1.0)
    assert speech.transcript(UserTranscriptFailed("u1", "noise"), 2.0) == [
        Record(Notice("not_transcribed", "noise", 2000))
    ]
    assert speech.transcript(UserTranscriptFailed("u1", "noise"), 2.1) == []
    assert speech.transcript(UserTranscript("u1", ""), 2.2) == []
    assert speech.transcript(UserTranscript("u1", "Hello."), 3.0) == [Record(Turn("caller", "u1", "Hello.", 1000))]


def test_a_say_begins_and_ends_once() -> None:
    history = History()
    speech = _speech(history)
    assert speech.started("u1", 1.0)
    assert speech.stopped("u1", 2.0)
    speech.transcript(UserTranscript("u1", "Hello."), 2.5)
    assert speech.take_unanswered() == "u1"
    assert not speech.started("u1", 3.0)
    assert not speech.stopped("u1", 3.1)
    assert (speech.speaks, speech.unanswered) == (False, "")
    assert history.replay() == [create_message("user", "Hello.")]


def test_a_say_whose_beginning_was_not_reported_ends_and_has_a_text() -> None:
    speech = _speech(History())
    assert speech.stopped("u1", 2.0)
    assert speech.transcript(UserTranscript("u1", "Hello."), 3.0) == [Record(Turn("caller", "u1", "Hello.", 2000))]


def test_a_say_may_begin_after_its_text_came() -> None:
    history = History()
    speech = _speech(history)
    speech.transcript(UserTranscript("u1", "Hello."), 1.0)
    assert speech.started("u1", 1.1)
    assert speech.speaks
    assert history.replay() == [create_message("user", "Hello.")]
