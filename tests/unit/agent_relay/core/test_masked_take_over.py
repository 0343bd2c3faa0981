"""Masked digits when the voice session, the relay or the call is lost."""

from __future__ import annotations

from typing import Any, cast

import msgspec

from agent_relay.core.dialog.conversation_commands import Record
from agent_relay.core.dialog.history import NOT_TYPED, OUTCOME_UNKNOWN, History, from_transcript
from agent_relay.core.protocol import voice_events as vl
from bridge_common.wire.entries import Dtmf, TranscriptEntry, Turn
from tests.unit.support.talk import Talk, sent
from tests.unit.support.typing_caller import CARD, Line, messages, profile, ran


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
    assert not line.core.keypad.unsent, "the next relay does not read the keys again"
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
    assert ran(commands) == [], "half a number is not sent"
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
