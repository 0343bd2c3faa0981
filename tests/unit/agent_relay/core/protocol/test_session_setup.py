from __future__ import annotations

import pytest

from agent_relay.core.protocol.session_setup import ATTEMPTS, SessionSetup
from agent_relay.core.protocol.voice_events import (
    ClientEvent,
    ErrorEvent,
    Other,
    ResponseCreated,
    SessionCreated,
    SessionUpdated,
)

SESSION = {"modalities": ["text", "audio"], "voice": {"name": "x"}, "turn_detection": None}
ESSENTIAL = {"modalities": ["text", "audio"]}
CREATED = SessionCreated("sess_1", "", 0)


def _begun() -> SessionSetup:
    setup = SessionSetup(SESSION, ESSENTIAL)
    setup.begin()
    assert _sessions(setup.answer(CREATED)) == [SESSION]
    return setup


def _sessions(events: list[ClientEvent]) -> list[object]:
    return [event["session"] for event in events]


def _refusal(param: str = "", message: str = "", event_id: str = "update-1") -> ErrorEvent:
    return ErrorEvent("invalid_request_error", message, param, event_id)


@pytest.mark.parametrize(
    "refusal",
    [_refusal("session.voice"), _refusal(message="'session.voice' unexpected (extra fields not permitted)")],
)
def test_the_refused_field_is_left_out(refusal: ErrorEvent) -> None:
    setup = _begun()
    assert setup.answer(refusal) == [
        {
            "type": "session.update",
            "event_id": "update-2",
            "session": {"modalities": ["text", "audio"], "turn_detection": None},
        }
    ]
    assert setup.refusals == ["voice: invalid_request_error"]


def test_without_a_name_only_the_essentials_stay() -> None:
    setup = _begun()
    assert _sessions(setup.answer(_refusal(message="no"))) == [ESSENTIAL]
    assert setup.refusals == ["all but the essentials: invalid_request_error"]


def test_attempts_are_bounded_and_restart_with_a_socket() -> None:
    setup = _begun()
    asked = 1
    while setup.answer(_refusal()):
        asked += 1
        assert asked < 10
    assert asked == ATTEMPTS
    assert setup.failed
    setup.begin()
    assert _sessions(setup.answer(CREATED)) == [SESSION]
    assert setup.refusals == []


def test_only_errors_about_the_session_remove_fields() -> None:
    assert _begun().answer(_refusal("session.voice", event_id=""))
    setup = _begun()
    assert setup.answer(_refusal(message="Missing required agent project name", event_id="")) == []
    assert "Missing required" in setup.error
    assert not setup.failed
    assert setup.answer(Other("rate_limits.updated")) == []


def test_it_compares_with_the_original_session() -> None:
    setup = _begun()
    setup.answer(_refusal("session.voice"))
    assert setup.is_for(dict(SESSION))
    assert not setup.is_for(ESSENTIAL)


_FORMAT = {"type": "audio/pcm", "rate": 24_000}
_GA: dict[str, object] = {
    "type": "realtime",
    "audio": {
        "input": {"format": _FORMAT, "transcription": {"model": "m"}, "turn_detection": {"type": "server_vad"}},
        "output": {"format": _FORMAT, "voice": "ash"},
    },
    "instructions": "Be kind.",
}
_GA_ESSENTIAL: dict[str, object] = {
    "type": "realtime",
    "audio": {"input": {"format": _FORMAT}, "output": {"format": _FORMAT}},
}


