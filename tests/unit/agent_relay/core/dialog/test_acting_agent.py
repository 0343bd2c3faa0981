"""Actions of the agent: hang-up after a heard goodbye, tones, notes, end phrases, silence, instructions."""

from __future__ import annotations

import json

import pytest

from agent_relay.core.dialog.conversation import Conversation
from agent_relay.core.dialog.conversation_commands import Command, Record, RequestAction
from agent_relay.core.dialog.history import History, ToolUse
from agent_relay.core.dialog.manners import PendingGoodbye
from agent_relay.core.dialog.session_profile import session_profile_of
from agent_relay.core.dialog.silence_policy import SilenceLimits
from agent_relay.core.protocol import voice_events as vl
from agent_relay.core.protocol.agent_profile import AgentProfile, Silence
from agent_relay.core.protocol.voice_target import Mode, VoiceTarget
from bridge_common.wire.action_kinds import AGENT_ACTIONS
from bridge_common.wire.entries import Clear, Dtmf, Instruct, Played, Playing, Say
from tests.unit.support.acting_talk import (
    END,
    begin,
    call,
    finished,
    goodbyes,
    heard,
    outputs,
    profile,
    requested,
    talking,
    wait,
)
from tests.unit.support.talk import GREETING, SECOND, Talk, appended, sent, updated


# -- hang up by function ----------------------------------------------------------------------------------------------
def test_a_goodbye_in_the_same_response_is_heard_before_the_hang_up() -> None:
    talk = talking()
    begin(talk, audible=True)
    commands = talk.hear(call(reason="done"))
    assert requested(commands) == [("fn_c1", "hang_up", "agent")]
    assert outputs(commands)[0]["ok"] is True
    commands = talk.hear(vl.ResponseDone("r1", "completed", ""))
    assert [event for event in sent(commands) if event["type"] == "response.create"] == []
    assert goodbyes(commands) == []
    assert goodbyes(finished(talk)) == [("fn_c1", "heard")]


def test_a_goodbye_in_the_next_response() -> None:
    talk = talking()
    begin(talk, audible=False)
    commands = talk.hear(call(reason="done"), vl.ResponseDone("r1", "completed", ""))
    assert [event["type"] for event in sent(commands)] == ["conversation.item.create", "response.create"]
    begin(talk, audible=True, response="r2", item="a2")
    assert goodbyes(talk.hear(vl.ResponseDone("r2", "completed", ""))) == []
    assert goodbyes(finished(talk, "a2")) == [("fn_c1", "heard")]


def test_the_caller_keeps_the_call_by_speaking() -> None:
    talk = talking()
    begin(talk, audible=True)
    talk.hear(call(reason="done"), vl.ResponseDone("r1", "completed", ""))
    talk.core.from_caller(Playing("a1"), talk.now)
    assert goodbyes(talk.hear(vl.SpeechStarted("u2"))) == [("fn_c1", "interrupted")]
    assert goodbyes(talk.core.from_caller(Played("a1", 300, False), talk.now)) == []


def test_the_caller_keeps_the_call_by_a_key() -> None:
    talk = talking()
    begin(talk, audible=True)
    talk.hear(call(reason="done"), vl.ResponseDone("r1", "completed", ""))
    talk.core.from_caller(Playing("a1"), talk.now)
    assert goodbyes(talk.core.from_caller(Dtmf("5"), talk.now)) == [("fn_c1", "interrupted")]
    assert goodbyes(talk.core.from_caller(Played("a1", 115, False), talk.now) + wait(talk, 1.0)) == []


def test_a_key_does_not_cut_the_goodbye_of_an_operator_s_hang_up() -> None:
    talk = talking()
    talk.reply()
    heard(talk)
    talk.core.instruct(Instruct("act_1", "goodbye", '{"interruptible":false}'), talk.now)
    begin(talk, audible=True, response="r2", item="a2")
    talk.hear(vl.ResponseDone("r2", "completed", ""))
    talk.core.from_caller(Playing("a2"), talk.now)
    commands = talk.core.from_caller(Dtmf("5"), talk.now)
    assert [event for event in appended(commands) if isinstance(event, Clear)] == []
    assert goodbyes(commands) == []
    assert goodbyes(talk.core.from_caller(Played("a2", 1000, True), talk.now) + wait(talk, 0.4)) == [("act_1", "heard")]


def test_a_greeting_is_no_goodbye() -> None:
    talk = Talk(profile(greeting=GREETING))
    talk.core.caller_audio(0.5)
    talk.open()
    talk.core.greeting_granted(True, talk.now)
    begin(talk, audible=True)
    commands = talk.hear(call(reason="done"), vl.ResponseDone("r1", "completed", ""))
    assert requested(commands) == [("fn_c1", "hang_up", "agent")]
    assert goodbyes(heard(talk)) == []
    assert "response.create" in [event["type"] for event in sent(commands + wait(talk, 0.5))], "the goodbye"


