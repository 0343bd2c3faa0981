"""Instructions of call-control, the goodbye before a hang-up, and silent callers."""

from __future__ import annotations

import json
from typing import Any, cast

import pytest

from agent_relay.core.dialog.conversation_commands import ReportGoodbye, RequestAction
from agent_relay.core.dialog.interim import InterimProfile
from agent_relay.core.dialog.session_profile import MannersProfile
from agent_relay.core.dialog.silence_policy import SilenceLimits
from agent_relay.core.protocol import voice_events as vl
from agent_relay.core.protocol.keypad_profile import KeypadProfile
from bridge_common.wire.entries import Clear, Dtmf, Instruct, Played, Playing
from tests.unit.support.acting_talk import (
    begin,
    call,
    finished,
    goodbyes,
    heard,
    requested,
    talking,
    wait,
)
from tests.unit.support.talk import SECOND, appended, sent


# -- instructions -----------------------------------------------------------------------------------------------------
def test_an_operator_s_hang_up_is_preceded_by_the_profile_s_goodbye() -> None:
    talk = talking(manners=MannersProfile(goodbye="Have a good day."))
    talk.reply()
    heard(talk)
    commands = talk.core.instruct(Instruct("act_1", "goodbye", '{"interruptible":false}'), talk.now)
    [asked] = [event for event in sent(commands) if event["type"] != "response.create"] or sent(commands)
    assert "Have a good day." in json.dumps(asked)
    assert talk.core.instruct(Instruct("act_1", "goodbye", '{"interruptible":false}'), talk.now) == []
    begin(talk, audible=True, response="r2", item="a2")
    talk.hear(vl.ResponseDone("r2", "completed", ""))
    assert goodbyes(finished(talk, "a2")) == [("act_1", "heard")]


def test_the_goodbye_follows_speech_that_ends_soon_and_interrupts_longer_speech() -> None:
    for ends_soon in (True, False):
        talk = talking(manners=MannersProfile(goodbye="Have a good day."))
        talk.hear(vl.ResponseCreated("r1"), *[vl.AudioDelta("r1", "a1", SECOND)] * 10)
        talk.hear(vl.ResponseDone("r1", "completed", ""))
        talk.core.from_caller(Playing("a1"), talk.now)
        commands = talk.core.instruct(Instruct("act_1", "goodbye", '{"interruptible":false}'), talk.now)
        commands += wait(talk, 3.0)
        assert "Have a good day." not in json.dumps(sent(commands))
        whole = Played("a1", 10_000, True)
        commands = talk.core.from_caller(whole, talk.now) if ends_soon else wait(talk, 1.2)
        assert "Have a good day." in json.dumps(sent(commands))
        assert (Clear("a1") in appended(commands)) is not ends_soon
        talk.core.from_caller(Played("a1", 4_000, False), talk.now)
        begin(talk, audible=True, response="r2", item="a2")
        talk.hear(vl.ResponseDone("r2", "completed", ""))
        assert goodbyes(finished(talk, "a2")) == [("act_1", "heard")]


def test_the_recording_that_asks_the_caller_to_wait_is_no_goodbye() -> None:
    talk = talking()
    talk.reply()
    heard(talk)
    talk.core.instruct(Instruct("act_1", "goodbye", '{"interruptible":false}'), talk.now)
    heard(talk, "wait")
    assert goodbyes(wait(talk, 1.0)) == []
    assert goodbyes(wait(talk, 4.0)) == [("act_1", "failed")]


def test_a_running_function_does_not_delay_the_hang_up_and_its_result_is_not_spoken() -> None:
    for answers_during_goodbye in (False, True):
        talk = talking(tools=frozenset({"look_up"}))
        begin(talk, audible=False)
        talk.hear(call("look_up"), vl.ResponseDone("r1", "completed", ""))
        commands = talk.core.instruct(Instruct("act_1", "goodbye", '{"interruptible":false}'), talk.now)
        assert "Goodbye." in json.dumps(sent(commands))
        begin(talk, audible=True, response="r2", item="a2")
        talk.hear(vl.ResponseDone("r2", "completed", ""))
        talk.core.from_caller(Playing("a2"), talk.now)
        if answers_during_goodbye:
            answer = talk.core.tool_answered("c1", "{}", talk.now)
            assert [event["type"] for event in sent(answer)] == ["conversation.item.create"]
        commands = talk.core.from_caller(Played("a2", 1000, True), talk.now) + wait(talk, 0.4)
        assert goodbyes(commands) == [("act_1", "heard")]
        assert sent(wait(talk, 2.0)) == []


