"""Digits that only a tool receives, in a whole conversation with virtual time."""

from __future__ import annotations

import json

import pytest

from agent_relay.core.dialog.conversation_commands import Append, Command, RunTool
from agent_relay.core.dialog.masked_keypad import BUSY, HELD_S, LONGEST_S
from agent_relay.core.dialog.session_profile import MannersProfile
from agent_relay.core.dialog.silence_policy import SilenceLimits
from agent_relay.core.dialog.typed_digits import TypedDigits
from agent_relay.core.protocol import voice_events as vl
from agent_relay.core.protocol.keypad_profile import KeypadProfile
from bridge_common.wire.entries import Dtmf, Hold, Playing
from tests.unit.support.talk import SECOND, sent
from tests.unit.support.typing_caller import ASK, CARD, Line, asked, errors, messages, ran, recorded


# -- the tool asks, the caller types -------------------------------------------------------------------------------
def test_digits_reach_the_tool_and_nothing_else() -> None:
    line = Line()
    commands = line.calls(amount=5)
    assert ran(commands) == []
    assert ran(line.types(CARD + "#")) == [("pay", CARD)]
    line.answer('{"paid":true}')
    assert CARD not in line.shown
    assert [detail for what, detail in recorded(line.commands) if what == "keys"] == ["16"]
    assert not any(what == "tones" for what, _ in recorded(line.commands))
    assert "4111" not in str(line.history.replay())


def test_the_tool_gets_the_model_s_arguments_and_the_typed_one_apart() -> None:
    line = Line()
    line.calls(amount=5)
    [run] = [command for command in line.types(CARD + "#") if isinstance(command, RunTool)]
    assert json.loads(run.arguments) == {"amount": 5}
    assert run.typed == TypedDigits("card_number", CARD)


def test_the_relay_asks_if_the_agent_has_not() -> None:
    line = Line()
    commands = line.calls()
    assert asked(commands)
    assert line.core.next_at() is not None


def test_the_relay_does_not_repeat_the_question_of_the_agent() -> None:
    line = Line()
    call = vl.FunctionCall("r1", "item c1", "c1", "pay", "{}")
    speech = vl.AudioDelta("r1", "a1", SECOND), vl.AgentTranscriptDone("r1", "a1", "Type it, please.")
    line.agent(vl.ResponseCreated("r1"), *speech, call, vl.ResponseDone("r1", "completed", ""))
    line.heard("a1")
    line.wait(3)
    assert not asked(line.commands)
    assert ran(line.types(CARD + "#")) == [("pay", CARD)]


def test_digits_are_complete_at_their_number_or_after_a_pause() -> None:
    full = Line()
    full.calls()
    assert ran(full.types(CARD)) == [("pay", CARD)]
    paused = Line()
    paused.calls()
    assert ran(paused.types(CARD[:14])) == []
    assert ran(paused.wait(2.0)) == [("pay", CARD[:14])]


def test_a_pause_does_not_complete_too_few_digits() -> None:
    line = Line()
    line.calls()
    for group in (CARD[:4], CARD[4:8], CARD[8:12]):
        assert ran(line.types(group) + line.wait(4)) == []
    assert ran(line.types(CARD[12:])) == [("pay", CARD)]


def test_the_star_starts_again() -> None:
    line = Line()
    line.calls()
    line.types("4222*")
    assert ran(line.types(CARD + "#")) == [("pay", CARD)]
    assert ("keys", "21") in recorded(line.commands), "the transcript counts all keys"


def test_with_the_star_as_end_key_the_hash_starts_again() -> None:
    line = Line(dtmf=KeypadProfile(mode="masked", end_key="*"))
    line.calls()
    line.types("4222#")
    assert ran(line.types(CARD[:13] + "*")) == [("pay", CARD[:13])]


def test_other_keys_are_no_digits() -> None:
    line = Line()
    line.calls()
    assert ran(line.types("A".join(CARD) + "#")) == [("pay", CARD)]


# -- typed before the tool asks ------------------------------------------------------------------------------------
def test_digits_that_come_first_count_for_the_tool() -> None:
    line = Line()
    line.asks()
    commands = line.types(CARD + "#")
    assert messages(commands) == ["[keypad] 16 digits, not shown to you; a function that needs them can use them now"]
    assert {"type": "response.create"}.items() <= sent(commands)[-1].items(), "the agent is to react"
    assert ran(line.calls()) == [("pay", CARD)]
    assert not asked(line.commands)
    assert CARD not in line.shown


def test_digits_are_used_once() -> None:
    line = Line()
    line.asks()
    line.types(CARD + "#")
    line.calls()
    line.answer('{"error":"declined"}')
    assert ran(line.calls(response="r2", call_id="c2")) == []


def test_digits_that_do_not_fit_the_tool_are_asked_for() -> None:
    line = Line()
    line.asks()
    line.types("1234#")
    assert ran(line.calls()) == []
    assert asked(line.commands)
    assert ran(line.types(CARD + "#")) == [("pay", CARD)]


def test_old_digits_do_not_count() -> None:
    line = Line()
    line.asks()
    line.types(CARD + "#")
    line.wait(HELD_S)
    assert ran(line.calls()) == []


def test_the_tool_may_be_called_while_the_caller_types() -> None:
    line = Line()
    line.asks()
    line.types(CARD[:6])
    assert ran(line.calls()) == []
    assert not asked(line.wait(1)), "the caller types already"
    assert ran(line.types(CARD[6:])) == [("pay", CARD)]


def test_keys_without_any_tool_are_counted() -> None:
    line = Line(keypad_tools={})
    assert messages(line.types("1234#")) == ["[keypad] 4 digits, not shown to you"]
    assert "1234" not in line.shown


