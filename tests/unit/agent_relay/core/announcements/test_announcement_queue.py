"""Waiting and spoken announcements, and their records. `test_announcer` tests how they are spoken."""

from __future__ import annotations

import pytest

from agent_relay.core.announcements.announcement_queue import SAY, AnnouncementQueue, report_of
from agent_relay.core.dialog.agent_speech import AgentSpeech
from agent_relay.core.dialog.conversation_commands import Command, MarkSaid, Record, WallClock
from agent_relay.core.dialog.history import History
from agent_relay.core.protocol.voice_events import AgentTranscriptDelta, AudioDelta
from bridge_common.wire.entries import Notice, Say, Saying, TranscriptEntry, Turn


def _queue(said: str = "", speech: AgentSpeech | None = None) -> AnnouncementQueue:
    clock = WallClock()
    return AnnouncementQueue("", speech or AgentSpeech(History(), clock, truncates=True), clock, said)


def _reports(commands: list[Command]) -> list[tuple[str, str]]:
    notices = [c.entry for c in commands if isinstance(c, Record) and isinstance(c.entry, Notice)]
    assert all(notice.what == SAY for notice in notices)
    return [(report.say_id, str(report.outcome)) for report in map(report_of, notices)]


def _speak(queue: AnnouncementQueue, response: str) -> None:
    assert queue.first is not None
    sentence = queue.first.take()
    assert sentence is not None
    queue.first.was_spoken(sentence, response)


def test_how_far_it_is_spoken_is_recorded_with_the_oldest_piece_that_is_needed() -> None:
    queue = _queue()
    queue.add("5-0", Say("say_1", 0, "One. "), 1.0)
    queue.add("5-1", Say("say_1", 5, "Two.", last=True), 1.0)
    _speak(queue, "r1")
    assert queue.mark() == MarkSaid("say_1:5", "", "5-1")
    _speak(queue, "r2")
    assert queue.mark() == MarkSaid("say_1:9", "", "5-1"), "its last piece stays until its end is recorded"
    report, mark = queue.finish_first(2.0)
    assert _reports([report]) == [("say_1", "spoken")]
    assert mark == MarkSaid("", "", "5-2")
    assert queue.first is None


def test_a_text_goes_on_where_the_previous_relay_stopped() -> None:
    queue = _queue("say_1:5")
    queue.add("5-0", Say("say_1", 0, "One. Two.", last=True), 1.0)
    assert queue.first is not None
    sentence = queue.first.take()
    assert sentence is not None
    assert sentence.text == "Two."


def test_only_the_first_piece_of_a_new_text_interrupts() -> None:
    queue = _queue("say_0:3")
    assert not queue.add("1-0", Say("say_1", 0, "One.", last=True), 1.0)
    assert queue.add("2-0", Say("say_2", 0, "Fire. ", interrupt=True), 1.0)
    assert not queue.add("2-1", Say("say_2", 6, "Leave.", last=True, interrupt=True), 1.0)
    assert not queue.add("3-0", Say("say_0", 0, "Old news.", last=True, interrupt=True), 1.0), (
        "it has interrupted before"
    )
    assert _reports(queue.drop_replaced(2.0)) == [("say_1", "replaced"), ("say_2", "replaced")]


def test_what_was_dropped_is_not_begun_again() -> None:
    queue = _queue()
    queue.add("1-0", Say("say_1", 0, "One. "), 1.0)
    queue.add("2-0", Say("say_2", 0, "Two. "), 1.0)
    mark = queue.drop_replaced(2.0)[-1]
    assert mark == MarkSaid("", "say_1", "2-0")
    queue.add("1-1", Say("say_1", 0, "One. Again.", last=True), 3.0)
    assert _reports(queue.call_ended(4.0)) == [("say_2", "call_ended")]
    assert queue.empty


def test_the_caller_interrupts_only_what_they_have_heard_of() -> None:
    queue = _queue()
    queue.add("1-0", Say("say_1", 0, "One. Two.", last=True), 1.0)
    queue.add("2-0", Say("say_2", 0, "Three.", last=True), 1.0)
    _speak(queue, "r1")
    assert queue.begun
    queue.was_heard("r1")
    assert _reports(queue.drop_interrupted(2.0)) == [("say_1", "interrupted")]
    assert not queue.empty


