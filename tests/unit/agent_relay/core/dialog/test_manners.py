"""Instructions to the relay that concern manners; the conversation's tests show the rest."""

from __future__ import annotations

import pytest

from agent_relay.core.dialog.conversation_commands import Command, RequestAction
from bridge_common.wire.entries import Instruct, Played, Playing
from tests.unit.support.talk import Talk, profile_for, sent


def _talk() -> Talk:
    talk = Talk(profile_for())
    talk.open()
    talk.core.attached(talk.now)
    talk.core.caller_audio(talk.now)
    return talk


def _requests(commands: list[Command]) -> list[RequestAction]:
    return [command for command in commands if isinstance(command, RequestAction)]


def test_the_end_of_a_long_call_is_announced_once() -> None:
    talk = _talk()
    instruction = Instruct("warning-1", "time_left", '{"seconds":60}')
    assert "This call ends in a minute." in str(sent(talk.core.instruct(instruction, talk.now)))
    assert talk.core.instruct(instruction, talk.now) == []


def _warned() -> Talk:
    talk = _talk()
    talk.core.instruct(Instruct("warning-1", "time_left", '{"seconds":60}'), talk.now)
    return talk


def _interrupted(talk: Talk, item: str, answered_after_s: float = 1.0) -> list[Command]:
    """The caller interrupts what the agent says, and hears the answer. Return the commands of the answer."""
    talk.reply(item, f"r-{item}")
    talk.core.from_caller(Playing(item), talk.now)
    talk.now += 0.3
    talk.turn("Wait, one question.", f"u-{item}")
    talk.core.from_caller(Played(item, 300, False), talk.now)
    talk.now += answered_after_s
    answer = talk.reply(f"b-{item}", f"answer-{item}")
    return [*answer, *talk.play(f"b-{item}")]


def _warnings(commands: list[Command]) -> int:
    return str(sent(commands)).count("This call ends in a minute.")


def test_a_warning_that_the_caller_interrupts_is_repeated_once() -> None:
    talk = _warned()
    assert _warnings(_interrupted(talk, "a1")) == 1
    assert _warnings(_interrupted(talk, "a2")) == 0


def test_a_warning_is_not_repeated_when_its_time_is_wrong() -> None:
    assert _warnings(_interrupted(_warned(), "a1", answered_after_s=31.0)) == 0


def test_a_warning_that_was_heard_is_not_repeated() -> None:
    talk = _warned()
    talk.reply("a1")
    talk.play("a1")
    talk.turn()
    assert _warnings([*talk.reply("a2", "r2"), *talk.play("a2")]) == 0


def test_a_warning_is_not_repeated_during_the_goodbye() -> None:
    talk = _warned()
    talk.reply("a1")
    talk.core.from_caller(Playing("a1"), talk.now)
    talk.core.instruct(Instruct("act_1", "goodbye", "{}"), talk.now)
    commands = [*talk.turn(), *talk.reply("a2", "r2"), *talk.play("a2")]
    assert _warnings(commands) == 0


@pytest.mark.parametrize("detail", ["", "nonsense", "[]", "{}"])
def test_an_instruction_with_an_invalid_detail_is_followed_as_far_as_possible(detail: str) -> None:
    talk = _talk()
    assert "Goodbye." in str(sent(talk.core.instruct(Instruct("act_1", "goodbye", detail), talk.now)))


def test_an_unknown_instruction_is_ignored() -> None:
    assert _talk().core.instruct(Instruct("x", "dance", "{}"), 1.0) == []


def test_without_a_silence_policy_a_silent_caller_is_waited_for() -> None:
    talk = _talk()
    assert _requests(talk.core.tick(10_000.0)) == []
