from __future__ import annotations

from agent_relay.core.dialog.responses import (
    ALREADY_ACTIVE,
    UNKNOWN,
    Purpose,
    RecentEvents,
    ResponseRefusal,
    Responses,
)
from agent_relay.core.protocol.voice_events import ErrorEvent, create_response

ANSWER = create_response()


def _error(code: str, event_id: str = "", message: str = "") -> ErrorEvent:
    return ErrorEvent(code, message, "", event_id)


def test_a_request_is_under_way_until_a_response_begins() -> None:
    responses = Responses()
    assert responses.ask(ANSWER, Purpose.FALLBACK, 1.0) == {"type": "response.create", "event_id": "fallback-1"}
    assert responses.hold(Purpose.FALLBACK)
    assert not responses.hold(Purpose.SAY)
    responses.created("r1")
    assert responses.purpose is Purpose.FALLBACK
    assert responses.requested
    assert not responses.idle
    responses.done("r1")
    assert responses.idle


def test_the_end_of_another_response_frees_nothing() -> None:
    responses = Responses()
    responses.created("r1")
    assert not responses.requested
    responses.done("r0")
    assert responses.active == "r1"


def test_a_refused_request_is_reported() -> None:
    responses = Responses()
    responses.ask(ANSWER, Purpose.GREETING, 1.0)
    assert responses.refused(_error("invalid_value", "truncate-1")) is None
    assert responses.refused(_error("invalid_request_error", "greeting-1")) == ResponseRefusal(
        Purpose.GREETING, busy=False
    )
    assert responses.idle


def test_an_error_that_names_no_event_is_about_the_request_under_way() -> None:
    responses = Responses()
    assert responses.refused(_error("server_error")) is None, "there is none"
    responses.ask(ANSWER, Purpose.ANSWER, 1.0)
    assert responses.refused(_error("server_error")) == ResponseRefusal(Purpose.ANSWER, busy=False)
    responses.ask(ANSWER, Purpose.ANSWER, 1.0)
    responses.created("r1")
    assert responses.refused(_error("server_error")) is None, "it was accepted"


def test_an_error_about_another_event_does_not_refuse_the_request() -> None:
    responses = Responses()
    responses.ask(ANSWER, Purpose.FALLBACK, 1.0)
    for code in ("response_cancel_not_active", "item_truncate_invalid_item_id"):
        assert responses.refused(_error(code)) is None
    assert responses.hold(Purpose.FALLBACK)


def test_a_request_that_met_an_unseen_response_waits_for_its_end() -> None:
    responses = Responses()
    responses.ask(ANSWER, Purpose.ANSWER, 1.0)
    assert responses.refused(_error(ALREADY_ACTIVE)) == ResponseRefusal(Purpose.ANSWER, busy=True)
    assert responses.active == UNKNOWN
    responses.done("r_theirs")
    assert responses.idle


def test_a_response_taken_for_ours_is_known_as_theirs_when_ours_is_refused() -> None:
    responses = Responses()
    responses.ask(ANSWER, Purpose.GREETING, 1.0)
    responses.created("r_theirs")
    refused = responses.refused(_error("x", "greeting-1", "Conversation already has an active response"))
    assert refused == ResponseRefusal(Purpose.GREETING, busy=True)
    assert (responses.active, responses.purpose, responses.requested) == ("r_theirs", Purpose.ANSWER, False)


def test_what_is_not_believed_in_any_more_is_forgotten() -> None:
    responses = Responses()
    responses.ask(ANSWER, Purpose.GREETING, 1.0)
    assert responses.forget() == ""
    assert responses.idle
    responses.created("r1")
    assert responses.forget() == "r1"
    assert responses.idle
    responses.ask(ANSWER, Purpose.ANSWER, 1.0)
    responses.refused(_error(ALREADY_ACTIVE))
    assert responses.forget() == "", "its id is not known"


def test_an_id_is_new_once() -> None:
    recent = RecentEvents()
    assert [recent.is_new(id_) for id_ in ("a", "a", "b", "a")] == [True, False, True, False]


def test_old_ids_are_forgotten() -> None:
    recent = RecentEvents()
    for number in range(1000):
        assert recent.is_new(str(number))
    assert not recent.is_new("999")
    assert recent.is_new("0")


def test_a_forgotten_id_is_new_again() -> None:
    recent = RecentEvents()
    recent.is_new("a")
    assert [recent.forget("a"), recent.forget("a"), recent.is_new("a")] == [True, False, True]