def test_a_function_beside_the_hang_up_adds_no_words_to_the_goodbye() -> None:
    talk = talking(tools=frozenset({"log_outcome"}))
    begin(talk, audible=True)
    talk.hear(call("log_outcome", call_id="c0"), call(reason="done"), vl.ResponseDone("r1", "completed", ""))
    answer = talk.core.tool_answered("c0", "{}", talk.now)
    assert [event["type"] for event in sent(answer)] == ["conversation.item.create"]
    assert goodbyes(finished(talk)) == [("fn_c1", "heard")]


def test_a_hang_up_through_a_tool_of_the_platform_waits_for_the_agent_s_goodbye() -> None:
    talk = talking()
    begin(talk, audible=True)
    talk.core.instruct(Instruct("act_1", "goodbye", '{"interruptible":true}'), talk.now)
    talk.hear(vl.ResponseDone("r1", "completed", ""))
    assert goodbyes(finished(talk)) == [("act_1", "heard")]


def test_outcomes_are_told_to_the_agent() -> None:
    talk = talking()
    commands = talk.core.instruct(
        Instruct("a", "outcome", '{"action":"send_dtmf","state":"failed","reason":"8501"}'), 2.0
    )
    [event] = sent(commands)
    item = cast(Any, event["item"])
    assert item["role"] == "system"
    assert "send_dtmf" in item["content"][0]["text"]
    assert talk.core.instruct(Instruct("b", "dance", "nonsense"), 2.0) == []


@pytest.mark.parametrize("outcome", ["heard", "interrupted"])
def test_a_goodbye_that_is_over_before_the_hang_up_is_known_is_reported_again(outcome: str) -> None:
    """call-control may process the end of the goodbye before the request, for example if the process that had read the
    request has died.
    """
    talk = talking()
    begin(talk, audible=True)
    talk.hear(call(reason="done"), vl.ResponseDone("r1", "completed", ""))
    over = finished(talk) if outcome == "heard" else talk.hear(vl.SpeechStarted("u2"))
    assert goodbyes(over) == [("fn_c1", outcome)]
    late = Instruct("fn_c1", "goodbye", '{"interruptible":true}')
    assert goodbyes(talk.core.instruct(late, talk.now)) == [("fn_c1", outcome)]
    assert talk.core.instruct(late, talk.now) == []


def test_a_hang_up_that_call_control_does_not_know_is_requested_again() -> None:
    """Redis loses the latest writes in a failover without `COORDINATED`, or when it restarts empty."""
    talk = talking()
    begin(talk, audible=True)
    talk.hear(call(reason="done"), vl.ResponseDone("r1", "completed", ""))
    finished(talk)
    for _ in range(3):
        commands = wait(talk, 3.0)
        assert [type(one) for one in commands] == [RequestAction, ReportGoodbye], "in this order"
        assert requested(commands) == [("fn_c1", "hang_up", "agent")]
        assert goodbyes(commands) == [("fn_c1", "heard")]
    assert wait(talk, 6.0) == []


def test_a_hang_up_is_requested_again_although_its_goodbye_does_not_end() -> None:
    """The report that the goodbye was played may be lost as well; call-control then ends it after its time limit."""
    talk = talking()
    begin(talk, audible=True)
    talk.hear(call(reason="done"), vl.ResponseDone("r1", "completed", ""))
    commands = wait(talk, 12.0)
    assert requested(commands) == [("fn_c1", "hang_up", "agent")] * 3
    assert goodbyes(commands) == []


def test_a_late_check_asks_for_the_goodbye_and_requests_the_hang_up_again() -> None:
    talk = talking()
    begin(talk, audible=False)
    talk.hear(call(reason="done"), vl.ResponseDone("r1", "completed", ""))
    begin(talk, audible=False, response="r2")
    talk.hear(vl.ResponseDone("r2", "failed", ""))
    talk.now += 4.5
    assert requested(talk.core.tick(talk.now)) == [("fn_c1", "hang_up", "agent")]


def test_a_hang_up_is_not_requested_again_while_the_caller_speaks() -> None:
    talk = talking()
    begin(talk, audible=True)
    talk.hear(call(reason="done"), vl.ResponseDone("r1", "completed", ""))
    finished(talk)
    talk.hear(vl.SpeechStarted("u2"))
    assert requested(wait(talk, 4.0)) == []


def test_an_operator_s_hang_up_that_was_lost_is_requested_again() -> None:
    talk = talking()
    talk.reply()
    heard(talk)
    talk.core.instruct(Instruct("act_1", "goodbye", '{"interruptible":false}'), talk.now)
    begin(talk, audible=True, response="r2", item="a2")
    talk.hear(vl.ResponseDone("r2", "completed", ""))
    finished(talk, "a2")
    assert requested(wait(talk, 3.0)) == [("act_1", "hang_up", "operator")]


