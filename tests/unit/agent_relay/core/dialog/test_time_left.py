"""The announcement that a long call will end, and its repetition."""

from __future__ import annotations

import pytest

from agent_relay.core.dialog.conversation_commands import Command
from bridge_common.wire.entries import Instruct, Played, Playing
from tests.unit.support.talk import Talk, profile_for, sent


def _warned(detail: str = '{"seconds":60}') -> Talk:
    talk = Talk(profile_for())
    talk.open()
    talk.core.attached(talk.now)
    talk.core.caller_audio(talk.now)
    assert _warnings(talk.core.instruct(Instruct("warning-1", "time_left", detail), talk.now)) == 1
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


@pytest.mark.parametrize(
    ("detail", "answered_after_s"), [('{"seconds":60}', 31.0), ('{"seconds":10}', 6.0), ("{}", 31.0)]
)
def test_a_warning_is_not_repeated_when_its_time_is_wrong(detail: str, answered_after_s: float) -> None:
    assert _warnings(_interrupted(_warned(detail), "a1", answered_after_s)) == 0


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
