"""The steps of a transfer: what the caller, the person and the agent hear."""

from __future__ import annotations

from typing import Any, cast

import pytest

from agent_relay.core.dialog.conversation_commands import GiveUp, RequestAction
from agent_relay.core.dialog.session_profile import MannersProfile
from agent_relay.core.dialog.silence_policy import SilenceLimits
from agent_relay.core.protocol import voice_events as vl
from agent_relay.core.protocol.keypad_profile import KeypadProfile
from agent_relay.core.protocol.transfer_profile import Confirmation, TransferProfile
from bridge_common.wire.action_kinds import CALLER as BY_CALLER
from bridge_common.wire.action_kinds import RETURN_TO_AGENT
from bridge_common.wire.entries import Clear, Dtmf, Hold, Instruct, Listen, MediaAttached, MediaDetached, Say
from tests.unit.support.acting_talk import begin, call, finished, goodbyes, requested, wait
from tests.unit.support.talk import SECOND, appended, notices, sent, types
from tests.unit.support.transfers import (
    CALLER,
    PERSON,
    TARGETS,
    answered,
    calling,
    requests,
    speaks,
    step,
    steps,
    transfers,
)

RETURN_KEY = TransferProfile(targets=TARGETS, return_key="*")
WORDS = TransferProfile(targets=TARGETS, confirm=Confirmation(words=("yes",)))
PRESS = TransferProfile(targets=TARGETS, confirm=Confirmation(key="1"))


# -- waiting ----------------------------------------------------------------------------------------------------------
def test_the_waiting_caller_hears_the_hold_tone_and_the_agent_hears_nobody() -> None:
    talk = answered()
    before = talk.core.withholds_audio
    commands = step(talk, "waiting")
    assert appended(commands) == [Hold(True)], "without the phrase that asks to wait"
    assert steps(commands) == ["waiting"]
    assert [before, talk.core.withholds_audio] == [False, True]
    assert appended(wait(talk, 60.0)) == []


def test_an_answer_that_is_being_spoken_stops_when_the_caller_waits() -> None:
    talk = calling(transfers())
    talk.hear(vl.ResponseCreated("r1"), vl.AudioDelta("r1", "a1", SECOND))
    commands = step(talk, "waiting")
    assert [Clear("a1"), Hold(True)] == appended(commands)
    assert sent(commands) == [vl.cancel_response("r1")]
    assert appended(talk.hear(vl.AudioDelta("r1", "a1", SECOND))) == []


def test_nothing_is_owed_to_a_waiting_caller() -> None:
    talk = calling(transfers())
    step(talk, "waiting")
    commands = wait(talk, 300.0)
    assert sent(commands) == []
    assert notices(commands) == []
    assert not [one for one in commands if isinstance(one, GiveUp)]


@pytest.mark.parametrize("what", ["waiting", "screening", "bridged"])
def test_the_silence_policy_rests(what: str) -> None:
    manners = MannersProfile(silence=SilenceLimits(5.0, reprompts=0))
    talk = answered(transfers(manners=manners))
    step(talk, what)
    assert requested(wait(talk, 60.0)) == []
    step(talk, "returned", reason="busy", name="sales")
    speaks(talk, "r2", "a2")
    talk.play("a2")
    assert [action for _, action, _ in requested(wait(talk, 5.2))] == ["hang_up"]


def test_a_caller_on_hold_is_not_silent() -> None:
    manners = MannersProfile(silence=SilenceLimits(5.0, reprompts=0))
    talk = answered(transfers(manners=manners))
    talk.turn(item="u2")
    begin(talk, audible=True, response="r2", item="a2")
    assert [one[1] for one in requested(talk.hear(call("hold_call", "r2", participant="caller")))] == ["hold"]
    talk.hear(vl.ResponseDone("r2", "completed", ""))
    talk.play("a2")
    speaks(talk, "r3", "a3")
    talk.play("a3")
    assert requested(wait(talk, 60.0)) == []
    talk.core.instruct(Instruct("h", "outcome", '{"action":"hold","state":"failed","reason":"refused"}'), talk.now)
    assert [action for _, action, _ in requested(wait(talk, 5.2))] == ["hang_up"]


def test_a_caller_whom_an_operator_puts_on_hold_is_not_silent() -> None:
    talk = answered(transfers(manners=MannersProfile(silence=SilenceLimits(5.0, reprompts=0))))
    assert step(talk, "people", "p1", names=[], caller_on_hold=True) == []
    assert requested(wait(talk, 60.0)) == []
    step(talk, "people", "p2", names=["sales"])
    assert requested(wait(talk, 60.0)) == [], "an older call-control does not report the hold"
    step(talk, "people", "p3", names=["sales"], caller_on_hold=False)
    assert [action for _, action, _ in requested(wait(talk, 5.2))] == ["hang_up"]