def test_a_greeting_that_plays_is_no_goodbye_for_a_tool_of_the_platform() -> None:
    talk = Talk(profile(greeting=GREETING))
    talk.core.caller_audio(0.5)
    talk.open()
    talk.core.greeting_granted(True, talk.now)
    begin(talk, audible=True)
    talk.hear(vl.ResponseDone("r1", "completed", ""))
    talk.core.instruct(Instruct("act_1", "goodbye", '{"interruptible":true}'), talk.now)
    assert goodbyes(finished(talk)) == []
    assert "Goodbye." in json.dumps(sent(wait(talk, 4.0)))


@pytest.mark.parametrize("second", ["end_call", "add_note"])
def test_further_actions_beside_the_goodbye_request_no_other_response(second: str) -> None:
    for phrase in (True, False):
        talk = talking(end_phrases=("goodbye",) if phrase else ())
        begin(talk, audible=True)
        arguments = {"reason": "done"} if second == END else {"text": "done"}
        first = [] if phrase else [call(reason="done")]
        commands = talk.hear(*first, call(second, call_id="c2", **arguments), vl.ResponseDone("r1", "completed", ""))
        assert "response.create" not in [event["type"] for event in sent(commands)]
        assert [outcome for _, outcome in goodbyes(finished(talk))] == ["heard"]


def test_a_hang_up_beside_that_of_an_operator_requests_no_other_response() -> None:
    talk = talking()
    begin(talk, audible=True)
    talk.core.instruct(Instruct("act_1", "goodbye", '{"interruptible":false}'), talk.now)
    commands = talk.hear(call(reason="done"), vl.ResponseDone("r1", "completed", ""))
    assert [event for event in sent(commands) if event["type"] == "response.create"] == []
    assert "Goodbye." in json.dumps(sent(heard(talk)))


def test_a_repeated_hang_up_is_one() -> None:
    talk = talking()
    begin(talk, audible=True)
    assert len(requested(talk.hear(call(reason="done"), call(reason="done"), call(call_id="c2", reason="done")))) == 1


def test_bad_arguments_are_answered_with_their_fault() -> None:
    talk = talking()
    begin(talk, audible=False)
    commands = talk.hear(call("send_dtmf", digits="hello"))
    assert requested(commands) == []
    assert outputs(commands) == [{"ok": False, "reason": "`digits` must be 1 to 18 characters of 0-9, A-D, * and #."}]


def test_an_action_is_requested_before_its_tool_call_is_recorded() -> None:
    """If the relay dies in between, the next one must not assume that the action was requested."""
    talk = talking(end_phrases=("have a pleasant day",))
    begin(talk, audible=False)
    deferred = [
        one for one in talk.hear(call("add_note", text="calls back")) if isinstance(one, RequestAction | Record)
    ]
    assert [type(one) for one in deferred] == [RequestAction, Record]
    talk.hear(vl.AudioDelta("r1", "a1", SECOND))
    said = talk.hear(vl.ItemDone("r1", "a1"), vl.AgentTranscriptDone("r1", "a1", "Have a pleasant day!"))
    assert [type(one) for one in said if isinstance(one, RequestAction | Record)] == [RequestAction, Record]


def test_other_actions_are_requested_and_answered_at_once() -> None:
    talk = talking()
    begin(talk, audible=False)
    commands = talk.hear(call("send_dtmf", digits="12#"), vl.ResponseDone("r1", "completed", ""))
    assert requested(commands) == [("fn_c1", "send_dtmf", "agent")]
    assert outputs(commands)[0]["state"] == "accepted"
    assert sent(commands)[-1]["type"] == "response.create"


def test_a_model_that_loops_is_stopped() -> None:
    talk = talking()
    begin(talk, audible=False)
    commands: list[Command] = []
    for number in range(200):
        commands += talk.core.voice_event(call("add_note", call_id=f"n{number}", text=f"{number}"), talk.now)
    assert len(requested(commands)) == AGENT_ACTIONS
    answers = outputs(commands)
    assert [answer["ok"] for answer in answers] == [True] * AGENT_ACTIONS + [False] * (200 - AGENT_ACTIONS)
    assert answers[-1]["reason"] == "Too many actions within 10 s. Continue the conversation without it."
    assert requested(talk.core.voice_event(call(reason="done"), talk.now)) == [("fn_c1", "hang_up", "agent")]


def test_an_action_that_the_profile_does_not_allow_is_not_available() -> None:
    talk = talking(actions=frozenset())
    begin(talk, audible=False)
    commands = talk.hear(call(reason="done"))
    assert requested(commands) == []
    assert outputs(commands) == [{"error": "This function is not available."}]


