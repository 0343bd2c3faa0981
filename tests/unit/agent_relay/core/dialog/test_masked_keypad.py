"""Digits that only a tool receives, in a whole conversation with virtual time."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final, cast

import msgspec
import pytest

from agent_relay.core.dialog.conversation_commands import Append, Command, Record, RunTool
from agent_relay.core.dialog.history import NOT_TYPED, OUTCOME_UNKNOWN, History, from_transcript
from agent_relay.core.dialog.masked_keypad import BUSY, HELD_S, LONGEST_S
from agent_relay.core.dialog.session_profile import MannersProfile, SessionProfile
from agent_relay.core.dialog.silence_policy import SilenceLimits
from agent_relay.core.dialog.typed_digits import TypedDigits
from agent_relay.core.protocol import voice_events as vl
from agent_relay.core.protocol.keypad_profile import KeypadArgument, KeypadProfile
from bridge_common.wire.entries import Dtmf, Hold, Notice, Played, Playing, TranscriptEntry, Turn
from tests.unit.support.talk import SECOND, Talk, profile_for, sent

CARD: Final = "4111111111111111"
PAY: Final = KeypadArgument(argument="card_number", min_digits=13, max_digits=16, wait_s=10)
PIN: Final = KeypadArgument(argument="pin", min_digits=4, max_digits=4)
ASK: Final = PAY.ask_text


def profile(**changes: object) -> SessionProfile:
    base = replace(
        profile_for(tools=frozenset({"pay", "check_pin"})),
        dtmf=KeypadProfile(mode="masked"),
        keypad_tools={"pay": PAY, "check_pin": PIN},
    )
    return replace(base, **changes)  # type: ignore[arg-type]  # fields of the profile


class Line(Talk):
    """A call with a masked keypad. Collects all commands, for the digits must be in none of them but `RunTool`."""

    def __init__(self, **changes: object) -> None:
        self.history = History()
        super().__init__(profile(**changes), history=self.history)
        self.commands: list[Command] = self.open()
        self.commands += self.core.attached(self.now)
        self.commands += self.core.caller_audio(self.now)
        self.commands += self.turn("I want to pay.")

    def agent(self, *events: vl.ServerEvent) -> list[Command]:
        return self.note(self.hear(*events))

    def asks(self, text: str = "Please type your card number.", response: str = "r0") -> list[Command]:
        """Let the agent speak, and the caller hear it to its end."""
        item = f"item {response}"
        commands = self.agent(
            vl.ResponseCreated(response),
            vl.AudioDelta(response, item, SECOND),
            vl.AgentTranscriptDone(response, item, text),
            vl.ItemDone(response, item),
            vl.ResponseDone(response, "completed", ""),
        )
        return commands + self.heard(item)

    def heard(self, item: str) -> list[Command]:
        commands = self.note(self.core.from_caller(Playing(item), self.now))
        self.now += 1.0
        return commands + self.note(self.core.from_caller(Played(item, 1000, True), self.now))

    def calls(self, name: str = "pay", response: str = "r1", call_id: str = "c1", **arguments: object) -> list[Command]:
        """Let the agent call a function without speech."""
        call = vl.FunctionCall(response, f"item {call_id}", call_id, name, json.dumps(arguments))
        return self.agent(vl.ResponseCreated(response), call, vl.ResponseDone(response, "completed", ""))

    def types(self, keys: str, every_s: float = 0.2) -> list[Command]:
        commands: list[Command] = []
        for key in keys:
            commands += self.note(self.core.from_caller(Dtmf(key), self.now))
            commands += self.wait(every_s)
        return commands

    def wait(self, seconds: float) -> list[Command]:
        commands: list[Command] = []
        end = self.now + seconds
        while self.now < end:
            self.now = round(self.now + 0.05, 2)
            commands += self.core.tick(self.now)
        return self.note(commands)

    def answer(self, output: str, call_id: str = "c1") -> list[Command]:
        return self.note(self.core.tool_answered(call_id, output, self.now))

    def note(self, commands: Sequence[Command]) -> list[Command]:
        self.commands += commands
        return list(commands)

    @property
    def shown(self) -> str:
        """Everything that leaves the relay, except for the request of the tool."""
        return str([command for command in self.commands if not isinstance(command, RunTool)])


def ran(commands: Sequence[Command]) -> list[tuple[str, str | None]]:
    runs = [command for command in commands if isinstance(command, RunTool)]
    return [(run.name, run.typed.digits if run.typed else None) for run in runs]


def errors(commands: Sequence[Command]) -> list[str]:
    """Faults that the agent receives as the result of its function."""
    items = [cast(Any, event["item"]) for event in sent(list(commands)) if "item" in event]
    found = [json.loads(item["output"]) for item in items if item["type"] == "function_call_output"]
    return [str(output["error"]) for output in found]


def messages(commands: Sequence[Command], role: str = "user") -> list[str]:
    items = [cast(Any, event["item"]) for event in sent(list(commands)) if "item" in event]
    return [item["content"][0]["text"] for item in items if item.get("role") == role]


def asked(commands: Sequence[Command]) -> bool:
    """Whether the relay has the text spoken that asks for the digits."""
    return ASK in str(sent(list(commands)))


def recorded(commands: Sequence[Command]) -> list[tuple[str, str]]:
    entries = [c.entry for c in commands if isinstance(c, Record) and isinstance(c.entry, Notice)]
    return [(entry.what, entry.detail) for entry in entries if entry.what in ("tones", "keys", "tool_begun")]


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


def test_a_running_tool_has_the_hold_tone() -> None:
    line = Line()
    line.calls()
    line.types(CARD + "#")
    assert any(isinstance(c, Append) and c.entry == Hold(True, phrase=True) for c in line.wait(4))


def test_tones_in_the_caller_s_audio_do_not_reach_the_agent() -> None:
    line = Line()
    line.calls()
    withheld = [line.core.withholds_caller]
    line.types("41")
    withheld.append(line.core.withholds_caller)
    line.wait(2)
    withheld.append(line.core.withholds_caller)
    assert withheld == [False, True, False], "before and after it, the caller may say that they have no card"


def test_a_key_interrupts_the_agent() -> None:
    line = Line()
    line.agent(vl.ResponseCreated("r1"), vl.AudioDelta("r1", "a1", SECOND))
    line.note(line.core.from_caller(Playing("a1"), line.now))
    line.types("4")
    assert any(event["type"] == "response.cancel" for event in sent(line.commands))


# -- another session, another relay --------------------------------------------------------------------------------
def test_a_lost_session_does_not_lose_the_digits() -> None:
    line = Line()
    line.calls(amount=5)
    line.types(CARD[:8])
    line.note(line.core.session_lost("1006", line.now))
    line.note(line.open())
    assert ran(line.types(CARD[8:])) == [("pay", CARD)]
    items = [cast(Any, event["item"]) for event in sent(line.answer('{"paid":true}')) if "item" in event]
    assert [item["type"] for item in items] == ["function_call", "function_call_output"]
    assert CARD not in line.shown


def taken_over(line: Line) -> tuple[Talk, History]:
    """Another relay continues the call from the transcript in Redis."""
    entries: list[TranscriptEntry] = [Turn("caller", "u1", "I want to pay.", 1)]
    entries += [command.entry for command in line.commands if isinstance(command, Record)]
    history = from_transcript(msgspec.msgpack.decode(msgspec.msgpack.encode(entries), type=list[TranscriptEntry]))
    talk = Talk(profile(), resumed=True, greeted=True, history=history)
    talk.now = line.now + 1
    return talk, history


def test_a_relay_that_dies_while_the_caller_types_leaves_a_question_for_the_agent() -> None:
    line = Line()
    line.calls()
    line.types(CARD[:8])
    assert not line.core.typing, "the next relay does not read the keys again"
    talk, history = taken_over(line)
    outputs = [cast(Any, event["item"]).get("output") for event in history.replay()]
    assert NOT_TYPED in outputs
    assert "4111" not in str(history.replay())
    # The rest of the number arrives before the next relay has a voice session.
    for key in CARD[8:12]:
        talk.core.from_caller(Dtmf(key), talk.now)
    talk.open()
    for key in CARD[12:]:
        talk.core.from_caller(Dtmf(key), talk.now)
    commands = talk.core.from_caller(Dtmf("#"), talk.now)
    assert messages(commands) == ["[keypad] digits of which some were lost; ask the caller to type them again"]
    commands = talk.hear(vl.ResponseCreated("r9"), vl.FunctionCall("r9", "i9", "c9", "pay", "{}"))
    assert ran(commands) == [], "half a number is no number"
    for key in CARD:
        commands += talk.core.from_caller(Dtmf(key), talk.now)
    assert ran(commands) == [("pay", CARD)]


def test_a_relay_that_dies_while_the_tool_runs_leaves_an_unknown_outcome() -> None:
    line = Line()
    line.calls()
    line.types(CARD + "#")
    _, history = taken_over(line)
    outputs = [cast(Any, event["item"]).get("output") for event in history.replay()]
    assert OUTCOME_UNKNOWN in outputs
    assert NOT_TYPED not in outputs
    assert "4111" not in str(history.replay())


def test_a_call_that_ends_while_the_caller_types_runs_nothing() -> None:
    line = Line()
    line.calls()
    line.types(CARD[:8])
    commands = line.note(line.core.call_ended(line.now))
    assert ran(commands) == []
    assert "4111" not in line.shown
