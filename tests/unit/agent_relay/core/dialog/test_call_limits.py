"""Function calls that are answered with an error instead of being run."""

from __future__ import annotations

import json

from agent_relay.core.dialog.call_limits import (
    INTERRUPTED,
    MOST_ARGUMENT_CHARS,
    MOST_CALLS,
    TOO_LONG,
    TOO_MANY,
    CallLimits,
    shortened,
)
from agent_relay.core.dialog.conversation_commands import Command, Record, RunTool
from agent_relay.core.protocol import voice_events as vl
from bridge_common.wire.entries import Notice
from tests.unit.support.talk import SECOND, Talk, notices, profile_for, sent, types

LONG = '{"number":"' + "4" * MOST_ARGUMENT_CHARS + '"}'


def _fault(limits: CallLimits, response_id: str, call_id: str, arguments: str = "{}") -> str:
    return limits.fault(vl.FunctionCall(response_id, "i1", call_id, "look_up", arguments), interrupted=False)


def test_each_response_has_its_own_calls() -> None:
    limits = CallLimits()
    for response_id in ("r1", "r2"):
        for number in range(MOST_CALLS):
            assert not _fault(limits, response_id, f"c{number}")
        assert _fault(limits, response_id, "one more") == TOO_MANY
        assert not _fault(limits, response_id, "c0"), "a repeated event is not another call"


def test_a_reused_id_and_calls_without_a_response_are_not_counted_forever() -> None:
    limits = CallLimits()
    for number in range(3 * MOST_CALLS):
        assert not _fault(limits, "", f"c{number}")
        assert not _fault(limits, "r1", f"c{number}")
        limits.response_done("r1")


def test_actions_are_not_counted() -> None:
    limits = CallLimits({"end_call"})
    for number in range(MOST_CALLS + 1):
        _fault(limits, "r1", f"c{number}")
    end = vl.FunctionCall("r1", "i1", "end", "end_call", "{}")
    assert limits.fault(end, interrupted=False) == ""
    assert limits.fault(end, interrupted=True) == INTERRUPTED


def test_the_length_of_arguments_is_limited() -> None:
    assert not _fault(CallLimits(), "r1", "c1", "x" * MOST_ARGUMENT_CHARS)
    assert _fault(CallLimits(), "r1", "c1", "x" * (MOST_ARGUMENT_CHARS + 1)) == TOO_LONG
    assert shortened("{}") == "{}"
    assert len(shortened(LONG)) < 2_000
    assert json.loads(shortened(LONG))["shortened"].startswith('{"number":"444')


def _talk() -> Talk:
    talk = Talk(profile_for(tools=frozenset({"look_up"})))
    talk.open()
    talk.turn()
    talk.hear(vl.ResponseCreated("r1"))
    return talk


def _run(commands: list[Command]) -> list[str]:
    return [one.call_id for one in commands if isinstance(one, RunTool)]


def test_of_many_calls_only_the_first_ones_run() -> None:
    talk = _talk()
    calls = [vl.FunctionCall("r1", f"i{one}", f"c{one}", "look_up", f'{{"n":{one}}}') for one in range(100)]
    commands = talk.hear(*calls)
    assert _run(commands) == [f"c{one}" for one in range(MOST_CALLS)]
    assert sent(commands) == [vl.create_function_output(f"c{one}", TOO_MANY) for one in range(MOST_CALLS, 100)]
    talk.hear(vl.ResponseDone("r1", "completed", ""))
    answers = [talk.core.tool_answered(f"c{one}", "{}", talk.now) for one in range(MOST_CALLS)]
    assert types(answers[-1])[-1] == "response.create", "one answer to all of them"


def test_long_arguments_are_refused_and_stored_shortened() -> None:
    talk = _talk()
    commands = talk.hear(vl.FunctionCall("r1", "i1", "c1", "look_up", LONG))
    assert _run(commands) == []
    assert sent(commands) == [vl.create_function_output("c1", TOO_LONG)]
    [record] = [one for one in commands if isinstance(one, Record)]
    assert isinstance(record.entry, Notice)
    assert len(record.entry.detail) < 2_500
    assert types(talk.hear(vl.ResponseDone("r1", "completed", ""))) == ["response.create"]


def test_a_call_that_follows_an_interruption_does_not_run() -> None:
    talk = _talk()
    talk.hear(vl.AudioDelta("r1", "a1", SECOND), vl.FunctionCall("r1", "i1", "c1", "look_up", "{}"))
    commands = talk.hear(vl.SpeechStarted("u2"), vl.FunctionCall("r1", "i2", "c2", "look_up", '{"n":2}'))
    assert _run(commands) == []
    assert vl.create_function_output("c2", INTERRUPTED) in sent(commands)
    assert notices(commands) == ["tool_call"]
    assert types(talk.hear(vl.ResponseDone("r1", "cancelled", "turn_detected"))) == []
    answered = talk.core.tool_answered("c1", "{}", 2.0)
    assert sent(answered)[0] == vl.create_function_output("c1", "{}"), "a call that had begun is finished"


def test_a_call_of_the_next_response_runs() -> None:
    talk = _talk()
    talk.hear(vl.AudioDelta("r1", "a1", SECOND), vl.SpeechStarted("u2"))
    talk.hear(vl.FunctionCall("r1", "i1", "c1", "look_up", "{}"), vl.ResponseDone("r1", "cancelled", "turn_detected"))
    talk.hear(vl.SpeechStopped("u2"), vl.UserTranscript("u2", "The other one."), vl.ResponseCreated("r2"))
    assert _run(talk.hear(vl.FunctionCall("r2", "i2", "c2", "look_up", "{}"))) == ["c2"]