@pytest.mark.parametrize("mode", ["agent", "masked"])
def test_keys_of_a_waiting_caller_are_ignored(mode: str) -> None:
    talk = answered(transfers(dtmf=KeypadProfile(mode=cast(Any, mode))))
    talk.core.from_caller(Dtmf("4"), talk.now)
    step(talk, "waiting")
    commands = [one for tone in "123#" for one in talk.core.from_caller(Dtmf(tone), talk.now)] + wait(talk, 10.0)
    assert (sent(commands), notices(commands)) == ([], [])
    assert talk.core.keypad.idle
    assert not talk.core.keypad.mutes_caller


def test_the_result_of_a_function_does_not_break_the_wait() -> None:
    talk = calling(transfers(tools=frozenset({"look_up"})))
    talk.hear(vl.ResponseCreated("r1"), call("look_up"), vl.ResponseDone("r1", "completed", ""))
    step(talk, "waiting")
    commands = talk.core.tool_answered("c1", "{}", talk.now) + wait(talk, 30.0)
    assert types(commands) == ["conversation.item.create"]
    assert "response.create" in types(step(talk, "returned", reason="busy", name="sales"))


def test_speech_that_the_service_still_reports_has_no_effect() -> None:
    talk = answered()
    talk.hear(vl.SpeechStarted("u2"))
    step(talk, "waiting")
    commands = talk.hear(vl.SpeechStopped("u2"), vl.UserTranscript("u2", "Hello?"), vl.SpeechStarted("u3"))
    assert notices(commands) == []
    assert appended(commands) == []
    assert sent(wait(talk, 30.0)) == []
    assert not talk.core.caller_waits


def test_an_operator_s_announcement_is_spoken_to_a_waiting_caller() -> None:
    talk = answered()
    step(talk, "waiting")
    assert "Please hold." in requests(talk.core.say("1-1", Say("s1", 0, "Please hold.", last=True), talk.now))
    assert [type(one).__name__ for one in appended(speaks(talk, "r2", "a2"))] == ["Audio", "ItemEnd"]


def test_a_new_media_socket_gets_the_hold_tone_again() -> None:
    talk = answered()
    step(talk, "waiting")
    talk.core.from_caller(MediaDetached("lost"), talk.now)
    commands = talk.core.from_caller(MediaAttached(16000), talk.now) + wait(talk, 0.1)
    assert appended(commands) == [Hold(True)]


@pytest.mark.parametrize("what", ["waiting", "bridged"])
def test_a_lost_voice_session_is_not_noticed_by_people(what: str) -> None:
    talk = answered()
    step(talk, what)
    commands = talk.core.session_lost("1006", talk.now) + wait(talk, 30.0)
    assert appended(commands) == []
    assert not [one for one in commands if isinstance(one, GiveUp)]
    assert appended(talk.open()) == []


def test_a_voice_agent_that_closes_its_session_does_not_end_the_call() -> None:
    talk = answered(transfers(defined=True))
    step(talk, "bridged")
    assert talk.core.agent_left(talk.now) == []


# -- bridged ----------------------------------------------------------------------------------------------------------
def test_people_talk_without_the_agent() -> None:
    talk = answered()
    step(talk, "waiting")
    commands = step(talk, "bridged", name="sales")
    assert appended(commands) == [Listen("caller", bridged=True), Hold(False)]
    assert steps(commands) == ["bridged"]
    assert talk.core.withholds_audio


@pytest.mark.parametrize("event", [vl.ResponseCreated("r9"), vl.AudioDelta("r9", "a9", SECOND), call(response="r9")])
@pytest.mark.parametrize("what", ["waiting", "screening", "bridged"])
def test_a_response_that_the_service_begins_by_itself_is_never_heard(what: str, event: vl.ServerEvent) -> None:
    talk = answered()
    step(talk, what)
    commands = talk.hear(event, vl.AudioDelta("r9", "a9", SECOND), vl.AgentTranscriptDone("r9", "a9", "Hello?"))
    commands += talk.hear(vl.ResponseDone("r9", "completed", "")) + wait(talk, 30.0)
    assert vl.cancel_response("r9") in sent(commands)
    assert [one for one in appended(commands) if not isinstance(one, Hold)] == []
    assert requested(commands) == []
    assert "response.create" not in types(commands)


