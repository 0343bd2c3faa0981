"""Actions of the agent: hang-up after a heard goodbye, tones, notes, end phrases, silence, instructions."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any, cast

import pytest

from agent_relay.core.dialog.conversation import Conversation
from agent_relay.core.dialog.conversation_commands import Command, ReportGoodbye, RequestAction
from agent_relay.core.dialog.history import History, ToolUse
from agent_relay.core.dialog.manners import PendingHangUp
from agent_relay.core.dialog.session_profile import MannersProfile, SessionProfile, session_profile_of
from agent_relay.core.dialog.silence_policy import SilenceLimits
from agent_relay.core.protocol import voice_events as vl
from agent_relay.core.protocol.agent_profile import AgentProfile, Silence
from agent_relay.core.protocol.keypad_profile import KeypadProfile
from agent_relay.core.protocol.voice_target import Mode, VoiceTarget
from bridge_common.wire.action_kinds import AGENT_ACTIONS
from bridge_common.wire.entries import Dtmf, Instruct, Played, Playing
from tests.unit.support.talk import SECOND, Talk, profile_for, sent, updated

END = "end_call"


def profile(**changes: object) -> SessionProfile:
    base = replace(profile_for(), actions=frozenset({END, "send_dtmf", "add_note"}))
    return replace(base, **changes)  # type: ignore[arg-type]  # fields of the profile


def talking(**changes: object) -> Talk:
    talk = Talk(profile(**changes))
    talk.open()
    talk.core.attached(talk.now)
    talk.core.caller_audio(talk.now)
    talk.turn()
    return talk


def call(name: str = END, response: str = "r1", call_id: str = "c1", **arguments: object) -> vl.FunctionCall:
    return vl.FunctionCall(response, f"item {call_id}", call_id, name, json.dumps(arguments))


def begin(talk: Talk, *, audible: bool, item: str = "a1", response: str = "r1") -> None:
    talk.hear(vl.ResponseCreated(response))
    if audible:
        talk.hear(vl.AudioDelta(response, item, SECOND), vl.AgentTranscriptDone(response, item, "Goodbye!"))


def heard(talk: Talk, item: str = "a1", *, complete: bool = True) -> list[Command]:
    first = talk.core.from_caller(Playing(item), talk.now)
    talk.now += 1.0
    return first + talk.core.from_caller(Played(item, 1000, complete), talk.now)


def finished(talk: Talk, item: str = "a1") -> list[Command]:
    """The item is heard to its end, and nothing follows for a moment."""
    return heard(talk, item) + wait(talk, 0.4)


def requested(commands: list[Command]) -> list[tuple[str, str, str]]:
    return [(one.action_id, one.action, one.by) for one in commands if isinstance(one, RequestAction)]


def goodbyes(commands: list[Command]) -> list[tuple[str, str]]:
    return [(one.action_id, one.outcome) for one in commands if isinstance(one, ReportGoodbye)]


def outputs(commands: list[Command]) -> list[dict[str, object]]:
    items = [cast(Any, event["item"]) for event in sent(commands) if event["type"] == "conversation.item.create"]
    return [json.loads(item["output"]) for item in items if item["type"] == "function_call_output"]


def wait(talk: Talk, seconds: float) -> list[Command]:
    """Let time pass in the steps of a relay."""
    commands: list[Command] = []
    end = talk.now + seconds
    while talk.now < end:
        talk.now = round(talk.now + 0.05, 2)
        commands += talk.core.tick(talk.now)
    return commands


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


def test_a_repeated_hang_up_is_one() -> None:
    talk = talking()
    begin(talk, audible=True)
    assert len(requested(talk.hear(call(reason="done"), call(reason="done"), call(call_id="c2", reason="done")))) == 1


def test_bad_arguments_are_answered_with_their_fault() -> None:
    talk = talking()
    begin(talk, audible=False)
    commands = talk.hear(call("send_dtmf", digits="hello"))
    assert requested(commands) == []
    assert outputs(commands) == [{"ok": False, "reason": "`digits` must be 1 to 18 of 0-9, A-D, * and #."}]


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


def test_other_words_do_not() -> None:
    talk = talking(end_phrases=("have a nice day",))
    assert requested(talk.reply()) == []


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


def test_a_key_is_a_sign_of_life() -> None:
    talk = talking(manners=MannersProfile(silence=SilenceLimits(5.0, reprompts=1)), dtmf=KeypadProfile(mode="ignore"))
    talk.reply()
    heard(talk)
    wait(talk, 4.0)
    talk.core.from_caller(Dtmf("1"), talk.now)
    assert sent(wait(talk, 4.8)) == []


# -- another relay, and the call's reference --------------------------------------------------------------------------
@pytest.mark.parametrize(("said", "asks"), [(True, False), (False, True)])
def test_a_relay_that_takes_over_finishes_the_goodbye(said: bool, asks: bool) -> None:
    pending = PendingHangUp("act_1", interruptible=True, said=said)
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
    pending = PendingHangUp("act_1", interruptible=True, said=True)
    core = Conversation(profile(), history, greeted=True, resumed=True, media_attached=True, pending=pending)
    core.connected(1.0)
    core.voice_event(vl.SessionCreated("s", "", 0), 1.0)
    commands = core.attached(1.0) + core.caller_audio(1.0) + core.voice_event(updated(), 1.0)
    for now in (2.0, 4.0, 8.0):
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
