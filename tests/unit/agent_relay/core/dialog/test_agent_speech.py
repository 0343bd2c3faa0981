from __future__ import annotations

from agent_relay.core.dialog.agent_speech import UNPLAYED_S, UNTOLD_S, AgentSpeech
from agent_relay.core.dialog.conversation_commands import Append, Command, Record, Send, WallClock
from agent_relay.core.dialog.history import History
from agent_relay.core.protocol.voice_events import (
    AgentTranscriptDelta,
    AgentTranscriptDone,
    AudioDelta,
    ErrorEvent,
    ItemDone,
    create_message,
    delete_item,
    truncate_item,
)
from bridge_common.wire.audio import bytes_of_ms
from bridge_common.wire.entries import Audio, Clear, ItemEnd, Saying, Turn

SECOND = bytes(bytes_of_ms(1000, 24_000))
WORDS = "one two three four"


def _speech(*, truncates: bool = True) -> tuple[AgentSpeech, History]:
    history = History()
    return AgentSpeech(history, WallClock(), truncates=truncates), history


def _say(speech: AgentSpeech, item: str = "a1", response: str = "r1", at: float = 10.0) -> list[Command]:
    commands = speech.text(AgentTranscriptDone(response, item, WORDS), at)
    commands += speech.delta(AudioDelta(response, item, SECOND), at)
    commands += speech.item_done(ItemDone(response, item))
    return commands + speech.response_done(response)


def test_speech_goes_to_the_downlink_and_is_recorded_once_heard() -> None:
    speech, history = _speech()
    speech.caller_stopped(9.0)
    saying = Record(Saying("a1", WORDS, 10_000, 1000))
    assert _say(speech) == [Append(Audio("a1", SECOND)), Append(ItemEnd("a1")), saying]
    speech.playing("a1", 10.2)
    turn = Turn("agent", "a1", WORDS, 10_000, heard_ms=1000, first_delta_ms=1000, first_frame_ms=1200)
    assert speech.played("a1", 1000, complete=True) == [Record(turn)]
    assert speech.quiet
    assert history.replay() == [create_message("assistant", WORDS)]


def test_only_the_first_item_answers_the_caller() -> None:
    speech, _ = _speech()
    speech.caller_stopped(9.0)
    _say(speech, "a1", "r1")
    _say(speech, "a2", "r2")
    speech.played("a1", 1000, complete=True)
    (record,) = speech.played("a2", 1000, complete=True)
    assert isinstance(record, Record)
    assert isinstance(record.entry, Turn)
    assert record.entry.first_delta_ms == -1


def test_an_interruption_clears_what_was_not_heard_although_the_response_is_done() -> None:
    speech, history = _speech()
    _say(speech)
    assert speech.interrupt("") == [Append(Clear("a1"))]
    assert speech.interrupt("") == [], "cleared already"
    commands = speech.played("a1", 500, complete=False)
    turn = Turn("agent", "a1", "one two", 10_000, interrupted=True, heard_ms=500)
    assert commands == [Send(truncate_item("a1", 500, "truncate-1")), Record(turn)]
    assert history.replay() == [create_message("assistant", "one two")]


def test_the_rest_of_an_interrupted_response_is_dropped() -> None:
    """Further items of the response are dropped too, if the response is only known from the item that was heard."""
    speech, _ = _speech()
    speech.delta(AudioDelta("r1", "a1", SECOND), 10.0)
    speech.interrupt("")
    assert speech.delta(AudioDelta("r1", "a2", SECOND), 10.1) == []
    assert speech.text(AgentTranscriptDone("r1", "a2", WORDS), 10.1) == []
    speech.response_done("r1")
    assert speech.delta(AudioDelta("r2", "a3", SECOND), 10.2) == [Append(Audio("a3", SECOND))]


def test_a_response_that_was_interrupted_before_its_first_sound_stays_silent() -> None:
    speech, _ = _speech()
    speech.interrupt("r1")
    assert speech.delta(AudioDelta("r1", "a1", SECOND), 10.0) == []


