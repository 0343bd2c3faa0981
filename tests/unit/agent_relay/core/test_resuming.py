"""A conversation across several voice sessions, relays and media sockets."""

from __future__ import annotations

from agent_relay.core.dialog.conversation_commands import (
    Abandon,
    Append,
    Command,
    MarkGreeted,
    PhaseChanged,
    Record,
)
from agent_relay.core.dialog.history import History, from_transcript
from agent_relay.core.dialog.hold_policy import PATIENCE_S
from agent_relay.core.dialog.interim import TONE_S
from agent_relay.core.dialog.turns import GRACE_S
from agent_relay.core.keepalive import ANSWER_S, PROBE_S
from agent_relay.core.protocol import voice_events as vl
from agent_relay.core.protocol.voice_target import Mode
from bridge_common.wire.entries import Hold, MediaAttached, MediaDetached, Notice, Played, Playing, Say
from tests.unit.support.talk import GREETING, SECOND, Talk, appended, notices, probes, profile_for, sent, types


def test_a_model_is_told_what_was_said_and_asked_for_the_owed_answer() -> None:
    talk = Talk(profile_for())
    talk.open()
    talk.turn("Where is my order?")
    lost = talk.core.session_lost("1006", 2.0)
    commands = talk.open()
    assert sent(commands)[0] == vl.create_message("user", "Where is my order?")
    assert types(commands) == ["conversation.item.create", "response.create"]
    assert notices(lost) == ["speech_overdue", "voice_lost"]
    assert notices(commands) == ["voice_resumed"]


def test_a_say_that_was_never_understood_is_asked_for_again() -> None:
    talk = Talk(profile_for())
    talk.open()
    talk.hear(vl.SpeechStarted("u1"), vl.SpeechStopped("u1"))
    talk.core.session_lost("1006", 2.0)
    assert "say that again" in str(sent(talk.open()))


def test_an_agent_remembers_by_itself() -> None:
    talk = Talk(profile_for(Mode.AGENT))
    talk.open("conv_1")
    talk.turn()
    talk.reply()
    talk.core.session_lost("1006", 2.0)
    assert talk.core.conversation_id == "conv_1"
    assert sent(talk.open("conv_1")) == []


def test_an_agent_that_forgot_is_told() -> None:
    talk = Talk(profile_for(Mode.AGENT))
    talk.open("conv_1")
    talk.turn()
    talk.reply()
    talk.core.session_lost("1006", 2.0)
    assert len(sent(talk.open("conv_other"))) == 2
    assert talk.core.conversation_id == "conv_other"


def test_a_long_gap_is_filled_with_the_hold_tone() -> None:
    talk = Talk(profile_for())
    talk.core.caller_audio(0.5)
    talk.open()
    talk.core.session_lost("1006", 2.0)
    assert talk.core.next_at() == 2.5
    assert talk.core.tick(2.5) == [Append(Hold(True))]
    assert Append(Hold(False)) in talk.open()


def test_a_takeover_replays_the_transcript_and_ends_the_hold() -> None:
    history = History()
    history.caller("u1", "Where is my order?")
    talk = Talk(profile_for(greeting=GREETING), greeted=True, resumed=True, history=history)
    talk.core.caller_audio(0.2)
    assert talk.core.tick(0.5) == [Append(Hold(True))]
    commands = talk.open()
    assert Append(Hold(False)) in commands
    assert sent(commands) == [vl.create_message("user", "Where is my order?")]


def test_while_the_relay_before_speaks_there_is_no_hold_tone() -> None:
    talk = Talk(profile_for(), greeted=True, resumed=True, alone=False)
    talk.core.caller_audio(0.2)
    assert talk.core.next_at() is None
    assert talk.core.tick(30.0) == []
    talk.core.left_alone(30.0)
    assert talk.core.tick(30.4) == []
    assert talk.core.tick(30.5) == [Append(Hold(True))]


