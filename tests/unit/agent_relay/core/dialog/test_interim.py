"""Phrases that are spoken while a tool runs: when they are due, and what happens around them."""

from __future__ import annotations

import dataclasses

from agent_relay.core.dialog.conversation_commands import Append, Command
from agent_relay.core.dialog.interim import GRACE_S, TONE_S, InterimProfile
from agent_relay.core.protocol import voice_events as vl
from bridge_common.wire.entries import Clear, Hold, Instruct, Played, Playing
from tests.unit.support.talk import SECOND, Talk, appended, notices, probes, profile_for, sent, types

TEXTS = ("One moment.", "I am still looking.")
INTERIM = InterimProfile(TEXTS, after_s=1.0, again_after_s=5.0)
PHRASE = [vl.create_spoken(TEXTS[0]) | {"event_id": "interim-1"}]


def waiting(interim: InterimProfile = INTERIM, *, says: str = "") -> Talk:
    """A caller who has waited for a tool since second 1. `says`: the agent has said this before it called the tool."""
    talk = Talk(dataclasses.replace(profile_for(tools=frozenset({"look_up"})), interim=interim))
    talk.core.caller_audio(0.5)
    talk.open()
    talk.turn()
    talk.hear(vl.ResponseCreated("r1"))
    if says:
        talk.hear(vl.AudioDelta("r1", "a1", SECOND), vl.AgentTranscriptDone("r1", "a1", says))
    talk.hear(vl.FunctionCall("r1", "i1", "c1", "look_up", "{}"), vl.ResponseDone("r1", "completed", ""))
    return talk


def run_to(talk: Talk, until: float) -> list[Command]:
    """The commands of all deadlines up to a time. The service answers every probe."""
    commands: list[Command] = []
    while (at := talk.core.next_at()) is not None and at <= until:
        talk.now = max(talk.now, at)
        step = talk.core.tick(talk.now)
        commands += step
        for probe in probes(step):
            talk.hear(vl.ErrorEvent("item_retrieve_invalid_item_id", "No item", "item_id", str(probe["event_id"])))
        assert len(commands) < 100, "a deadline that does not pass"
    talk.now = until
    return commands


def speak(talk: Talk, response: str = "f1", item: str = "fa1", text: str = TEXTS[0]) -> list[Command]:
    """The service speaks a phrase of one second; the caller has not heard it yet."""
    return talk.hear(
        vl.ResponseCreated(response),
        vl.AgentTranscriptDone(response, item, text),
        vl.AudioDelta(response, item, SECOND),
        vl.ItemDone(response, item),
        vl.ResponseDone(response, "completed", ""),
    )


def listen(talk: Talk, item: str = "fa1") -> list[Command]:
    """The caller hears an item of one second to its end."""
    commands = talk.core.from_caller(Playing(item), talk.now)
    talk.now += 1.0
    return commands + talk.core.from_caller(Played(item, 1000, True), talk.now)


def test_a_phrase_fills_the_wait_and_another_one_a_longer_wait() -> None:
    talk = waiting()
    assert run_to(talk, 1.99) == []
    assert sent(run_to(talk, 2.0)) == PHRASE
    speak(talk)
    listen(talk)
    again = run_to(talk, talk.now + INTERIM.again_after_s)
    assert sent(again) == [vl.create_spoken(TEXTS[1]) | {"event_id": "interim-2"}]
    assert appended(again) == [Hold(True)], "the tone without a recorded phrase, because the agent has spoken"


def test_the_tone_begins_soon_if_nothing_may_be_said() -> None:
    talk = waiting(InterimProfile())
    commands = run_to(talk, 30.0)
    assert sent(commands) == []
    assert appended(commands) == [Hold(True, phrase=True)]
    talk = waiting(InterimProfile())
    assert appended(run_to(talk, 1.0 + TONE_S - 0.01)) == []
    assert appended(run_to(talk, 1.0 + TONE_S)) == [Hold(True, phrase=True)]


def test_the_tone_lasts_until_the_answer_is_heard() -> None:
    talk = waiting(InterimProfile())
    run_to(talk, 4.0)
    talk.core.tool_answered("c1", "{}", 4.0)
    assert appended(run_to(talk, 4.5)) == []
    talk.hear(vl.ResponseCreated("r2"), vl.AudioDelta("r2", "a2", SECOND))
    assert Append(Hold(False)) in run_to(talk, 4.6)


def test_what_the_agent_says_itself_counts_as_a_phrase() -> None:
    talk = waiting(says="Let me look that up.")
    listen(talk, "a1")
    assert sent(run_to(talk, talk.now + INTERIM.again_after_s - 0.01)) == []
    assert len(sent(run_to(talk, talk.now + 0.02))) == 1


def test_a_fast_tool_needs_no_phrase_even_if_the_model_was_slow() -> None:
    talk = Talk(dataclasses.replace(profile_for(tools=frozenset({"look_up"})), interim=INTERIM))
    talk.core.caller_audio(0.5)
    talk.open()
    talk.turn()
    talk.now = 2.5
    commands = talk.hear(
        vl.ResponseCreated("r1"),
        vl.FunctionCall("r1", "i1", "c1", "look_up", "{}"),
        vl.ResponseDone("r1", "completed", ""),
    )
    assert "response.create" not in types(commands + run_to(talk, 2.5 + GRACE_S - 0.01))
    assert sent(run_to(talk, 2.5 + GRACE_S)) == PHRASE