def test_deltas_that_come_late_are_dropped_until_the_response_is_done() -> None:
    speech, _ = _speech()
    speech.delta(AudioDelta("r1", "a1", SECOND), 10.0)
    assert speech.interrupt("r1") == [Append(Clear("a1"))]
    assert speech.dropped("r1")
    assert speech.delta(AudioDelta("r1", "a1", SECOND), 10.1) == []
    assert speech.delta(AudioDelta("r1", "a2", SECOND), 10.1) == []
    assert speech.item_done(ItemDone("r1", "a1")) == []
    assert speech.response_done("r1") == [Send(delete_item("a2", "delete-1"))], "none of a2 was heard"
    assert not speech.dropped("r1")
    assert len(speech.delta(AudioDelta("r2", "a3", SECOND), 10.2)) == 1


def test_nothing_of_a_cleared_item_follows_even_without_its_response() -> None:
    speech, _ = _speech()
    _say(speech)
    speech.interrupt("")
    speech.played("a1", 0, complete=False)
    assert speech.delta(AudioDelta("r1", "a1", SECOND), 11.0) == []
    assert speech.text(AgentTranscriptDone("r1", "a1", "x"), 11.0) == []


def test_a_truncation_is_bounded_by_what_was_generated() -> None:
    speech, _ = _speech()
    _say(speech)
    speech.interrupt("")
    assert speech.played("a1", 5000, complete=False)[0] == Send(truncate_item("a1", 1000, "truncate-1"))


def test_voice_live_truncates_by_itself_when_it_was_asked_to() -> None:
    speech, _ = _speech(truncates=False)
    _say(speech)
    speech.interrupt("")
    assert not [c for c in speech.played("a1", 500, complete=False) if isinstance(c, Send)]


def test_items_of_a_lost_session_are_ended_and_never_truncated() -> None:
    speech, _ = _speech()
    speech.delta(AudioDelta("r1", "a1", SECOND), 10.0)
    assert speech.session_lost() == [Append(ItemEnd("a1"))]
    speech.interrupt("")
    assert not [c for c in speech.played("a1", 500, complete=False) if isinstance(c, Send)]


def test_a_response_that_ends_early_ends_its_item() -> None:
    speech, _ = _speech()
    speech.delta(AudioDelta("r1", "a1", SECOND), 10.0)
    assert speech.spoken_ms("r1")
    assert speech.response_done("r1") == [Append(ItemEnd("a1"))]


def test_what_was_never_spoken_was_never_said() -> None:
    speech, history = _speech()
    speech.text(AgentTranscriptDelta("r1", "a1", "Hello"), 10.0)
    assert speech.response_done("r1") == []
    assert history.replay() == []
    assert speech.quiet


def test_a_lost_media_socket_takes_what_it_had_not_played() -> None:
    speech, _ = _speech()
    _say(speech)
    speech.playing("a1", 10.0)
    commands = speech.unheard_is_lost(10.5)
    assert commands[0] == Send(truncate_item("a1", 500, "truncate-1"))
    assert speech.quiet


def test_at_the_end_of_the_call_only_the_transcript_is_written() -> None:
    speech, _ = _speech()
    speech.delta(AudioDelta("r1", "a1", SECOND), 10.0)
    speech.text(AgentTranscriptDelta("r1", "a1", WORDS), 10.0)
    speech.playing("a1", 10.0)
    turn = Turn("agent", "a1", "one two", 10_000, interrupted=True, heard_ms=500)
    assert speech.call_ended(10.5) == [Record(turn)]


def test_what_another_relay_let_it_say_can_be_interrupted_and_is_cut_to_what_was_heard() -> None:
    speech, history = _speech()
    history.agent("a1", WORDS)
    speech.adopt(Saying("a1", WORDS, 10_000, 1000))
    assert speech.interrupt("") == [Append(Clear("a1"))]
    turn = Turn("agent", "a1", "one two", 10_000, interrupted=True, heard_ms=500)
    assert speech.played("a1", 500, complete=False) == [Record(turn)], "this session has no such item to truncate"
    assert history.replay() == [create_message("assistant", "one two")]


def test_what_another_relay_let_it_say_counts_as_heard_when_nobody_tells() -> None:
    speech, _ = _speech()
    speech.adopt(Saying("a1", WORDS, 10_000, 1000))
    assert speech.next_at == 11.0 + UNTOLD_S
    assert speech.tick(11.0) == []
    assert speech.tick(11.0 + UNTOLD_S) == [Record(Turn("agent", "a1", WORDS, 10_000, heard_ms=1000))]
    assert speech.next_at is None