@pytest.mark.parametrize(
    ("param", "message", "left_out"),
    [
        ("session.audio.input.transcription.model", "", "audio.input.transcription"),
        ("session.audio.input.turn_detection", "", "audio.input.turn_detection"),
        ("", "Invalid value: 'session.audio.output.voice'.", "audio.output.voice"),
        ("session.instructions", "", "instructions"),
        ("session.audio.input.format", "", "all but the essentials"),
        ("session.audio", "", "all but the essentials"),
        ("session.unknown.field", "", "all but the essentials"),
    ],
)
def test_a_refused_field_of_a_nested_object_is_left_out_alone(param: str, message: str, left_out: str) -> None:
    setup = SessionSetup(_GA, _GA_ESSENTIAL)
    setup.begin()
    setup.answer(CREATED)
    (update,) = setup.answer(_refusal(param, message))
    assert setup.refusals == [f"{left_out}: invalid_request_error"]
    fields = {f"session.{path}" for path in _paths(_GA)} - {f"session.{path}" for path in _paths(update["session"])}
    if left_out == "all but the essentials":
        assert update["session"] == _GA_ESSENTIAL
    else:
        assert {field for field in fields if field.count(".") == left_out.count(".") + 1} == {f"session.{left_out}"}


def _paths(value: object, at: str = "") -> list[str]:
    if not isinstance(value, dict):
        return []
    return [path for key, inner in value.items() for path in (f"{at}{key}", *_paths(inner, f"{at}{key}."))]


# -- voice agents
TOOLS = [{"type": "function", "name": "end_call"}]
DEFINITION = {"type": "realtime"}
REPORT = SessionCreated("sess_1", "conv_1", 7, ("look_up",), ("audio/pcm", "audio/pcm"))


def _defined(**overrides: object) -> SessionSetup:
    setup = SessionSetup({**DEFINITION, **overrides}, DEFINITION, defined=True)
    setup.begin()
    assert not setup.defined
    assert len(setup.answer(REPORT)) == 1
    return setup


def test_a_voice_agent_is_configured_by_its_definition() -> None:
    setup = _defined()
    assert (setup.defined, setup.configured) == (True, None)
    assert setup.answer(SessionUpdated("sess_1", "", 7, ("look_up",))) == []
    assert setup.configured == SessionUpdated("sess_1", "conv_1", 7, ("look_up",)), "the id is only in session.created"
    assert not setup.defined


def test_without_an_update_it_begins_as_it_was_created() -> None:
    setup = _defined()
    setup.begin_as_defined()
    assert setup.configured == SessionUpdated("sess_1", "conv_1", 7, ("look_up",), ("audio/pcm", "audio/pcm"))


def test_its_greeting_begins_it() -> None:
    setup = _defined(tools=TOOLS)
    assert setup.answer(ResponseCreated("r1")) == []
    assert setup.configured is not None
    assert setup.configured.functions is None, "not known yet"


def test_it_waits_for_tools_that_were_sent() -> None:
    setup = _defined(tools=TOOLS)
    before = [setup.answer(SessionUpdated("sess_1", "", 7, ("look_up",))), setup.configured]
    assert before == [[], None], "a report before the answer to the update"
    setup.answer(SessionUpdated("sess_1", "", 7, ("end_call",)))
    assert setup.configured == SessionUpdated("sess_1", "conv_1", 7, ("end_call",))


@pytest.mark.parametrize("overrides", [{}, {"audio": {"output": {"voice": "ava"}}}])
def test_rejected_overrides_leave_the_definition(overrides: dict[str, object]) -> None:
    setup = _defined(**overrides)
    answers = setup.answer(_refusal(message="not supported"))
    if overrides:
        assert _sessions(answers) == [DEFINITION]
        answers = setup.answer(_refusal(message="not supported", event_id="update-2"))
    assert answers == []
    assert setup.configured is not None
    assert not setup.failed
    assert setup.refusals[-1] == "session.update: invalid_request_error"


def test_another_format_of_the_audio_fails() -> None:
    setup = SessionSetup(DEFINITION, DEFINITION, defined=True)
    setup.begin()
    setup.answer(SessionCreated("sess_1", "", 0, None, ("audio/pcmu", "audio/pcm 16000")))
    setup.begin_as_defined()
    assert setup.failed
    assert setup.configured is None
    assert "audio/pcm 16000, audio/pcmu" in setup.error