def test_an_end_key_after_the_full_number_is_no_entry() -> None:
    line = Line()
    line.calls()
    line.types(CARD + "#")
    line.answer('{"paid":true}')
    line.asks("Now type your PIN.", "r5")
    line.calls("check_pin", "r6", "c6")
    assert errors(line.types("#")) == []
    assert ran(line.types("1234#")) == [("check_pin", "1234")]


# -- nothing, too few, a bad time ----------------------------------------------------------------------------------
def test_a_caller_who_types_nothing() -> None:
    line = Line()
    commands = line.calls()
    assert asked(commands)
    line.asks(ASK, "r2")
    assert errors(line.wait(9.5)) == [], "since the question was heard"
    [error] = errors(line.wait(1))
    assert error.startswith("The caller typed nothing. Nothing was sent.")
    assert sent(line.commands)[-1]["type"] == "response.create", "the agent explains it"


def test_the_agent_explains_a_missing_entry_at_once() -> None:
    line = Line()
    line.calls()
    line.asks(ASK, "r2")
    commands: list[Command] = []
    while not errors(commands):
        due = line.core.next_at()
        assert due is not None
        line.now = max(due, line.now)
        commands = line.note(line.core.tick(line.now))
    assert sent(commands)[-1]["type"] == "response.create"


@pytest.mark.parametrize(("keys", "wait_s"), [("123#", 0.0), ("123", 12.0)])
def test_too_few_digits(keys: str, wait_s: float) -> None:
    line = Line()
    line.calls()
    line.asks(ASK, "r2")
    commands = line.types(keys) + line.wait(wait_s)
    [error] = errors(commands)
    assert ("keys", str(len(keys))) in recorded(commands)
    assert error.startswith("The caller typed 3 digits, but 13 to 16 are needed. Nothing was sent.")
    assert ran(line.commands) == []


def test_too_many_digits_typed_before_the_call() -> None:
    line = Line()
    line.asks()
    line.types("12345")
    line.calls("check_pin")
    [error] = errors(line.types("#"))
    assert error.startswith("The caller typed 5 digits, but 4 are needed.")


def test_a_caller_who_speaks_has_more_time() -> None:
    line = Line()
    line.calls()
    line.asks(ASK, "r2")
    line.wait(8)
    line.note(line.turn("One moment, I am looking for it.", "u2"))
    line.asks("Take your time.", "r3")
    assert errors(line.wait(8)) == []
    assert ran(line.types(CARD + "#")) == [("pay", CARD)]


def test_waiting_has_a_limit_whatever_the_caller_does() -> None:
    line = Line()
    line.calls()
    line.asks(ASK, "r2")
    found = [errors(line.types("1*") + line.wait(8)) for _ in range(int(LONGEST_S // 8))]
    assert any(found)


def test_one_function_at_a_time_gets_digits() -> None:
    line = Line()
    line.calls()
    assert errors(line.calls("check_pin", "r2", "c2")) == [BUSY]
    assert ran(line.types(CARD + "#")) == [("pay", CARD)]


def test_a_repeated_call_is_one() -> None:
    line = Line()
    line.calls()
    assert errors(line.calls()) == []
    assert ran(line.types(CARD + "#") + line.types(CARD + "#")) == [("pay", CARD)]


def test_the_failure_of_the_tool_reaches_the_agent() -> None:
    line = Line()
    line.calls()
    line.types(CARD + "#")
    assert errors(line.answer('{"error":"The function is not available now."}')) == [
        "The function is not available now."
    ]


# -- beside the digits ---------------------------------------------------------------------------------------------
def test_waiting_for_keys_is_neither_silence_nor_a_reason_for_the_hold_tone() -> None:
    line = Line(manners=MannersProfile(silence=SilenceLimits(5.0, reprompts=1)))
    line.calls()
    line.asks(ASK, "r2")
    assert not line.core.quiet, "another relay would not know what the caller has typed"
    commands = line.wait(9)
    assert "Are you still there?" not in str(commands)
    assert not any(isinstance(c, Append) and isinstance(c.entry, Hold) for c in commands)


def test_a_running_tool_has_a_phrase_and_the_hold_tone_after_the_silence_since_the_last_key() -> None:
    line = Line()
    line.calls()
    line.asks(ASK, "r2")
    typed = line.types(CARD + "#")
    for commands, expected in ((typed, False), (line.wait(0.6), False), (line.wait(1.0), True)):
        assert any(isinstance(c, Append) and isinstance(c.entry, Hold) and c.entry.on for c in commands) is expected
    assert "One moment, please." in str(line.commands)


def test_tones_in_the_caller_s_audio_do_not_reach_the_agent() -> None:
    line = Line()
    line.calls()
    muted = [line.core.keypad.mutes_caller]
    line.types("41")
    muted.append(line.core.keypad.mutes_caller)
    line.wait(2)
    muted.append(line.core.keypad.mutes_caller)
    assert muted == [False, True, False], "before and after it, the caller may say that they have no card"


def test_the_sound_of_the_last_digit_does_not_reach_the_agent_either() -> None:
    line = Line()
    line.calls()
    line.types(CARD[:15])
    assert ran(line.note(line.core.from_caller(Dtmf(CARD[15]), line.now))) == [("pay", CARD)]
    muted = [line.core.keypad.mutes_caller]
    line.wait(0.5)
    muted.append(line.core.keypad.mutes_caller)
    assert muted == [True, False]


def test_a_key_interrupts_the_agent() -> None:
    line = Line()
    line.agent(vl.ResponseCreated("r1"), vl.AudioDelta("r1", "a1", SECOND))
    line.note(line.core.from_caller(Playing("a1"), line.now))
    line.types("4")
    assert any(event["type"] == "response.cancel" for event in sent(line.commands))
