from __future__ import annotations

import pytest

from agent_relay.probe.questions import CODE_WORD, SPOKEN, Event, Question, questions, refusal, text_of

REFUSED: Event = {"type": "error", "error": {"code": "not_supported", "message": "no", "type": "invalid_request"}}
DONE: Event = {"type": "response.done", "response": {"status": "completed"}}


def _asked(text: str) -> Question:
    [found] = [question for question in questions("item_1") if text in question.text]
    return found


def _said(words: str) -> Event:
    return {"type": "response.audio_transcript.done", "item_id": "a1", "transcript": words}


@pytest.mark.parametrize(
    ("question", "events", "answer"),
    [
        ("`temperature`", [{"type": "session.updated", "session": {"temperature": 0.7}}], "accepted"),
        (
            "`temperature`",
            [{"type": "session.updated", "session": {"temperature": 1.0}}],
            "accepted, but reported as 1.0",
        ),
        ("`temperature`", [{"type": "session.updated", "session": {}}], "accepted; session.updated does not report it"),
        ("`tools`", [REFUSED], "refused: not_supported: no"),
        ("`tools`", [], "no answer"),
        ("a system item", [{"type": "conversation.item.created", "item": {"role": "user"}}], "accepted as user"),
        ("a system item", [{"type": "conversation.item.added", "item": {}}], "accepted as an item"),
        ("unknown call", [REFUSED], "refused: not_supported: no"),
        ("unknown call", [], "no answer"),
        ("the agent know it", [_said(f"It is {CODE_WORD.title()}."), DONE], f"yes: It is {CODE_WORD.title()}."),
        ("does it last", [_said("Which code word?"), DONE], "no: Which code word?"),
        ("does it last", [DONE], "response completed: without words"),
        ("`instructions`", [], "no response"),
        ("with `conversation: none`", [REFUSED], "refused: not_supported: no"),
        (
            "response.create with `metadata`",
            [_said("Yes."), {"type": "response.done", "response": {"status": "completed", "metadata": {"probe": "1"}}}],
            "response completed: Yes. (metadata returned)",
        ),
        ("pre_generated", [_said(SPOKEN), DONE], f"response completed: {SPOKEN} (verbatim)"),
        ("pre_generated", [_said("Hello."), DONE], "response completed: Hello. (not verbatim)"),
        ("truncate", [{"type": "conversation.item.truncated"}], "accepted"),
        ("truncate", [REFUSED], "refused: not_supported: no"),
    ],
)
def test_answers_are_read_from_the_events_that_follow(question: str, events: list[Event], answer: str) -> None:
    text = "response.create with `instructions`" if question == "`instructions`" else question
    text = f"session.update with {question}" if question in ("`temperature`", "`tools`") else text
    assert _asked(text).judge(events) == answer


def test_words_of_both_generations_of_events_are_read() -> None:
    ga: Event = {"type": "response.output_audio_transcript.done", "item_id": "a2", "transcript": "there"}
    written: Event = {"type": "response.output_text.done", "item_id": "a3", "text": "and written"}
    assert text_of([_said("Hello"), ga, written, DONE]) == "Hello there and written"


def test_an_error_without_a_code_is_named_by_its_type() -> None:
    assert refusal([{"type": "error", "error": {"type": "server_error", "message": "busy"}}]) == (
        "refused: server_error: busy"
    )
    assert refusal([{"type": "error"}]) == "refused: error: "
    assert refusal([DONE]) == ""
