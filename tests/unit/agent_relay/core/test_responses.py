from __future__ import annotations

from agent_relay.core.responses import ALREADY_ACTIVE, ANSWER_S, Purpose, Responses
from agent_relay.core.voice_live import ErrorEvent, create_response, create_spoken

ANSWER = create_response()


def _error(code: str, event_id: str = "", message: str = "") -> ErrorEvent:
    return ErrorEvent(code, message, "", event_id)


def test_a_request_waits_for_the_active_response() -> None:
    responses = Responses()
    responses.created("r1")
    assert responses.ask(ANSWER, Purpose.ANSWER, 1.0) == []
    assert responses.ask(ANSWER, Purpose.ANSWER, 1.0) == []
    assert responses.done("r1", 2.0) == [{"type": "response.create", "event_id": "answer-1"}]
    responses.created("r2")
    assert responses.done("r2", 3.0) == [], "two bare requests that waited were one"
    assert responses.idle


def test_the_end_of_another_response_frees_nothing() -> None:
    responses = Responses()
    responses.created("r1")
    responses.ask(ANSWER, Purpose.ANSWER, 1.0)
    assert responses.done("r0", 1.0) == []


def test_one_request_at_a_time() -> None:
    responses = Responses()
    assert len(responses.ask(ANSWER, Purpose.ANSWER, 1.0)) == 1
    assert responses.ask(create_spoken("hello"), Purpose.FALLBACK, 1.0) == []
    responses.created("r1")
    assert responses.purpose is Purpose.ANSWER
    (fallback,) = responses.done("r1", 2.0)
    assert fallback["event_id"] == "fallback-2"


def test_a_refused_request_is_told() -> None:
    responses = Responses()
    responses.ask(ANSWER, Purpose.GREETING, 1.0)
    assert responses.refused(_error("invalid_value", "truncate-1"), 1.0) is None
    assert responses.refused(_error("invalid_value"), 1.0) is None
    refused = responses.refused(_error("invalid_request_error", "greeting-1"), 1.0)
    assert refused is not None
    assert refused[1] is Purpose.GREETING
    assert responses.idle


def test_a_request_that_met_an_unseen_response_waits_for_its_end() -> None:
    responses = Responses()
    responses.ask(ANSWER, Purpose.ANSWER, 1.0)
    assert responses.refused(_error(ALREADY_ACTIVE), 1.1) is None
    assert responses.expired(1.2) == []
    (again,) = responses.done("r_theirs", 2.0)
    assert again["event_id"] == "answer-2"


def test_a_response_taken_for_ours_is_known_as_theirs_when_ours_is_refused() -> None:
    responses = Responses()
    responses.ask(ANSWER, Purpose.GREETING, 1.0)
    responses.created("r_theirs")
    refused = responses.refused(_error("x", "greeting-1", "Conversation already has an active response"), 1.1)
    assert refused is None
    assert (responses.active, str(responses.purpose)) == ("r_theirs", "answer")
    assert len(responses.done("r_theirs", 2.0)) == 1
    responses.created("r_ours")
    assert str(responses.purpose) == "greeting"


def test_a_request_that_is_never_answered_is_given_up() -> None:
    responses = Responses()
    responses.ask(ANSWER, Purpose.ANSWER, 1.0)
    responses.ask(create_spoken("x"), Purpose.FALLBACK, 1.0)
    assert responses.next_at == 1.0 + ANSWER_S
    assert responses.expired(1.0) == []
    assert len(responses.expired(1.0 + ANSWER_S)) == 1


def test_an_unseen_response_that_never_ends_is_given_up() -> None:
    responses = Responses()
    responses.ask(ANSWER, Purpose.ANSWER, 1.0)
    responses.refused(_error(ALREADY_ACTIVE, "answer-1"), 2.0)
    assert len(responses.expired(2.0 + ANSWER_S)) == 1


def test_a_lost_session_owes_what_was_active_asked_and_waiting() -> None:
    responses = Responses()
    responses.ask(ANSWER, Purpose.GREETING, 1.0)
    responses.created("r1")
    responses.ask(ANSWER, Purpose.ANSWER, 1.0)
    assert responses.lost() == [Purpose.GREETING, Purpose.ANSWER]
    assert responses.idle
    assert responses.lost() == []