def test_lost_sentences_are_spoken_again() -> None:
    queue = _queue()
    queue.add("1-0", Say("say_1", 0, "One. Two.", last=True), 1.0)
    for response in ("r1", "r2"):
        _speak(queue, response)
    assert queue.speaks() == {"r1", "r2"}
    queue.take_back(lambda response: response == "r2")
    assert queue.ready
    assert queue.mark() == MarkSaid("say_1:5", "", "1-0")


def test_a_hand_over_leaves_what_waits_and_reports_what_sounds() -> None:
    speech = AgentSpeech(History(), WallClock(), truncates=True)
    queue = _queue(speech=speech)
    queue.add("1-0", Say("say_1", 0, "One.", last=True), 1.0)
    queue.add("2-0", Say("say_2", 0, "Two.", last=True), 1.0)
    _speak(queue, "r1")
    speech.text(AgentTranscriptDelta("r1", "a1", "One."), 1.0)
    queue.finish_first(2.0)
    assert _reports(queue.call_left(3.0)) == [("say_1", "spoken")]
    assert queue.first is not None


def _left_by_a_dead_relay() -> tuple[AgentSpeech, AnnouncementQueue]:
    """A queue after a relay that died after the last sentence, `a1`, and before the playout was known."""
    speech = AgentSpeech(History(), WallClock(), truncates=True)
    queue = _queue(speech=speech)
    queue.add("1-0", Say("say_1", 0, "One.", last=True), 1.0)
    _speak(queue, "r1")
    speech.delta(AudioDelta("r1", "a1", bytes(48_000)), 1.0)
    spoken, mark = queue.finish_first(1.5)
    assert isinstance(spoken, Record)
    assert spoken.private
    assert mark == MarkSaid("", "", "1-1")
    next_speech = AgentSpeech(History(), WallClock(), truncates=True)
    next_speech.adopt(Saying("a1", "One.", 1000, 1000))
    clock = WallClock()
    return next_speech, AnnouncementQueue(
        "", next_speech, clock, transcript=[Turn("caller", "u1", "Hi.", 900), spoken.entry]
    )


def test_the_next_relay_reports_an_announcement_when_its_playout_is_known() -> None:
    speech, queue = _left_by_a_dead_relay()
    assert not queue.empty
    assert queue.settle(1.9) == []
    speech.played("a1", 1000, complete=True)
    assert _reports(queue.settle(2.0)) == [("say_1", "spoken")]
    assert queue.settle(2.1) == [], "once"
    assert queue.empty


@pytest.mark.parametrize("outcome", ["interrupted", "replaced", "call_ended", "spoken"])
def test_the_next_relay_reports_how_an_announcement_ended(outcome: str) -> None:
    _, queue = _left_by_a_dead_relay()
    ends = {
        "interrupted": queue.drop_interrupted,
        "replaced": queue.drop_replaced,
        "call_ended": queue.call_ended,
        "spoken": queue.call_left,
    }
    assert queue.begun, "the caller may interrupt it"
    assert _reports(ends[outcome](1.9)) == [("say_1", outcome)]


def test_the_next_relay_neither_repeats_nor_reports_a_reported_announcement() -> None:
    transcript: list[TranscriptEntry] = [
        Notice("say_spoken", '{"say_id":"say_1","outcome":"spoken","characters":4}', 1),
        Notice("say", '{"say_id": "say_1", "outcome": "spoken", "characters": 4}', 2),
        Notice("say", '{"say_id":"say_2","outcome":"interrupted","characters":0}', 3),
    ]
    queue = AnnouncementQueue(
        "", AgentSpeech(History(), WallClock(), truncates=True), WallClock(), transcript=transcript
    )
    for say_id in ("say_1", "say_2"):
        queue.add("1-0", Say(say_id, 0, "One.", last=True), 1.0)
    assert queue.empty


def test_an_announcement_without_a_final_record_ends_at_the_next_relay() -> None:
    """The previous relay died between the last sentence and the record of the end."""
    queue = _queue("say_1:4")
    queue.add("1-0", Say("say_1", 0, "One.", last=True), 1.0)
    assert queue.first is not None
    assert queue.first.whole
    assert not queue.first.ready
    assert _reports(queue.finish_first(2.0)[:1]) == [("say_1", "spoken")]