def test_what_waited_when_another_socket_came_is_settled_in_any_case() -> None:
    speech, _ = _speech()
    _say(speech, "a1", "r1")
    _say(speech, "a2", "r2")
    speech.playing("a1", 10.0)
    commands = speech.another_socket(10.5, 10.5)
    assert commands[0] == Send(truncate_item("a1", 500, "truncate-1"))
    assert speech.next_at == 10.5 + UNPLAYED_S
    (_, record) = speech.tick(10.5 + UNPLAYED_S)
    assert record == Record(Turn("agent", "a2", "", 10_000, interrupted=True, heard_ms=0)), "never heard"


def test_what_another_socket_plays_is_settled_after_its_end() -> None:
    speech, _ = _speech()
    for item in ("a1", "a2"):
        _say(speech, item, item)
    speech.another_socket(10.2, 10.5)
    assert speech.tick(10.5 + UNPLAYED_S - 0.1) == []
    speech.playing("a1", 10.6)
    assert speech.next_at == 10.5 + UNPLAYED_S + 1.0, "a2 begins after the second of a1"
    speech.playing("a2", 11.6)
    assert speech.next_at == 10.6 + 1.0 + UNTOLD_S


def test_an_item_ends_with_its_own_end_and_not_with_its_first_part() -> None:
    speech, history = _speech()
    commands = speech.text(AgentTranscriptDone("r1", "a1", "We are open."), 10.0)
    commands += speech.delta(AudioDelta("r1", "a1", SECOND), 10.0)
    assert Append(ItemEnd("a1")) not in commands
    speech.text(AgentTranscriptDelta("r1", "a1", "Anything", 1), 16.0)
    assert speech.delta(AudioDelta("r1", "a1", SECOND, 1), 16.0) == [Append(Audio("a1", SECOND))]
    speech.text(AgentTranscriptDone("r1", "a1", "Anything else?", 1), 16.0)
    text = "We are open. Anything else?"
    assert speech.item_done(ItemDone("r1", "a1")) == [
        Append(ItemEnd("a1")),
        Record(Saying("a1", text, 10_000, 2000)),
    ]
    assert speech.response_done("r1") == []
    assert speech.played("a1", 2000, complete=True) == [Record(Turn("agent", "a1", text, 10_000, heard_ms=2000))]
    assert history.replay() == [create_message("assistant", text)]


def test_the_part_that_was_heard_last_is_truncated() -> None:
    speech, history = _speech()
    speech.text(AgentTranscriptDone("r1", "a1", WORDS), 10.0)
    speech.delta(AudioDelta("r1", "a1", SECOND), 10.0)
    speech.text(AgentTranscriptDone("r1", "a1", "five six", 1), 10.0)
    speech.delta(AudioDelta("r1", "a1", SECOND, 1), 10.0)
    speech.interrupt("r1")
    commands = speech.played("a1", 1500, complete=False)
    assert commands[0] == Send(truncate_item("a1", 500, "truncate-2", 1))
    assert history.replay() == [create_message("assistant", f"{WORDS} five")]


def test_a_part_behind_the_one_that_was_heard_is_truncated_too() -> None:
    speech, history = _speech()
    speech.text(AgentTranscriptDone("r1", "a1", WORDS), 10.0)
    speech.delta(AudioDelta("r1", "a1", SECOND), 10.0)
    speech.text(AgentTranscriptDone("r1", "a1", "five six", 1), 10.0)
    speech.delta(AudioDelta("r1", "a1", SECOND, 1), 10.0)
    speech.interrupt("r1")
    commands = speech.played("a1", 500, complete=False)
    assert commands[:2] == [
        Send(truncate_item("a1", 500, "truncate-1")),
        Send(truncate_item("a1", 0, "truncate-2", 1)),
    ]
    assert history.replay() == [create_message("assistant", "one two")]


def test_half_a_sample_waits_for_its_other_half() -> None:
    speech, _ = _speech()
    sent = b""
    for piece in (SECOND[:1001], SECOND[1001:1002], SECOND[1002:1003], SECOND[1003:]):
        for command in speech.delta(AudioDelta("r1", "a1", piece), 10.0):
            assert isinstance(command, Append)
            assert isinstance(command.entry, Audio)
            assert len(command.entry.pcm24k) % 2 == 0
            sent += command.entry.pcm24k
    assert sent == SECOND
    speech.interrupt("r1")
    assert speech.played("a1", 5000, complete=False)[0] == Send(truncate_item("a1", 1000, "truncate-1"))


