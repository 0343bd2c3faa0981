"""Faults that suppress the agent's speech, in a session without a socket."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from lab.scenario import Agent
from lab.voice_live.dialogue import Dialogue
from lab.voice_live.injected_faults import VoiceLiveFaults
from lab.voice_live.server_events import Event, RefusedError, error
from tests.support.voice_live_stage import hear, kinds, part, silence, staged, tell, tone

TURN = tone(600) + silence(700)
AGENT = Agent.model_validate({"replies": [{"heard": "Hello", "say": "Hi."}, {"heard": "Bye", "say": "Goodbye."}]})
QUOTA = {"code": "rate_limit_exceeded", "type": "requests", "message": "Please try again in 3s."}


def faulty(**faults: Mapping[str, object]) -> Dialogue:
    dialogue = staged(agent=AGENT)
    given = VoiceLiveFaults.model_validate(faults)
    dialogue.faults = lambda: given
    return dialogue


def refused(dialogue: Dialogue, **event: object) -> Event:
    """Send an invalid client event with an id. Return the `error` event."""
    with pytest.raises(RefusedError) as refusal:
        tell(dialogue, 0.0, **event)
    body = error(refusal.value, "mine")["error"]
    assert isinstance(body, dict)
    return body


def test_a_noise_is_committed_but_not_answered() -> None:
    dialogue = faulty(no_words={"times": 1})
    events = hear(dialogue, TURN)
    assert kinds(events) == [
        "input_audio_buffer.speech_started",
        "input_audio_buffer.speech_stopped",
        "input_audio_buffer.committed",
        "conversation.item.input_audio_transcription.completed",
        "conversation.item.created",
    ]
    assert events[-2]["transcript"] == ""
    assert dialogue.record.user_turns == []
    answered = hear(dialogue, TURN)
    assert part(answered[-3], "transcript") == "Hello", "a noise uses no reply of the script"
    assert kinds(answered)[-1] == "response.created"


@pytest.mark.parametrize(("transcription", "before"), [("failed", "failed"), ("never", "committed")])
def test_a_noise_whose_transcription_fails_or_never_ends(transcription: str, before: str) -> None:
    dialogue = faulty(no_words={"transcription": transcription})
    for _ in range(2):
        *_, earlier, last = kinds(hear(dialogue, TURN))
        assert earlier.endswith(before)
        assert last == "conversation.item.created"


def test_a_noise_cancels_the_active_response() -> None:
    dialogue = faulty(no_words={})
    tell(dialogue, type="response.create")
    events = hear(dialogue, TURN)
    assert kinds(events)[:2] == ["input_audio_buffer.speech_started", "response.done"]
    assert part(events[1], "response", "status_details", "reason") == "turn_detected"
    assert dialogue.answering.active is None


@pytest.mark.parametrize("named", [True, False])
@pytest.mark.parametrize(
    ("kind", "code"), [("server_error", None), ("invalid_request_error", "invalid_value"), ("tokens", "rate_limit")]
)
def test_a_request_is_refused(named: bool, kind: str, code: str | None) -> None:
    fault = {"type": kind, "code": code, "message": "no", "named": named, "times": 1}
    dialogue = faulty(request_error=fault)
    body = refused(dialogue, type="response.create")
    assert body == {"message": "no", "type": kind, "code": code, "param": None, "event_id": "mine" if named else None}
    assert kinds(tell(dialogue, type="response.create")) == ["response.created"]


def test_a_request_is_ignored() -> None:
    dialogue = faulty(request_ignored={"times": 1})
    assert tell(dialogue, type="response.create") == []
    assert dialogue.answering.active is None
    assert kinds(tell(dialogue, type="response.create")) == ["response.created"]


def test_the_probe_is_ignored_or_refused_without_a_name() -> None:
    ask: dict[str, Any] = {"type": "conversation.item.retrieve", "item_id": "probe-"}
    assert tell(faulty(probes={"answer": "ignored"}), **ask) == []
    usual = refused(faulty(), **ask)
    assert usual["event_id"] == "mine"
    assert refused(faulty(probes={"answer": "unnamed"}), **ask) == {**usual, "event_id": None}
    bare = refused(faulty(probes={"answer": "unnamed", "code": None, "message": "Bad request"}), **ask)
    assert bare == {**usual, "event_id": None, "code": None, "message": "Bad request"}


def test_a_known_item_is_retrieved_whatever_happens_to_probes() -> None:
    dialogue = faulty(probes={"answer": "ignored"})
    hear(dialogue, TURN)
    item_id = dialogue.record.conversation.items[0].id
    found = tell(dialogue, type="conversation.item.retrieve", item_id=item_id)
    assert kinds(found) == ["conversation.item.retrieved"]


def test_an_exhausted_quota_is_an_error_instead_of_the_response() -> None:
    dialogue = faulty(response_failed={**QUOTA, "form": "error", "times": 2})
    body = refused(dialogue, type="response.create")
    assert (body["code"], body["type"], body["event_id"]) == ("rate_limit_exceeded", "requests", "mine")
    unasked = hear(dialogue, TURN)[-1]
    assert part(unasked, "error", "message") == "Please try again in 3s."
    assert part(unasked, "error", "event_id") is None
    assert dialogue.answering.active is None
    assert kinds(hear(dialogue, TURN))[-1] == "response.created"


@pytest.mark.parametrize("created", ["early", "late"])
def test_a_slow_response_is_active_before_it_is_visible(created: str) -> None:
    dialogue = faulty(response_slow={"delay_s": 2.0, "created": created, "times": 1})
    early = tell(dialogue, type="response.create")
    assert kinds(early) == (["response.created"] if created == "early" else [])
    response, _ = dialogue.answering.begun[0]
    assert (response.works_s, response.hidden) == (2.0, created == "late")
    assert refused(dialogue, type="response.create")["code"] == "conversation_already_has_active_response"
    if created == "late":
        assert kinds(dialogue.answering.reveal(response)) == ["response.created"]
        assert not response.hidden


def test_only_spoken_messages_become_silent() -> None:
    dialogue = faulty(response_silent={"form": "empty", "times": 1})
    tell(dialogue, type="response.create", response={"modalities": ["text"]})
    assert dialogue.answering.begun[-1][0].silent == ""
    tell(dialogue, type="response.create", response={"cancel_previous": True})
    assert dialogue.answering.begun[-1][0].silent == "empty"