def test_the_answer_waits_for_the_end_of_the_phrase() -> None:
    talk = waiting()
    run_to(talk, 2.0)
    talk.hear(vl.ResponseCreated("f1"), vl.AudioDelta("f1", "fa1", SECOND))
    commands = talk.core.tool_answered("c1", "found", 2.1)
    assert types(commands) == ["conversation.item.create"], "not while the phrase is generated"
    assert types(talk.hear(vl.ResponseDone("f1", "completed", ""))) == ["response.create"]
    speech = talk.hear(vl.ResponseCreated("r2"), vl.AudioDelta("r2", "a2", SECOND))
    assert Clear("fa1") not in appended(speech), "it follows the phrase in the downlink"


def test_a_result_between_the_request_and_the_phrase_is_answered_after_it() -> None:
    talk = waiting()
    run_to(talk, 2.0)
    assert types(talk.core.tool_answered("c1", "found", 2.0)) == ["conversation.item.create"]
    assert types(speak(talk)) == ["response.create"]


def test_a_caller_who_interrupts_the_phrase_does_not_cancel_the_tool() -> None:
    talk = waiting()
    run_to(talk, 2.0)
    speak(talk)
    talk.core.from_caller(Playing("fa1"), 2.2)
    assert appended(talk.hear(vl.SpeechStarted("u2"))) == [Clear("fa1")]
    talk.core.from_caller(Played("fa1", 300, False), 2.3)
    talk.hear(vl.SpeechStopped("u2"), vl.UserTranscript("u2", "Hello?"))
    talk.reply("a2", "r2")
    talk.core.from_caller(Playing("a2"), 2.5)
    commands = talk.core.tool_answered("c1", "found", 3.0)
    assert types(commands) == ["conversation.item.create", "response.create"]


def test_a_result_is_not_lost_if_the_caller_interrupts_the_phrase() -> None:
    talk = waiting()
    run_to(talk, 2.0)
    talk.hear(vl.ResponseCreated("f1"), vl.AudioDelta("f1", "fa1", SECOND))
    talk.core.tool_answered("c1", "found", 2.1)
    talk.hear(vl.SpeechStarted("u2"), vl.ResponseDone("f1", "cancelled", "turn_detected"))
    commands = talk.hear(vl.SpeechStopped("u2"), vl.UserTranscript("u2", ""))
    assert types(commands)[-1] == "response.create", "the speech was a noise"


def test_a_noise_during_a_tool_requests_no_answer_before_the_result() -> None:
    talk = waiting()
    commands = talk.hear(vl.SpeechStarted("u2"), vl.SpeechStopped("u2"), vl.UserTranscript("u2", ""))
    assert types(commands) == []
    assert sent(run_to(talk, 2.0)) == PHRASE
    speak(talk)
    assert types(talk.core.tool_answered("c1", "found", 3.0)) == ["conversation.item.create", "response.create"]


def test_nothing_is_said_over_the_caller_or_before_a_hang_up() -> None:
    talk = waiting()
    talk.hear(vl.SpeechStarted("u2"))
    assert sent(run_to(talk, 5.0)) == []
    talk = waiting()
    talk.core.instruct(Instruct("i1", "goodbye", '{"interruptible":false}'), 1.5)
    assert "One moment" not in str(sent(run_to(talk, 3.0)))


def test_a_phrase_that_begins_while_the_caller_speaks_is_cancelled() -> None:
    talk = waiting()
    run_to(talk, 2.0)
    talk.hear(vl.SpeechStarted("u2"))
    assert sent(talk.hear(vl.ResponseCreated("f1"))) == [vl.cancel_response("f1")]


def test_a_rejected_form_is_replaced_by_the_next() -> None:
    talk = waiting()
    run_to(talk, 2.0)
    refusal = vl.ErrorEvent("invalid_value", "unexpected field", "", "interim-1", "invalid_request_error")
    assert sent(talk.hear(refusal)) == [
        vl.create_instructed(f'Say exactly this to the caller now, and nothing else: "{TEXTS[0]}"')
        | {"event_id": "interim-2"}
    ]


def test_a_phrase_that_the_service_does_not_speak_is_left_to_the_tone() -> None:
    talk = waiting()
    run_to(talk, 2.0)
    busy = vl.ErrorEvent("server_error", "busy", "", "interim-1", "server_error")
    commands = talk.hear(busy)
    assert notices(commands) == ["request_refused"]
    commands += run_to(talk, 6.9)
    assert sent(commands) == []
    assert appended(commands) == [Hold(True, phrase=True)]
    assert len(sent(run_to(talk, 7.0))) == 1, "the next phrase is tried"


def test_an_unanswered_phrase_does_not_block_the_result() -> None:
    talk = waiting()
    limits = profile_for().limits
    run_to(talk, 2.0)
    talk.core.tool_answered("c1", "found", 3.0)
    assert types(run_to(talk, 2.0 + limits.start_s))[-1] == "response.create"


def test_a_phrase_that_does_not_end_is_cancelled() -> None:
    talk = waiting()
    limits = profile_for().limits
    run_to(talk, 2.0)
    talk.hear(vl.ResponseCreated("f1"), vl.AudioDelta("f1", "fa1", SECOND))
    talk.core.tool_answered("c1", "found", 3.0)
    commands = sent(run_to(talk, 2.0 + limits.fallback_s))
    assert vl.cancel_response("f1") in commands
    assert commands[-1]["type"] == "response.create"


def test_a_lost_session_ends_the_phrase_and_not_the_tool() -> None:
    talk = waiting()
    run_to(talk, 2.0)
    talk.core.session_lost("closed", 2.5)
    talk.now = 3.0
    talk.open()
    commands = talk.core.tool_answered("c1", "found", 3.5)
    assert types(commands) == ["conversation.item.create", "conversation.item.create", "response.create"]
