"""A whole session without a socket: turns, barge-in, truncation, and the documented errors."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from lab.scenario import Agent
from lab.voice_live.dialogue import Dialogue
from lab.voice_live.handshake import Mode
from lab.voice_live.injected_faults import VoiceLiveFaults
from lab.voice_live.server_events import Event, RefusedError
from lab.voice_live.simulated_response import COMPLETED, Response
from lab.voice_live.speech_plan import Delta
from tests.support.nightly import examples
from tests.support.voice_live_stage import (
    AGENT,
    CASCADED,
    GA,
    NATIVE,
    OPENAI,
    b64,
    hear,
    kinds,
    part,
    silence,
    staged,
    tell,
    tone,
)

DELTA = Delta(("word ",), "AAAA", 48_000, 1000.0)
ITEM_EVENTS = {"conversation.item.created", "conversation.item.done"}
TURN = tone(600) + silence(700)
AUTO_TRUNCATE = {"type": "azure_semantic_vad", "auto_truncate": True}


def speak(dialogue: Dialogue, seconds: int, now: float) -> Response:
    """Produce the opening events and some audio of the last response, all at time `now`."""
    response, _ = dialogue.answering.begun[-1]
    dialogue.answering.open_message(response)
    for _ in range(seconds):
        dialogue.answering.say(response, DELTA, now)
    return response


def refusal(dialogue: Dialogue, **event: object) -> RefusedError:
    with pytest.raises(RefusedError) as refused:
        tell(dialogue, 0.0, **event)
    return refused.value


def test_a_turn_of_a_cascaded_model_transcribes_before_it_answers() -> None:
    dialogue = staged(CASCADED, Agent.model_validate({"replies": [{"heard": "Hello", "say": "Hi."}]}))
    events = hear(dialogue, silence(500) + TURN)
    assert kinds(events) == [
        "input_audio_buffer.speech_started",
        "input_audio_buffer.speech_stopped",
        "input_audio_buffer.committed",
        "conversation.item.input_audio_transcription.completed",
        "conversation.item.created",
        "response.created",
    ]
    assert len({one["item_id"] for one in events if "item_id" in one} | {part(events[4], "item", "id")}) == 1
    assert (events[0]["audio_start_ms"], events[1]["audio_end_ms"]) == (100, 1600)
    assert (events[3]["transcript"], events[3]["language"]) == ("Hello", "en-US")
    assert part(events[4], "item", "content") == [{"type": "input_audio", "transcript": "Hello"}]
    assert dialogue.record.user_turns == [
        {"item_id": events[0]["item_id"], "text": "Hello", "start_ms": 100, "end_ms": 1600}
    ]


def test_a_native_model_transcribes_only_when_asked_and_while_it_answers() -> None:
    dialogue = staged(NATIVE)
    assert kinds(hear(dialogue, TURN))[-2:] == ["conversation.item.done", "response.created"]
    dialogue = staged(NATIVE)
    tell(dialogue, type="session.update", session={"input_audio_transcription": {"model": "whisper-1"}})
    assert kinds(hear(dialogue, TURN))[-1] == "response.created"
    assert len(dialogue.answering.deferred) == 2


def test_without_create_response_the_turn_ends_with_its_item() -> None:
    dialogue = staged(NATIVE)
    tell(dialogue, type="session.update", session={"turn_detection": {"type": "server_vad", "create_response": False}})
    assert kinds(hear(dialogue, TURN))[-1] == "conversation.item.done"
    assert kinds(tell(dialogue, type="response.create")) == ["response.created"]


def test_without_turn_detection_nothing_is_automatic() -> None:
    dialogue = staged(CASCADED)
    tell(dialogue, type="session.update", session={"turn_detection": None})
    assert hear(dialogue, TURN) == []
    committed = tell(dialogue, type="input_audio_buffer.commit")
    assert kinds(committed) == [
        "input_audio_buffer.committed",
        "conversation.item.input_audio_transcription.completed",
        "conversation.item.created",
    ]
    assert dialogue.answering.active is None
    assert kinds(tell(dialogue, type="input_audio_buffer.clear")) == ["input_audio_buffer.cleared"]


def test_barge_in_cancels_the_active_response() -> None:
    dialogue = staged()
    tell(dialogue, type="response.create")
    response = speak(dialogue, 3, 10.0)
    events = hear(dialogue, tone(400), 10.5)
    assert kinds(events)[0] == "input_audio_buffer.speech_started"
    assert kinds(events)[-1] == "response.done"
    assert part(events[-1], "response", "status_details") == {"type": "cancelled", "reason": "turn_detected"}
    assert response.over
    assert dialogue.answering.active is None


def test_barge_in_after_the_response_has_nothing_to_cancel() -> None:
    dialogue = staged()
    tell(dialogue, type="response.create")
    dialogue.answering.end(speak(dialogue, 3, 10.0), COMPLETED, 10.2)
    assert kinds(hear(dialogue, tone(400), 10.5)) == ["input_audio_buffer.speech_started"]


def test_a_response_without_interruption_continues() -> None:
    dialogue = staged()
    rules = {"type": "server_vad", "interrupt_response": False}
    tell(dialogue, type="session.update", session={"turn_detection": rules})
    tell(dialogue, type="response.create")
    response = speak(dialogue, 1, 10.0)
    events = hear(dialogue, TURN, 10.5)
    assert not response.over
    assert part(events[-1], "error", "code") == "conversation_already_has_active_response"


@pytest.mark.parametrize("ended", [False, True])
def test_auto_truncate_takes_playing_to_be_in_real_time(ended: bool) -> None:
    dialogue = staged()
    tell(dialogue, type="session.update", session={"turn_detection": AUTO_TRUNCATE})
    tell(dialogue, type="response.create")
    response = speak(dialogue, 3, 10.0)
    if ended:
        dialogue.answering.end(response, COMPLETED, 10.1)
    events = hear(dialogue, tone(400), 11.25)
    assert events[-1]["type"] == "conversation.item.truncated"
    assert events[-1]["audio_end_ms"] == 1250
    assert dialogue.record.truncations == [{"item_id": events[-1]["item_id"], "audio_end_ms": 1250}]
    item = dialogue.record.conversation.find(events[-1]["item_id"])
    assert item is not None
    assert item.text == "word"


def test_auto_truncate_leaves_alone_what_was_played_to_its_end() -> None:
    dialogue = staged()
    tell(dialogue, type="session.update", session={"turn_detection": AUTO_TRUNCATE})
    tell(dialogue, type="response.create")
    dialogue.answering.end(speak(dialogue, 3, 10.0), COMPLETED, 10.1)
    assert kinds(hear(dialogue, tone(400), 13.5)) == ["input_audio_buffer.speech_started"]


def test_the_client_truncates_to_what_was_heard() -> None:
    dialogue = staged()
    tell(dialogue, type="response.create")
    response = speak(dialogue, 2, 10.0)
    assert response.item is not None
    item_id = response.item.id
    too_long = refusal(dialogue, type="conversation.item.truncate", item_id=item_id, content_index=0, audio_end_ms=2001)
    assert too_long.message == "Audio content of 2000ms is already shorter than 2001ms"
    dialogue.answering.end(response, COMPLETED, 10.1)
    done = tell(dialogue, type="conversation.item.truncate", item_id=item_id, content_index=0, audio_end_ms=0)
    assert done[0] == {**done[0], "item_id": item_id, "content_index": 0, "audio_end_ms": 0}


def test_late_deltas_can_be_injected() -> None:
    dialogue = staged()
    dialogue.faults = lambda: VoiceLiveFaults.model_validate({"late_deltas": {"count": 2}})
    tell(dialogue, type="response.create")
    response = speak(dialogue, 1, 10.0)
    events = hear(dialogue, tone(400), 10.5)
    assert kinds(events)[1:3] == ["response.audio.delta"] * 2
    assert {one["response_id"] for one in events[1:3]} == {response.id}


def test_replayed_items_count_as_turns_and_start_no_response() -> None:
    agent = Agent.model_validate({"replies": [{"say": "one"}, {"heard": "second", "say": "two"}]})
    dialogue = staged(agent=agent)
    for role, kind, text in (
        ("user", "input_text", "Hi"),
        ("assistant", "text", "Hello"),
        ("system", "input_text", "VIP"),
    ):
        message = {"type": "message", "role": role, "content": [{"type": kind, "text": text}]}
        assert kinds(tell(dialogue, type="conversation.item.create", item=message)) == ["conversation.item.created"]
    assert dialogue.answering.begun == []
    events = hear(dialogue, TURN)
    assert part(events[-2], "item", "content") == [{"type": "input_audio", "transcript": "second"}]
    assert dialogue.answering.begun[-1][1].text == "two"


@pytest.mark.parametrize(
    ("mode", "spoken", "written"),
    [
        (NATIVE, ["created", "done"], ["created"]),
        (CASCADED, ["created"], ["created"]),
        (AGENT, ["created"], ["created"]),
        (OPENAI, ["created"], ["created"]),
        (GA, ["created", "done"], ["created", "done"]),
    ],
)
def test_items_are_reported_as_done_where_the_service_does(mode: Mode, spoken: list[str], written: list[str]) -> None:
    dialogue = staged(mode)
    message = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hi"}]}
    created = tell(dialogue, type="conversation.item.create", item=message)
    assert [kind.removeprefix("conversation.item.") for kind in kinds(created)] == written
    heard = [kind for kind in kinds(hear(dialogue, TURN)) if kind in ITEM_EVENTS]
    assert [kind.removeprefix("conversation.item.") for kind in heard] == spoken


def test_items_can_be_read_and_deleted() -> None:
    dialogue = staged()
    message = {"id": "mine", "type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hi"}]}
    tell(dialogue, type="conversation.item.create", item=message)
    retrieved = tell(dialogue, type="conversation.item.retrieve", item_id="mine")[0]
    assert part(retrieved, "item", "id") == "mine"
    assert tell(dialogue, type="conversation.item.delete", item_id="mine")[0]["type"] == "conversation.item.deleted"
    assert refusal(dialogue, type="conversation.item.retrieve", item_id="mine").param == "item_id"


def test_an_agents_thread_is_known_after_the_update() -> None:
    dialogue = staged(AGENT)
    assert part(dialogue.record.session, "agent", "thread_id") is None
    updated = tell(dialogue, type="session.update", session={})[0]
    assert part(updated, "session", "agent", "thread_id") == "conv_1"


@pytest.mark.parametrize(
    ("event", "code"),
    [
        ({"type": "nonsense"}, "invalid_value"),
        ({"type": "session.update"}, "invalid_session_update_message"),
        ({"type": "input_audio_buffer.append"}, "invalid_value"),
        ({"type": "input_audio_buffer.append", "audio": "%"}, "invalid_value"),
        ({"type": "input_audio_buffer.commit"}, "invalid_request_error"),
        ({"type": "response.cancel"}, "response_cancel_not_active"),
        ({"type": "conversation.item.truncate", "item_id": "x", "audio_end_ms": 1}, "item_truncate_invalid_item_id"),
        ({"type": "conversation.item.create", "item": {"type": "x"}}, "invalid_value"),
        ({"type": "response.create", "response": {"typo": 1}}, "invalid_request_error"),
    ],
)
def test_each_misuse_has_its_code_and_costs_nothing_else(event: Event, code: str) -> None:
    dialogue = staged()
    assert refusal(dialogue, **event).code == code
    assert kinds(hear(dialogue, TURN))[-1] == "response.created"


class Conversations(RuleBasedStateMachine):
    """State machine: any order of turns, responses, slices, endings and truncations keeps the conversation
    consistent.
    """

    def __init__(self) -> None:
        super().__init__()
        self.dialogue = staged()
        self.now = 0.0
        self.open: Response | None = None
        self.events: list[Event] = []

    @rule(ms=st.integers(100, 900), voiced=st.booleans())
    def append(self, ms: int, voiced: bool) -> None:
        self.now += ms / 1000
        self.events += hear(self.dialogue, tone(ms) if voiced else silence(ms), self.now)

    @rule()
    def ask(self) -> None:
        if self.dialogue.answering.active is None:
            self.events += tell(self.dialogue, self.now, type="response.create")

    @precondition(lambda self: self.dialogue.answering.active is not None)
    @rule()
    def slice(self) -> None:
        response = self.dialogue.answering.active
        assert response is not None
        if response.item is None:
            self.events += self.dialogue.answering.open_message(response)
        self.events += self.dialogue.answering.say(response, DELTA, self.now)

    @precondition(lambda self: self.dialogue.answering.active is not None)
    @rule()
    def finish(self) -> None:
        assert self.dialogue.answering.active is not None
        self.events += self.dialogue.answering.end(self.dialogue.answering.active, COMPLETED, self.now)

    @rule(end_ms=st.integers(0, 5000))
    def truncate(self, end_ms: int) -> None:
        spoken = self.dialogue.answering.latest_spoken
        item = spoken.item if spoken is not None and spoken.over else None
        known = self.dialogue.record.conversation.find(item.id) if item else None
        if known is not None and end_ms <= known.audio_ms:
            event = {"type": "conversation.item.truncate", "item_id": known.id, "audio_end_ms": end_ms}
            self.events += tell(self.dialogue, self.now, **event)

    @invariant()
    def every_response_ends_once_and_only_one_is_open(self) -> None:
        created = [part(one, "response", "id") for one in self.events if one["type"] == "response.created"]
        done = [part(one, "response", "id") for one in self.events if one["type"] == "response.done"]
        assert len(done) == len(set(done))
        still_open = [one for one in created if one not in done]
        active = self.dialogue.answering.active
        assert still_open == ([active.id] if active else [])

    @invariant()
    def no_delta_follows_the_end_of_its_response(self) -> None:
        over: set[object] = set()
        for one in self.events:
            if one["type"] == "response.done":
                over.add(part(one, "response", "id"))
            assert one.get("response_id") not in over

    @invariant()
    def items_are_unique_and_announced(self) -> None:
        ids = [item.id for item in self.dialogue.record.conversation.items]
        assert len(ids) == len(set(ids))
        announced = {part(one, "item", "id") for one in self.events if one["type"] == "conversation.item.created"}
        assert set(ids) == announced


TestConversations = Conversations.TestCase
TestConversations.settings = settings(max_examples=examples(40), stateful_step_count=25, deadline=None)


def test_append_takes_base64_only_once() -> None:
    dialogue = staged()
    tell(dialogue, type="input_audio_buffer.append", audio=b64(silence(20)))
    assert dialogue.record.counters["appends"] == 1
    assert dialogue.caller.heard_ms == 20
