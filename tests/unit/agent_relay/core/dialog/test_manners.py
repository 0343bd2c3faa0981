"""Instructions to the relay that concern manners; the conversation's tests show the rest."""

from __future__ import annotations

import pytest

from agent_relay.core.dialog.conversation_commands import Command, RequestAction
from bridge_common.wire.entries import Instruct
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


@pytest.mark.parametrize("detail", ["", "nonsense", "[]", "{}"])
def test_an_instruction_with_an_invalid_detail_is_followed_as_far_as_possible(detail: str) -> None:
    talk = _talk()
    assert "Goodbye." in str(sent(talk.core.instruct(Instruct("act_1", "goodbye", detail), talk.now)))


def test_an_unknown_instruction_is_ignored() -> None:
    assert _talk().core.instruct(Instruct("x", "dance", "{}"), 1.0) == []


def test_without_a_silence_policy_a_silent_caller_is_waited_for() -> None:
    talk = _talk()
    assert _requests(talk.core.tick(10_000.0)) == []
