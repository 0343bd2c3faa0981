"""Sessions of Foundry voice agents: the session object, and how the definition configures a session."""

from __future__ import annotations

import pytest

from lab.scenario import Agent
from lab.voice_live.server_events import Event, RefusedError
from lab.voice_live.voice_agent import extra_events, flat_overrides, on_the_wire
from tests.support.voice_live_stage import VOICE_AGENT, kinds, part, staged, tell

TOOL = {"type": "function", "name": "look_up"}
GREETING = "Welcome."


def _agent(**definition: object) -> Agent:
    return Agent.model_validate({"definition": {"tools": [TOOL], **definition}})


def test_overrides_are_converted_to_the_session_of_voice_live() -> None:
    flat = flat_overrides(
        {
            "type": "realtime",
            "interim_response": {"type": "static_interim_response"},
            "tools": [TOOL],
            "audio": {
                "input": {"turn_detection": None, "echo_cancellation": {"type": "server_echo_cancellation"}},
                "output": {"voice": "ava", "voice_type": "azure-standard", "style": "calm", "speed": 1.0},
            },
        }
    )
    assert flat == {
        "interim_response": {"type": "static_interim_response"},
        "tools": [TOOL],
        "turn_detection": None,
        "input_audio_echo_cancellation": {"type": "server_echo_cancellation"},
        "voice": {"name": "ava", "type": "azure-standard", "style": "calm"},
        "speed": 1.0,
    }


@pytest.mark.parametrize("given", [None, {}, {"type": "realtime", "unknown": 1}])
def test_an_update_that_is_not_valid_is_refused(given: object) -> None:
    with pytest.raises(RefusedError):
        flat_overrides(given)


def test_the_session_has_the_form_of_ga() -> None:
    dialogue = staged(VOICE_AGENT, _agent(greeting=GREETING, audio_format="g711_ulaw"))
    sent = on_the_wire({"type": "session.updated", "session": {}}, dialogue.record.session)
    assert part(sent, "session", "type") == "realtime"
    assert part(sent, "session", "tools") == [TOOL]
    assert part(sent, "session", "greeting") == {"type": "template", "template": GREETING}
    assert part(sent, "session", "audio", "output", "format") == {"type": "audio/pcmu"}
    assert part(sent, "session", "audio", "output", "voice_type") == "azure-standard"
    other: Event = {"type": "response.done"}
    assert on_the_wire(other, {}) == other


@pytest.mark.parametrize(
    ("updated", "overrides", "opening", "update"),
    [
        ("unasked", "applied", ["session.created", "session.updated", "response.created"], ["session.updated"]),
        ("asked", "applied", ["session.created"], ["session.updated", "response.created"]),
        ("asked", "ignored", ["session.created"], ["session.updated", "response.created"]),
        ("asked", "refused", ["session.created"], ["error", "response.created"]),
        ("never", "applied", ["session.created", "response.created"], []),
        ("never", "refused", ["session.created", "response.created"], ["error"]),
    ],
)
def test_when_a_session_is_updated_and_greets(
    updated: str, overrides: str, opening: list[str], update: list[str]
) -> None:
    agent = _agent(greeting=GREETING, updated=updated, overrides=overrides)
    dialogue = staged(VOICE_AGENT, agent, opened=False)
    events = dialogue.open(0.0)
    assert kinds(events) == opening
    assert events[0]["conversation_id"] == "conv_1"
    events = tell(dialogue, type="session.update", event_id="u", session={"tools": []})
    assert kinds(events) == update
    assert dialogue.record.session["tools"] == ([] if overrides == "applied" else [TOOL])
    assert not any(event["type"] == "error" and part(event, "error", "event_id") != "u" for event in events)


def test_only_known_tools_are_called() -> None:
    replies = [{"call": {"name": name}} for name in ("look_up", "end_call")]
    agent = Agent.model_validate({"replies": replies, "definition": {"tools": [TOOL]}})
    dialogue = staged(VOICE_AGENT, agent)
    plans: list[str] = []
    for _ in replies:
        item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hello"}]}
        tell(dialogue, type="conversation.item.create", item=item)
        tell(dialogue, type="response.create")
        response, plan = dialogue.answering.begun[-1]
        plans.append(type(plan).__name__)
        tell(dialogue, type="response.cancel", response_id=response.id)
    assert plans == ["CallFunction", "SayStep"]


def test_extra_events_are_those_of_voice_agents() -> None:
    assert "input_audio_buffer.dtmf_event_received" in kinds(extra_events())
