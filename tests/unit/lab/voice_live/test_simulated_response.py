"""One response: the order of its events, for every ending."""

from __future__ import annotations

import pytest

from lab.voice_live.server_events import Event
from lab.voice_live.simulated_response import (
    COMPLETED,
    Ending,
    Response,
    ResponseForm,
    cancelled,
    failed,
    incomplete,
)
from tests.support.voice_live_stage import kinds, part

FORM = ResponseForm("conv_1", ("audio", "text"), {"name": "alloy", "type": "openai"}, "pcm16")
TEXT = ResponseForm("conv_1", ("text",), None, "pcm16")


def spoken(ending: Ending, form: ResponseForm = FORM) -> tuple[Response, list[Event]]:
    response = Response(form)
    events = [response.created(), *response.open_message("item_u1")]
    events += [
        response.text_delta("Hi"),
        response.text_delta(" there"),
        response.audio_delta("AAAA", 12_000, 250.0, 1.0),
    ]
    return response, events + response.finish(ending)


def test_a_spoken_response_has_the_recorded_order() -> None:
    response, events = spoken(COMPLETED)
    assert kinds(events) == [
        "response.created",
        "response.output_item.added",
        "conversation.item.created",
        "response.content_part.added",
        "response.audio_transcript.delta",
        "response.audio_transcript.delta",
        "response.audio.delta",
        "response.audio.done",
        "response.audio_transcript.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.done",
    ]
    assert events[8]["transcript"] == "Hi there"
    assert events[2]["previous_item_id"] == "item_u1"
    assert part(events[-1], "response", "output") == [events[-2]["item"]]
    assert part(events[-1], "response", "usage", "output_token_details", "audio_tokens") == 5
    assert response.item is not None
    assert response.item.audio_ms == 250


def test_a_function_call_after_a_message_is_the_second_item() -> None:
    response = Response(FORM)
    message = [*response.open_message("item_u1"), response.text_delta("Bye"), response.audio_delta("AA", 9, 50.0, 1.0)]
    call = [*response.close_message(), *response.open_call("end_call", "item_m1"), response.arguments_delta("{}")]
    call += response.finish(COMPLETED)
    assert kinds(call) == [
        "response.audio.done",
        "response.audio_transcript.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.output_item.added",
        "conversation.item.created",
        "response.function_call_arguments.delta",
        "response.function_call_arguments.done",
        "response.output_item.done",
        "response.done",
    ]
    assert {one.get("output_index") for one in message if "output_index" in one} == {0}
    assert [one["output_index"] for one in call if "output_index" in one] == [0] * 4 + [1] * 4
    assert part(call[-1], "response", "output") == [call[3]["item"], call[-2]["item"]]


def test_fields_are_in_the_recorded_order() -> None:
    _, events = spoken(COMPLETED)
    created = part(events[0], "response")
    assert isinstance(created, dict)
    assert list(created) == [
        "object",
        "id",
        "status",
        "status_details",
        "output",
        "usage",
        "conversation_id",
        "modalities",
        "voice",
        "output_audio_format",
        "temperature",
        "max_output_tokens",
        "metadata",
    ]
    where = ["event_id", "type", "response_id", "item_id", "output_index", "content_index"]
    assert list(events[6]) == [*where, "delta"]
    assert list(events[3]) == [*where, "part"]
    assert list(events[1]) == ["event_id", "type", "response_id", "output_index", "item"]


@pytest.mark.parametrize(
    ("ending", "details"),
    [
        (cancelled("turn_detected"), {"type": "cancelled", "reason": "turn_detected"}),
        (incomplete("max_output_tokens"), {"type": "incomplete", "reason": "max_output_tokens"}),
        (
            failed("message_creation_failed", "Failed to create message"),
            {
                "type": "failed",
                "error": {
                    "type": "server_error",
                    "code": "message_creation_failed",
                    "message": "Failed to create message",
                },
            },
        ),
    ],
)
def test_other_endings_leave_the_item_incomplete(ending: Ending, details: Event) -> None:
    response, events = spoken(ending)
    done = events[-1]
    assert part(done, "response", "status") == ending.status == response.status
    assert part(done, "response", "status_details") == details
    assert part(events[-2], "item", "status") == "incomplete"
    assert response.over


def test_a_response_cancelled_before_its_item_has_only_its_end() -> None:
    response = Response(FORM)
    events = response.finish(cancelled("turn_detected"))
    assert kinds(events) == ["response.done"]
    assert part(events[0], "response", "output") == []


def test_a_text_response_leaves_the_text_out_of_its_part() -> None:
    response = Response(TEXT)
    events = [*response.open_message(None), response.text_delta("Hi"), *response.finish(COMPLETED)]
    assert kinds(events)[2:] == [
        "response.content_part.added",
        "response.text.delta",
        "response.text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.done",
    ]
    assert events[4]["text"] == "Hi"
    assert events[5]["part"] == {"type": "text", "text": ""}


def test_a_function_call_has_the_recorded_order() -> None:
    response = Response(FORM)
    events = [
        *response.open_call("find", "item_u1"),
        response.arguments_delta('{"id"'),
        response.arguments_delta(":7}"),
    ]
    events += response.finish(COMPLETED)
    assert kinds(events) == [
        "response.output_item.added",
        "conversation.item.created",
        "response.function_call_arguments.delta",
        "response.function_call_arguments.delta",
        "response.function_call_arguments.done",
        "response.output_item.done",
        "response.done",
    ]
    assert part(events[0], "item", "arguments") == ""
    done = events[4]
    assert (done["name"], done["arguments"]) == ("find", '{"id":7}')
    assert done["call_id"] == part(events[-2], "item", "call_id")


def test_an_out_of_band_response_adds_no_item_to_the_conversation() -> None:
    response = Response(ResponseForm(None, ("text",), None, "pcm16", metadata={"purpose": "summary"}))
    events = [response.created(), *response.open_message(None)]
    assert "conversation.item.created" not in kinds(events)
    assert part(events[0], "response", "metadata") == {"purpose": "summary"}


def test_a_late_delta_repeats_the_last_one() -> None:
    response, _ = spoken(cancelled("turn_detected"))
    assert response.repeated_delta()["delta"] == "AAAA"


def test_deltas_need_an_item() -> None:
    with pytest.raises(RuntimeError, match="no item"):
        Response(FORM).text_delta("x")


def test_an_item_may_have_several_audio_parts() -> None:
    response = Response(FORM)
    events = [
        *response.open_message(None),
        response.text_delta("Hi."),
        response.audio_delta("AAAA", 12_000, 250.0, 1.0),
    ]
    events += response.next_part()
    events += [response.text_delta(" Bye."), response.audio_delta("AAAA", 24_000, 500.0, 1.0)]
    events += response.finish(COMPLETED)
    indices = [(str(one["type"]).removeprefix("response."), one["content_index"]) for one in events if "delta" in one]
    assert indices == [
        ("audio_transcript.delta", 0),
        ("audio.delta", 0),
        ("audio_transcript.delta", 1),
        ("audio.delta", 1),
    ]
    transcripts = [one["transcript"] for one in events if one["type"] == "response.audio_transcript.done"]
    assert transcripts == ["Hi.", "Bye."]
    assert kinds(events).count("response.output_item.done") == 1
    assert response.item is not None
    assert (response.item.text, response.item.audio_ms, response.item.parts_ms) == ("Hi. Bye.", 750, (250, 500))
    assert [one["transcript"] for one in response.item.content] == ["Hi.", "Bye."]
