"""How the end of a response is judged. What follows in a whole conversation: test_owed_turns."""

from __future__ import annotations

import pytest

from agent_relay.core.dialog.agent_speech import AgentSpeech
from agent_relay.core.dialog.caller_speech import CallerSpeech
from agent_relay.core.dialog.conversation_commands import Abandon, Overdue, Send
from agent_relay.core.dialog.debt import DebtKind, DebtStep, Missed
from agent_relay.core.dialog.history import History
from agent_relay.core.dialog.prompts import Prompts
from agent_relay.core.dialog.response_outcomes import ResponseOutcomes
from agent_relay.core.dialog.voice_session import VoiceSession
from agent_relay.core.dialog.wall_clock import WallClock
from agent_relay.core.protocol import voice_events as vl
from agent_relay.core.protocol.session_setup import SessionSetup
from tests.unit.support.talk import notices, plan_for


class Stage:
    """The caller waits for an answer, and response `r1` has begun."""

    def __init__(self) -> None:
        plan, clock, history = plan_for(), WallClock(0.0), History()
        session = VoiceSession(SessionSetup(plan.session, plan.essential_session), clock)
        session.configured(1.0)
        self.prompts = Prompts(plan, clock, session)
        self.speech = AgentSpeech(history, truncates=True, unix_ms=clock.unix_ms)
        self.caller = CallerSpeech(history, unix_ms=clock.unix_ms)
        self.outcomes = ResponseOutcomes(self.prompts, self.speech, self.caller, clock)
        self.prompts.owed.owe(DebtKind.WORDS, 1.0, awaited=True, item_id="u1")
        self.prompts.responses.created("r1")
        self.prompts.owed.began("r1", 1.0)


@pytest.mark.parametrize(
    ("status", "reason", "silent", "failed", "noted"),
    [
        ("completed", "", False, "", []),
        ("completed", "", True, "no audio", []),
        ("incomplete", "max_output_tokens", False, "", ["response_failed"]),
        ("incomplete", "content_filter", True, "content_filter", ["response_failed"]),
        ("failed", "server_error", False, "server_error", ["response_failed"]),
        ("failed", "", True, "failed", ["response_failed"]),
        ("cancelled", "turn_detected", False, "", []),
        ("cancelled", "client_cancelled", True, "client_cancelled", []),
    ],
)
def test_a_response_fails_if_the_caller_cannot_hear_it(
    status: str, reason: str, silent: bool, failed: str, noted: list[str]
) -> None:
    stage = Stage()
    commands = stage.outcomes.ended(vl.ResponseDone("r1", status, reason), 2.0, silent=silent)
    assert [c.why for c in commands if isinstance(c, Overdue)] == ([failed] if failed else [])
    assert [what for what in notices(commands) if what != "speech_overdue"] == noted


def test_a_silent_response_that_the_caller_interrupts_is_no_failure() -> None:
    stage = Stage()
    stage.caller.started("u2", 1.5)
    event = vl.ResponseDone("r1", "cancelled", "turn_detected")
    assert stage.outcomes.ended(event, 2.0, silent=True) == []


@pytest.mark.parametrize(("response_id", "text"), [("r1", "We open at nine."), ("r0", "")])
def test_text_of_the_same_response_is_to_be_spoken(response_id: str, text: str) -> None:
    stage = Stage()
    stage.outcomes.wrote(response_id, " We open at nine.\n")
    stage.outcomes.ended(vl.ResponseDone("r1", "completed", ""), 2.0, silent=True)
    debt = stage.prompts.owed.debt
    assert debt is not None
    assert debt.text == text


def test_a_stuck_response_is_cancelled_unless_the_session_is_given_up() -> None:
    stage = Stage()
    kept = stage.outcomes.missed(Missed(DebtKind.WORDS, DebtStep.FALLBACK, "no audio", stuck=True), 2.0)
    assert [c.event for c in kept if isinstance(c, Send)] == [vl.cancel_response("r1")]
    assert stage.speech.dropped("r1")
    stage = Stage()
    given_up = stage.outcomes.missed(Missed(DebtKind.WORDS, DebtStep.AGAIN, "no audio", stuck=True, move=True), 2.0)
    assert [type(c) for c in given_up if not isinstance(c, Overdue)][-1] is Abandon
    assert not stage.speech.dropped("r1")