def test_an_agreed_phrase_in_such_a_response_does_not_end_the_call() -> None:
    talk = answered(transfers(end_phrases=("goodbye",)))
    step(talk, "bridged")
    assert requested(talk.hear(vl.ResponseCreated("r9"), vl.AgentTranscriptDone("r9", "a9", "Goodbye!"))) == []


@pytest.mark.parametrize("participant", ["", CALLER])
def test_the_return_key_asks_for_the_agent_once(participant: str) -> None:
    talk = answered(transfers(RETURN_KEY))
    step(talk, "bridged", name="sales")
    assert talk.core.from_caller(Dtmf("1", participant), talk.now) == []
    [asked] = talk.core.from_caller(Dtmf("*", participant), talk.now)
    assert isinstance(asked, RequestAction)
    assert (asked.action, asked.arguments, asked.by) == (RETURN_TO_AGENT, "{}", BY_CALLER)
    assert step(talk, "tone", "t1", tone="*", participant=CALLER) == [], "the same press, reported by ACS as well"
    wait(talk, 5.0)
    [again] = talk.core.from_caller(Dtmf("*", participant), talk.now)
    assert isinstance(again, RequestAction)
    assert again.action_id != asked.action_id


def test_the_return_key_of_the_person_and_before_the_bridge_does_nothing() -> None:
    talk = answered(transfers(RETURN_KEY))
    step(talk, "waiting")
    assert talk.core.from_caller(Dtmf("*", CALLER), talk.now) == []
    step(talk, "bridged")
    assert talk.core.from_caller(Dtmf("*", PERSON), talk.now) == []
    assert step(talk, "tone", "t1", tone="*", participant=PERSON) == []


@pytest.mark.parametrize("alone", [True, False])
def test_the_selection_is_repeated_for_a_new_media_socket(alone: bool) -> None:
    talk = answered()
    if not alone:
        step(talk, "bridged")
    talk.core.from_caller(MediaDetached("lost"), talk.now)
    commands = talk.core.from_caller(MediaAttached(16000), talk.now)
    assert appended(commands) == ([] if alone else [Listen("caller", bridged=True)])


# -- returned ---------------------------------------------------------------------------------------------------------
def test_the_agent_speaks_about_the_reason_and_goes_on() -> None:
    talk = answered()
    step(talk, "waiting")
    commands = step(talk, "returned", name="sales", reason="busy", joined=False)
    assert steps(commands) == ["returned"]
    assert "Sales was busy." in requests(commands)
    assert types(commands) == ["conversation.item.create", "response.create"]
    assert not talk.core.withholds_audio
    assert Hold(False) in appended(commands)
    assert appended(wait(talk, 0.2)) == []
    speaks(talk, "r2", "a2")
    talk.play("a2")
    assert types(talk.turn(item="u3")) == [], "the service answers by itself again"
    assert appended(talk.hear(vl.ResponseCreated("r3"), vl.AudioDelta("r3", "a3", SECOND)))


def test_the_agent_is_asked_again_if_it_does_not_speak_about_the_return() -> None:
    talk = answered()
    step(talk, "returned", name="sales", reason="busy")
    commands = talk.hear(vl.ResponseCreated("r2"), vl.ResponseDone("r2", "failed", "server_error"))
    assert "response.create" in types(commands)


def test_after_a_conversation_of_people_the_agent_hears_the_caller_again() -> None:
    talk = answered()
    step(talk, "bridged", name="sales")
    commands = step(talk, "returned", name="sales", reason="person_left", joined=True)
    assert Listen("caller") in appended(commands)
    assert "Sales has left the call. You did not hear what they said" in requests(commands)


def test_a_caller_who_kept_the_call_is_not_told_about_the_transfer() -> None:
    talk = answered()
    step(talk, "connecting", interruptible=True)
    talk.hear(vl.SpeechStarted("u2"), vl.SpeechStopped("u2"), vl.UserTranscript("u2", "Wait."))
    commands = step(talk, "returned", name="sales", reason="interrupted")
    assert sent(commands) == [], "the service answers the words of the caller"


def test_the_return_is_replayed_to_a_new_session() -> None:
    talk = answered()
    step(talk, "returned", name="sales", reason="no_answer")
    talk.core.session_lost("1006", talk.now)
    assert "Sales did not answer." in requests(talk.open())


