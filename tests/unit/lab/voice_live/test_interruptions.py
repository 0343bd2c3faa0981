"""Interruptions of marks send the same events as turn detection."""

from __future__ import annotations

import json
import time

from lab.scenario import Agent
from lab.voice_live.conversation_items import ConversationItem
from lab.voice_live.interruptions import SPEAKS_S, Interruptions
from lab.voice_live.measuring import MarksLine
from tests.support.voice_live_stage import CASCADED, part, staged


def test_an_interruption_cancels_the_response_and_another_follows() -> None:
    wire: list[dict[str, object]] = []

    def send(text: bytes) -> bool:
        wire.append(json.loads(text))
        return True

    dialogue = staged(CASCADED, Agent(mode="marks"))
    line = MarksLine(dialogue.record, 24_000, 20, send, call=3)
    line.turns = turns = Interruptions(dialogue, send, every_s=2.0, began_at=time.monotonic())
    assert 0.9 < turns.next_at - turns.began_at < 3.1
    response, _ = dialogue.answering.open_endless(0.0)
    line.speak(response, time.monotonic())
    line.tick()
    line.tick()

    turns.next_at = 0.0
    line.tick()
    kinds = [str(one["type"]) for one in wire]
    assert kinds[:3] == ["response.audio.delta", "response.audio.delta", "input_audio_buffer.speech_started"]
    done = wire[-1]
    assert (done["type"], part(done, "response", "status")) == ("response.done", "cancelled")
    assert part(done, "response", "status_details", "reason") == "turn_detected"
    assert len(dialogue.record.interrupted_at) == 1
    assert 0.2 < turns.next_at - time.monotonic() <= SPEAKS_S
    assert line.due_at == turns.next_at
    spoken: ConversationItem | None = response.item
    assert spoken is not None
    assert dialogue.record.conversation.truncate(spoken.id, 0, 40).audio_ms == 40

    turns.next_at = 0.0
    wire.clear()
    line.tick()
    assert [str(one["type"]) for one in wire] == [
        "input_audio_buffer.speech_stopped",
        "input_audio_buffer.committed",
        "conversation.item.input_audio_transcription.completed",
        "conversation.item.created",
        "response.created",
        "response.output_item.added",
        "conversation.item.created",
        "response.content_part.added",
    ]
    line.tick()
    assert wire[-1]["item_id"] != spoken.id
    assert [seq for _, seq, _ in dialogue.record.marks_sent] == [0, 1, 2]


def test_an_unwritten_event_does_not_count_as_an_interruption() -> None:
    dialogue = staged(CASCADED, Agent(mode="marks"))
    line = MarksLine(dialogue.record, 24_000, 20, lambda _: False, call=3)
    line.turns = turns = Interruptions(dialogue, lambda _: False, every_s=2.0, began_at=time.monotonic())
    line.speak(dialogue.answering.open_endless(0.0)[0], time.monotonic())
    turns.next_at = 0.0
    line.tick()
    assert dialogue.record.interrupted_at == []