# -- agreed phrases ---------------------------------------------------------------------------------------------------
def test_an_agreed_phrase_ends_the_call() -> None:
    talk = talking(end_phrases=("have a nice day",))
    talk.hear(vl.ResponseCreated("r1"), vl.AudioDelta("r1", "a1", SECOND))
    commands = talk.hear(vl.AgentTranscriptDone("r1", "a1", "Thank you. Have a nice day!"))
    assert requested(commands) == [("phrase_r1", "hang_up", "agent")]
    talk.hear(vl.ResponseDone("r1", "completed", ""))
    assert goodbyes(finished(talk)) == [("phrase_r1", "heard")]


def test_a_phrase_of_an_operator_or_of_the_greeting_does_not_end_the_call() -> None:
    talk = talking(end_phrases=("have a nice day",))
    talk.reply()
    heard(talk)
    talk.core.say("1-1", Say("s1", 0, "Have a nice day. Please stay on the line.", last=True), talk.now)
    talk.hear(vl.ResponseCreated("r2"), vl.AudioDelta("r2", "a2", SECOND))
    assert requested(talk.hear(vl.AgentTranscriptDone("r2", "a2", "Have a nice day."))) == []
    greeted = Talk(profile(greeting=GREETING, end_phrases=("welcome",)))
    greeted.core.caller_audio(0.5)
    greeted.open()
    greeted.core.greeting_granted(True, greeted.now)
    greeted.hear(vl.ResponseCreated("r1"))
    assert requested(greeted.hear(vl.AgentTranscriptDone("r1", "a1", "Welcome!"))) == []


def test_other_words_do_not() -> None:
    talk = talking(end_phrases=("have a nice day",))
    assert requested(talk.reply()) == []


# -- another relay, and the call's reference --------------------------------------------------------------------------
@pytest.mark.parametrize(("said", "asks"), [(True, False), (False, True)])
def test_a_relay_that_takes_over_finishes_the_goodbye(said: bool, asks: bool) -> None:
    pending = PendingGoodbye("act_1", interruptible=True, said=said)
    core = Conversation(profile(), History(), greeted=True, resumed=True, media_attached=True, pending=pending)
    core.left_alone(0.0)
    core.connected(1.0)
    core.voice_event(vl.SessionCreated("s", "", 0), 1.0)
    commands = core.attached(1.0) + core.caller_audio(1.0) + core.voice_event(updated(), 1.0)
    commands += core.tick(4.0)
    assert ("Goodbye." in json.dumps(sent(commands))) is asks
    assert goodbyes(commands) == ([] if asks else [("act_1", "heard")])


def test_a_relay_that_takes_over_a_goodbye_does_not_answer_the_function_call() -> None:
    history = History()
    history.tool(ToolUse("c1", END, "{}", '{"ok": true}'))
    pending = PendingGoodbye("act_1", interruptible=True, said=True)
    core = Conversation(profile(), history, greeted=True, resumed=True, media_attached=True, pending=pending)
    core.connected(1.0)
    core.voice_event(vl.SessionCreated("s", "", 0), 1.0)
    commands = core.attached(1.0) + core.caller_audio(1.0) + core.voice_event(updated(), 1.0)
    for now in (2.0, 3.0, 4.0):
        commands += core.tick(now)
    assert [event for event in sent(commands) if event["type"] == "response.create"] == []
    assert goodbyes(commands) == [("act_1", "heard")]


def test_the_agent_learns_the_reference_of_its_call() -> None:
    target = VoiceTarget(mode=Mode.AGENT, endpoint="https://res", api_version="2026-07-15", agent_name="a")
    found = session_profile_of(AgentProfile(greeting=None, actions=(END,)), target)
    assert found.names_call
    core = Conversation(found, History(), reference="7QK4-M2X9-RD")
    core.connected(1.0)
    core.voice_event(vl.SessionCreated("s", "", 0), 1.0)
    commands = core.voice_event(updated("conv_1"), 1.0)
    assert "7QK4-M2X9-RD" in json.dumps(sent(commands))


def test_a_profile_becomes_functions_and_manners() -> None:
    given = AgentProfile(actions=(END,), silence=Silence(after_s=6, reprompts=1, reprompt_text="Hello?"))
    target = VoiceTarget(mode=Mode.MODEL, endpoint="https://res", api_version="2026-07-15", model="gpt-4.1")
    found = session_profile_of(given, target)
    assert [tool["name"] for tool in found.session["tools"]] == [END]  # type: ignore[attr-defined]
    assert found.manners.silence == SilenceLimits(6, 1)
    assert not found.names_call
    assert "tools" not in session_profile_of(AgentProfile(), target).session