def test_who_is_ready_when_the_relay_before_leaves_has_not_lost_anything() -> None:
    talk = Talk(profile_for(), greeted=True, resumed=True, alone=False)
    talk.core.caller_audio(0.2)
    talk.open()
    talk.core.left_alone(2.0)
    assert Append(Hold(True)) not in talk.core.tick(30.0)


def test_a_response_that_stops_coming_ends_the_session() -> None:
    talk = Talk(profile_for())
    talk.open()
    talk.turn()
    talk.hear(vl.ResponseCreated("r1"), vl.AudioDelta("r1", "a1", SECOND))
    talk.core.from_caller(Playing("a1"), 1.0)
    patience_s = profile_for().limits.patience_s
    now, commands = 1.0, list[Command]()
    while not any(isinstance(command, Abandon) for command in commands):
        now = talk.core.next_at() or 0.0
        assert now <= 1.0 + patience_s
        commands = talk.core.tick(now)
        for probe in probes(commands):
            answer = vl.ErrorEvent("item_retrieve_invalid_item_id", "No item", "item_id", str(probe["event_id"]))
            assert talk.core.voice_event(answer, now + 0.01) == []
    assert talk.core.refusal == ""
    assert now == 1.0 + patience_s
    talk.core.session_lost("abandoned", now)
    assert types(talk.open()) == ["conversation.item.create", "response.create"]


def test_a_session_that_goes_mute_in_a_response_is_given_up_soon() -> None:
    talk = Talk(profile_for())
    talk.open()
    talk.hear(vl.ResponseCreated("r1"), vl.AudioDelta("r1", "a1", SECOND))
    assert talk.core.tick(1.0 + PROBE_S - 0.1) == []
    assert len(probes(talk.core.tick(1.0 + PROBE_S))) == 1
    assert talk.core.next_at() == 1.0 + PROBE_S + ANSWER_S
    (command,) = talk.core.tick(1.0 + PROBE_S + ANSWER_S)
    assert isinstance(command, Abandon)
    assert command.retry


def test_a_session_from_which_nothing_is_due_may_be_silent() -> None:
    talk = Talk(profile_for())
    talk.open()
    assert talk.core.next_at() is None
    assert talk.core.tick(3600.0) == []


def test_a_caller_who_was_heard_and_gets_no_answer_makes_the_session_prove_itself() -> None:
    talk = Talk(profile_for())
    talk.open()
    talk.hear(vl.SpeechStarted("u1"), vl.SpeechStopped("u1"))
    assert talk.core.caller_waits
    assert len(probes(talk.core.tick(1.0 + PROBE_S))) == 1


def test_media_that_is_lost_settles_what_was_playing() -> None:
    talk = Talk(profile_for())
    talk.open()
    talk.reply()
    talk.core.from_caller(Playing("a1"), 1.0)
    commands = talk.core.from_caller(MediaDetached("gone"), 1.3)
    assert sent(commands) == [vl.truncate_item("a1", 300, "truncate-1")]


def test_the_end_writes_down_what_was_being_said() -> None:
    talk = Talk(profile_for())
    talk.open()
    talk.reply()
    phase, record = talk.core.call_ended(1.5)
    assert phase == PhaseChanged("ready", "closed", "call ended")
    assert isinstance(record, Record)
    assert talk.hear(vl.AudioDelta("r2", "a2", SECOND)) == []


def test_after_another_relay_what_the_caller_said_last_is_answered() -> None:
    history = History()
    history.caller("u1", "Where is my order?")
    talk = Talk(profile_for(), greeted=True, resumed=True, history=history)
    assert "response.create" not in types(talk.open()), "the service may hear it again, and answer by itself"
    assert "response.create" not in types(talk.core.tick(1.0 + GRACE_S - 0.1))
    assert types(talk.core.tick(1.0 + GRACE_S)) == ["response.create"]
    assert "response.create" not in types(talk.core.tick(2.0 + GRACE_S)), "once"


def test_after_another_relay_a_caller_who_is_heard_anew_is_answered_once() -> None:
    history = History()
    history.caller("u1", "Where is my order?")
    talk = Talk(profile_for(), greeted=True, resumed=True, history=history)
    talk.open()
    talk.turn()
    assert "response.create" not in types(talk.core.tick(1.0 + GRACE_S))