def test_an_older_answer_that_begins_to_play_is_no_goodbye() -> None:
    """The agent ends the call in a response without speech, which is canceled."""
    talk = talking(manners=MannersProfile(goodbye="Have a good day."))
    begin(talk, audible=True)
    talk.hear(vl.ResponseDone("r1", "completed", ""), vl.ResponseCreated("r2"))
    commands = talk.hear(call(reason="done", response="r2"), vl.ResponseDone("r2", "cancelled", ""))
    assert requested(commands) == [("fn_c1", "hang_up", "agent")]
    commands = heard(talk) + wait(talk, 3.2)
    assert goodbyes(commands) == []
    assert "Have a good day." in json.dumps(sent(commands))


def test_a_goodbye_that_the_service_refuses_to_speak_does_not_delay_the_hang_up() -> None:
    talk = talking()
    talk.reply()
    heard(talk)
    commands = talk.core.instruct(Instruct("act_1", "goodbye", '{"interruptible":false}'), talk.now)
    for _ in range(8):
        asked = [event for event in sent(commands) if event["type"] == "response.create"]
        if not asked:
            break
        refused = vl.ErrorEvent("invalid_value", "no", "", str(asked[-1]["event_id"]), "invalid_request_error")
        commands = talk.hear(refused)
    assert goodbyes(commands) == [("act_1", "failed")], "at once, not after four seconds"


def test_a_function_call_without_an_id_is_ignored() -> None:
    talk = talking()
    begin(talk, audible=True)
    commands = talk.hear(call(call_id=""), vl.ResponseDone("r1", "completed", ""))
    assert sent(commands) == []


# -- silence ----------------------------------------------------------------------------------------------------------
def test_a_silent_caller_is_asked_and_then_hung_up() -> None:
    manners = MannersProfile(silence=SilenceLimits(5.0, reprompts=1), reprompt="Hello?", goodbye="Bye.")
    talk = talking(manners=manners)
    talk.reply()
    heard(talk)
    assert sent(wait(talk, 4.8)) == []
    commands = wait(talk, 0.4)
    assert "Hello?" in json.dumps(sent(commands))
    begin(talk, audible=True, response="r2", item="a2")
    talk.hear(vl.ResponseDone("r2", "completed", ""))
    heard(talk, "a2")
    commands = wait(talk, 5.2)
    assert [(action, by) for _, action, by in requested(commands)] == [("hang_up", "silence_policy")]
    assert "Bye." in json.dumps(sent(commands))
    begin(talk, audible=True, response="r3", item="a3")
    talk.hear(vl.ResponseDone("r3", "completed", ""))
    assert [outcome for _, outcome in goodbyes(finished(talk, "a3"))] == ["heard"]


def test_a_caller_who_waits_for_a_function_is_not_silent() -> None:
    manners = MannersProfile(silence=SilenceLimits(5.0, reprompts=1), reprompt="Hello?")
    talk = talking(manners=manners, tools=frozenset({"look_up"}), interim=InterimProfile())
    talk.reply()
    heard(talk)
    assert "Hello?" in json.dumps(sent(wait(talk, 5.2)))
    begin(talk, audible=True, response="r2", item="a2")
    talk.hear(vl.ResponseDone("r2", "completed", ""))
    heard(talk, "a2")
    begin(talk, audible=True, response="r3", item="a3")
    talk.hear(call("look_up", response="r3"), vl.ResponseDone("r3", "completed", ""))
    heard(talk, "a3")
    assert "Hello?" not in json.dumps(sent(wait(talk, 20.0)))
    talk.core.tool_answered("c1", "{}", talk.now)
    begin(talk, audible=True, response="r4", item="a4")
    talk.hear(vl.ResponseDone("r4", "completed", ""))
    heard(talk, "a4")
    commands = wait(talk, 5.2)
    assert "Hello?" in json.dumps(sent(commands)), "the count of reprompts starts again"
    assert requested(commands) == []


def test_a_key_is_a_sign_of_life() -> None:
    talk = talking(manners=MannersProfile(silence=SilenceLimits(5.0, reprompts=1)), dtmf=KeypadProfile(mode="ignore"))
    talk.reply()
    heard(talk)
    wait(talk, 4.0)
    talk.core.from_caller(Dtmf("1"), talk.now)
    assert sent(wait(talk, 4.8)) == []