# -- order and repetitions --------------------------------------------------------------------------------------------
@pytest.mark.parametrize("what", ["waiting", "screening", "bridged", "returned"])
def test_a_repeated_step_changes_nothing(what: str) -> None:
    talk = answered(transfers(WORDS))
    step(talk, what, reason="busy", name="sales")
    talk.hear(vl.ResponseCreated("r2"))
    assert step(talk, what, reason="busy", name="sales") == []


@pytest.mark.parametrize("late", ["connecting", "waiting", "screening", "bridged"])
def test_a_step_after_the_return_changes_nothing(late: str) -> None:
    talk = answered()
    step(talk, "returned", name="sales", reason="busy")
    talk.hear(vl.ResponseCreated("r2"))
    assert steps(step(talk, late)) == []
    assert not talk.core.withholds_audio


def test_a_step_before_the_current_one_changes_nothing() -> None:
    talk = answered()
    step(talk, "bridged")
    assert step(talk, "waiting") == step(talk, "screening") == []


def test_the_bridge_without_screening_and_the_return_without_a_wait() -> None:
    talk = answered()
    assert appended(step(talk, "bridged")) == [Listen("caller", bridged=True)]
    other = answered()
    commands = step(other, "returned", name="sales", reason="refused 8523")
    assert appended(commands) == []
    assert "refused the call to sales" in requests(commands)


def test_a_second_transfer_follows_the_first() -> None:
    talk = answered()
    step(talk, "waiting", "act_1")
    step(talk, "returned", "act_1", name="sales", reason="busy")
    speaks(talk, "r2", "a2")
    talk.play("a2")
    commands = step(talk, "waiting", "act_2")
    assert appended(commands) == [Hold(True)]
    assert step(talk, "screening", "act_1") == [], "the first transfer is over"


@pytest.mark.parametrize("detail", ["", "nonsense", "[]", '{"name":7,"reason":null,"joined":"yes"}'])
def test_an_invalid_detail_is_followed_as_far_as_possible(detail: str) -> None:
    talk = answered()
    talk.core.instruct(Instruct("act_1", "waiting", detail), talk.now)
    commands = talk.core.instruct(Instruct("act_1", "returned", detail), talk.now)
    assert "The person was not connected" in requests(commands)
    assert talk.core.instruct(Instruct("p", "people", '{"names":"all"}'), talk.now) == []


# -- the end of the call ----------------------------------------------------------------------------------------------
@pytest.mark.parametrize("what", ["waiting", "screening", "bridged"])
def test_the_goodbye_is_spoken_although_the_agent_rests(what: str) -> None:
    talk = answered()
    step(talk, what)
    commands = step(talk, "goodbye", "act_2", interruptible=False)
    assert "Goodbye." in requests(commands)
    assert (Hold(False) in appended(commands)) is (what == "waiting")
    assert talk.core.withholds_audio
    speaks(talk, "r2", "a2")
    assert goodbyes(finished(talk, "a2")) == [("act_2", "heard")]
    assert step(talk, "returned", reason="person_left") == []


# -- several people ---------------------------------------------------------------------------------------------------
def test_the_agent_hears_everybody_if_the_profile_wants_it() -> None:
    talk = answered(transfers(TransferProfile(hears="all")))
    commands = step(talk, "people", "p1", names=["sales"])
    assert appended(commands) == [Listen("all")]
    assert "In the call with you now: the caller" in requests(commands)
    assert step(talk, "people", "p2", names=["sales"]) == []
    step(talk, "bridged")
    assert appended(step(talk, "returned", reason="person_left", joined=True)) == [Listen("all")]
    speaks(talk, "r2", "a2")
    talk.play("a2")
    assert appended(step(talk, "people", "p3", names=[])) == [Listen("caller")]


def test_the_agent_hears_only_the_caller_by_default() -> None:
    talk = answered()
    joined = step(talk, "people", "p1", names=["sales"])
    assert appended(joined) == [Listen("caller")], "the gateway learns that somebody has joined"
    assert appended(step(talk, "people", "p2", names=["sales"])) == []


def test_keys_of_other_people_do_not_reach_the_agent() -> None:
    talk = answered(people=("sales",))
    assert sent(talk.core.from_caller(Dtmf("#", PERSON), talk.now)) == []
    assert "[keypad] #" in requests(talk.core.from_caller(Dtmf("#", CALLER), talk.now))


def test_the_only_caller_may_have_another_id_on_the_media_socket() -> None:
    talk = answered()
    assert "[keypad] #" in requests(talk.core.from_caller(Dtmf("#", "4:14255550100"), talk.now))