def test_an_agent_that_thinks_for_long_is_not_silent() -> None:
    talk = Talk(profile_for(tools=frozenset({"lookup"})))
    talk.core.caller_audio(0.5)
    talk.open()
    talk.turn()
    assert Append(Hold(True, phrase=True)) in talk.core.tick(1.0 + PATIENCE_S)
    talk.now = 5.0
    talk.hear(vl.ResponseCreated("r1"), vl.AudioDelta("r1", "a1", SECOND))
    assert (talk.core.next_at() or 0) <= 5.0
    assert Append(Hold(False)) in talk.core.tick(5.0)
    talk.hear(vl.FunctionCall("r1", "i1", "c1", "lookup", "{}"), vl.ResponseDone("r1", "completed", ""))
    talk.core.from_caller(Playing("a1"), 5.1)
    talk.core.from_caller(Played("a1", 1000, True), 6.1)
    assert Append(Hold(True)) in talk.core.tick(6.1 + TONE_S), "a function takes long"
    talk.core.tool_answered("c1", "done", 9.0)
    assert appended(talk.core.tick(9.05)) == [], "until the answer is heard"


def test_a_media_socket_that_went_without_a_word_settles_what_was_playing() -> None:
    talk = Talk(profile_for())
    talk.core.caller_audio(0.5)
    talk.open()
    talk.reply()
    talk.core.from_caller(Playing("a1"), 1.0)
    assert not talk.core.quiet
    truncated, rest = sent(talk.core.from_caller(MediaAttached(16_000), 1.3))
    assert truncated == vl.truncate_item("a1", 300, "truncate-1")
    assert rest["type"] == "response.create"


def test_a_greeting_whose_relay_died_before_it_was_spoken_is_spoken() -> None:
    talk = Talk(profile_for(greeting=GREETING), greeted=True, resumed=True)
    talk.core.caller_audio(0.5)
    assert "response.create" not in types(talk.open())
    commands = talk.core.tick(1.0 + GRACE_S)
    assert [event["event_id"] for event in sent(commands)] == ["greeting-1"]


def test_a_caller_who_has_heard_something_is_not_greeted_again() -> None:
    history = History()
    history.agent("a1", "Welcome!")
    talk = Talk(profile_for(greeting=GREETING), greeted=True, resumed=True, history=history)
    talk.core.caller_audio(0.5)
    talk.open()
    assert "response.create" not in types(talk.core.tick(10.0))


def test_a_greeting_that_was_never_due_is_spoken_once() -> None:
    talk = Talk(profile_for(greeting=GREETING), resumed=True)
    talk.core.caller_audio(0.5)
    assert MarkGreeted() in talk.open()
    assert "response.create" not in types(talk.core.tick(0.9 + GRACE_S)), "not before it is marked"
    assert len(sent(talk.core.greeting_granted(True, 3.0))) == 1


def test_the_next_relay_reports_an_announcement_whose_relay_died_after_its_last_sentence() -> None:
    first = Talk(profile_for())
    first.core.caller_audio(0.5)
    first.open()
    records = first.core.say("1-0", Say("say_1", 0, "We close now.", last=True), 1.0) + first.reply()
    transcript = [c.entry for c in records if isinstance(c, Record)]
    assert notices(records) == ["say_spoken"]
    assert first.core.said == ""
    talk = Talk(profile_for(), resumed=True, history=from_transcript(transcript), transcript=transcript)
    talk.core.caller_audio(1.5)
    assert notices(talk.open()) == ["voice_resumed"]
    heard = talk.core.from_caller(Played("a1", 1000, True), 2.5)
    assert [c.entry.detail for c in heard if isinstance(c, Record) and isinstance(c.entry, Notice)] == [
        '{"say_id":"say_1","outcome":"spoken","characters":13}'
    ]
    assert notices(talk.core.tick(60.0)) == []
