from __future__ import annotations

import pytest

from agent_relay.core.session_setup import ATTEMPTS, SessionSetup
from agent_relay.core.voice_live import ErrorEvent

SESSION = {"modalities": ["text", "audio"], "voice": {"name": "x"}, "turn_detection": None}
ESSENTIAL = {"modalities": ["text", "audio"]}


def _refusal(param: str = "", message: str = "", event_id: str = "update-1") -> ErrorEvent:
    return ErrorEvent("invalid_request_error", message, param, event_id)


@pytest.mark.parametrize(
    "refusal",
    [_refusal("session.voice"), _refusal(message="'session.voice' unexpected (extra fields not permitted)")],
)
def test_the_refused_field_is_left_out(refusal: ErrorEvent) -> None:
    setup = SessionSetup(SESSION, ESSENTIAL)
    assert setup.update()["session"] == SESSION
    assert setup.simplify(refusal)
    assert setup.update() == {
        "type": "session.update",
        "event_id": "update-2",
        "session": {"modalities": ["text", "audio"], "turn_detection": None},
    }


def test_without_a_name_only_the_essentials_stay() -> None:
    setup = SessionSetup(SESSION, ESSENTIAL)
    setup.update()
    assert setup.simplify(_refusal(message="no"))
    assert setup.update()["session"] == ESSENTIAL


def test_attempts_are_bounded_and_begin_anew_with_a_socket() -> None:
    setup = SessionSetup(SESSION, ESSENTIAL)
    tries = 0
    while tries < 10:
        setup.update()
        tries += 1
        if not setup.simplify(_refusal()):
            break
    assert tries == ATTEMPTS
    setup.begin()
    assert setup.update()["session"] == SESSION


def test_only_errors_about_the_session_concern_it() -> None:
    setup = SessionSetup(SESSION, ESSENTIAL)
    assert setup.concerns(_refusal())
    assert setup.concerns(_refusal("session.voice", event_id=""))
    assert not setup.concerns(_refusal(message="Missing required agent project name", event_id=""))
