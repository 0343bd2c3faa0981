"""When a silent session is probed, and when it is abandoned."""

from __future__ import annotations

import pytest

from agent_relay.core.dialog.conversation_commands import Abandon, Command, Send
from agent_relay.core.keepalive import ANSWER_S, PROBE_S, Keepalive, answers_probe
from agent_relay.core.protocol.voice_events import ErrorEvent, Other


def begun(at: float = 10.0, *, proven: bool = True) -> Keepalive:
    """Return the probes of a session. `proven`: it has answered a probe."""
    keepalive = Keepalive()
    keepalive.begin(at)
    asked = keepalive.probe(at)
    if proven:
        assert keepalive.is_own(refusal([asked]), at)
    return keepalive


def refusal(commands: list[Command]) -> ErrorEvent:
    (command,) = commands
    assert isinstance(command, Send)
    return ErrorEvent("", "", "", str(command.event["event_id"]))


def test_a_session_that_does_not_answer_a_probe_is_abandoned() -> None:
    keepalive = begun(10.0)
    assert keepalive.next_at(0.0) == 10.0 + PROBE_S
    assert keepalive.check(0.0, 10.0 + PROBE_S - 0.01) == []
    asked = keepalive.check(0.0, 11.0)
    assert answers_probe(refusal(asked))
    assert keepalive.check(0.0, 11.0 + ANSWER_S - 0.01) == []
    (command,) = keepalive.check(0.0, 11.0 + ANSWER_S)
    assert isinstance(command, Abandon)


def test_a_session_that_never_answered_a_probe_is_not_abandoned() -> None:
    keepalive = begun(10.0, proven=False)
    assert keepalive.next_at(0.0) is None
    assert keepalive.check(0.0, 600.0) == []
    assert not keepalive.is_own(Other("rate_limits.updated"), 700.0)
    assert keepalive.check(0.0, 800.0) == []
    assert keepalive.is_own(ErrorEvent("", "", "", "probe-1"), 801.0), "it was only slow"
    assert keepalive.next_at(0.0) == 801.0 + PROBE_S


def test_a_session_that_answers_probes_may_take_any_time() -> None:
    keepalive, now = begun(10.0), 10.0
    for _ in range(60):
        now = keepalive.next_at(0.0) or 0.0
        assert keepalive.is_own(refusal(keepalive.check(0.0, now)), now + 0.05)
    assert now == pytest.approx(10.0 + 60 * PROBE_S + 59 * 0.05)


def test_a_new_request_postpones_the_probe() -> None:
    keepalive = begun(10.0)
    assert keepalive.check(99.5, 100.0) == []
    assert keepalive.next_at(99.5) == 99.5 + PROBE_S


def test_any_event_postpones_the_probe_and_a_new_session_starts_over() -> None:
    keepalive = begun(10.0)
    keepalive.check(0.0, 11.0)
    assert not keepalive.is_own(Other("rate_limits.updated"), 11.5)
    assert keepalive.next_at(0.0) == 11.5 + PROBE_S
    keepalive.check(0.0, 12.5)
    keepalive.begin(12.6)
    assert keepalive.check(0.0, 12.5 + ANSWER_S - 0.2) == []
    keepalive.probe(12.6)
    assert keepalive.next_at(0.0) is None, "this one has not answered yet"


@pytest.mark.parametrize(
    "answer",
    [
        ErrorEvent("item_retrieve_invalid_item_id", "no", "item_id", ""),
        ErrorEvent("invalid_request_error", "Item 'probe-' not found", "", "", "invalid_request_error"),
        ErrorEvent("invalid_request_error", "not found", "", "", "invalid_request_error"),
        Other("conversation.item.retrieved"),
    ],
)
def test_a_probe_is_answered_in_any_form(answer: ErrorEvent | Other) -> None:
    keepalive = begun(10.0, proven=False)
    assert keepalive.is_own(answer, 10.1)
    assert keepalive.next_at(0.0) == 10.1 + PROBE_S


def test_other_refusals_do_not_answer_a_probe() -> None:
    keepalive = begun(10.0)
    assert not keepalive.is_own(ErrorEvent("", "", "", "truncate-1"), 10.5)
    assert keepalive.last_event_at == 10.5
    assert not keepalive.is_own(ErrorEvent("invalid_request_error", "", "", ""), 10.5), "no probe is open"
    keepalive.probe(11.0)
    assert not keepalive.is_own(ErrorEvent("server_error", "", "", "", "server_error"), 11.1)
    assert not keepalive.is_own(ErrorEvent("invalid_request_error", "", "", ""), 60.0), "that probe was ignored"