def test_half_a_sample_is_not_carried_into_another_part() -> None:
    speech, _ = _speech()
    speech.delta(AudioDelta("r1", "a1", b"\1\2\3"), 10.0)
    assert speech.delta(AudioDelta("r1", "a1", b"\4\5", 1), 10.0) == [Append(Audio("a1", b"\4\5"))]


def test_an_item_of_which_nothing_was_heard_is_deleted_if_it_cannot_be_truncated() -> None:
    speech, _ = _speech()
    _say(speech)
    speech.interrupt("")
    assert speech.played("a1", 0, complete=False)[0] == Send(truncate_item("a1", 0, "truncate-2"))
    refusal = ErrorEvent("unsupported_content_type", "Only model output audio messages can be truncated", "", "")
    assert speech.truncations.refused(refusal) == [delete_item("a1", "delete-1")]
    assert speech.truncations.refused(ErrorEvent("x", "No item", "", "delete-1")) == []
    assert speech.truncations.refused(refusal) is None


def test_words_of_a_dropped_response_that_were_never_spoken_are_deleted() -> None:
    speech, _ = _speech()
    speech.text(AgentTranscriptDelta("r1", "a1", "It is"), 10.0)
    speech.drop("r1")
    assert speech.text(AgentTranscriptDelta("r1", "a2", " on its way"), 10.1) == []
    assert speech.delta(AudioDelta("r1", "a3", SECOND), 10.1) == []
    deleted = [command.event["item_id"] for command in speech.response_done("r1") if isinstance(command, Send)]
    assert sorted(map(str, deleted)) == ["a1", "a2", "a3"]
    assert speech.response_done("r1") == []


def test_what_voice_live_truncates_by_itself_is_not_deleted() -> None:
    speech, _ = _speech(truncates=False)
    speech.text(AgentTranscriptDelta("r1", "a1", "It is"), 10.0)
    speech.drop("r1")
    assert speech.response_done("r1") == []


def test_a_transcript_that_is_repeated_after_its_turn_changes_nothing() -> None:
    speech, history = _speech()
    _say(speech)
    speech.played("a1", 1000, complete=True)
    assert speech.text(AgentTranscriptDone("r1", "a1", WORDS), 12.0) == []
    assert speech.response_done("r1") == []
    assert history.replay() == [create_message("assistant", WORDS)]


def test_a_response_without_a_sound_is_settled_when_it_is_done() -> None:
    """An announcement must not wait for a report about audio that was never played."""
    speech, _ = _speech()
    speech.text(AgentTranscriptDone("r1", "a1", WORDS), 10.0)
    assert not speech.settled(["r1"])
    speech.response_done("r1")
    assert speech.settled(["r1"])


def test_what_another_relay_let_it_say_is_not_truncated_in_a_later_session_either() -> None:
    speech, _ = _speech()
    speech.adopt(Saying("a1", WORDS, 10_000, 1000))
    speech.session_lost()
    assert not [command for command in speech.played("a1", 500, complete=False) if isinstance(command, Send)]


def test_only_the_first_report_about_an_item_counts() -> None:
    speech, _ = _speech()
    speech.delta(AudioDelta("r1", "a1", SECOND), 10.0)
    speech.text(AgentTranscriptDelta("r1", "silent", WORDS), 10.0)
    assert speech.played("silent", 300, complete=False) == [], "it has no audio"
    assert speech.played("unknown", 1, complete=True) == []
    assert speech.played("a1", 300, complete=False) == [Send(truncate_item("a1", 300, "truncate-1"))]
    assert speech.played("a1", 900, complete=True) == []


def test_only_items_with_audio_that_nobody_cleared_are_unheard() -> None:
    speech, _ = _speech()
    speech.text(AgentTranscriptDelta("r1", "silent", WORDS), 10.0)
    quiet = [speech.quiet]
    speech.delta(AudioDelta("r1", "a1", SECOND), 10.0)
    quiet.append(speech.quiet)
    assert speech.interrupt("") == [Append(Clear("a1"))]
    assert [*quiet, speech.quiet] == [True, False, True]
    assert speech.may_be_unheard("r1")
