"""OpenAI Realtime GA: conversion of the names, items and objects in the API reference."""

from __future__ import annotations

import pytest

from lab.voice_live.client_events import ClientEvent
from lab.voice_live.ga_dialect import (
    flat_client_event,
    flat_update,
    ga_refusal,
    ga_session,
    renamed,
    with_ga_objects,
)
from lab.voice_live.handshake import ModelMode
from lab.voice_live.server_events import Event, RefusedError, event
from lab.voice_live.session_config import initial_session, updated_session
from lab.voice_live.simulated_response import COMPLETED, Response, ResponseForm
from tests.support.voice_live_stage import kinds, part

GA = ModelMode("my-realtime", "v1", openai=True, ga=True)
PCM = {"type": "audio/pcm", "rate": 24_000}


def test_a_spoken_response_by_its_ga_names() -> None:
    response = Response(ResponseForm("conv_1", ("audio", "text"), "alloy", "pcm16"))
    events = [response.created(), *response.open_message(None), response.text_delta("Hi")]
    events += [response.audio_delta("AAAA", 12_000, 250.0, 1.0), *response.finish(COMPLETED)]
    on_the_wire = [ga for beta in events for ga in renamed(with_ga_objects(beta))]
    assert kinds(on_the_wire) == [
        "response.created",
        "response.output_item.added",
        "conversation.item.added",
        "response.content_part.added",
        "response.output_audio_transcript.delta",
        "response.output_audio.delta",
        "response.output_audio.done",
        "response.output_audio_transcript.done",
        "response.content_part.done",
        "conversation.item.done",
        "response.output_item.done",
        "response.done",
    ]
    assert part(on_the_wire[-2], "item", "content") == [{"type": "output_audio", "transcript": "Hi"}]
    done = part(on_the_wire[-1], "response")
    assert isinstance(done, dict)
    assert done["output"] == [on_the_wire[-2]["item"]]
    assert (done["output_modalities"], done["audio"]) == (["audio"], {"output": {"format": PCM, "voice": "alloy"}})
    assert not {"modalities", "voice", "output_audio_format", "temperature"} & set(done)


def test_a_text_response_by_its_ga_names() -> None:
    response = Response(ResponseForm("conv_1", ("text",), None, "pcm16"))
    events = [*response.open_message(None), response.text_delta("Hi"), *response.finish(COMPLETED)]
    on_the_wire = [ga for beta in events for ga in renamed(with_ga_objects(beta))]
    assert "response.output_text.delta" in kinds(on_the_wire)
    assert "response.output_text.done" in kinds(on_the_wire)
    assert part(on_the_wire[-1], "response", "output_modalities") == ["text"]


def test_other_events_stay_as_they_are() -> None:
    user: Event = {"id": "u1", "role": "user", "content": [{"type": "input_text", "text": "Hi"}]}
    for one in (event("input_audio_buffer.cleared"), event("conversation.item.done", item=user)):
        assert renamed(with_ga_objects(one)) == [one]


def test_a_session_is_nested_and_comes_back_as_it_was() -> None:
    session = ga_session(initial_session("sess_1", GA, 7))
    assert (session["type"], session["id"], session["expires_at"]) == ("realtime", "sess_1", 7)
    assert session["output_modalities"] == ["audio"]
    assert part(session, "audio", "input", "format") == PCM
    assert part(session, "audio", "output") == {"format": PCM, "voice": "alloy", "speed": 1.0}
    update = {key: value for key, value in session.items() if key not in ("object", "id", "expires_at")}
    flat = updated_session(initial_session("sess_1", GA, 7), flat_update(update), GA, spoken=False)
    assert ga_session(flat) == session


def test_an_update_in_the_form_of_ga() -> None:
    detection = {"type": "semantic_vad", "create_response": True}
    given = {
        "type": "realtime",
        "output_modalities": ["text"],
        "max_output_tokens": 5,
        "audio": {
            "input": {"format": PCM, "turn_detection": detection, "noise_reduction": {"type": "near_field"}},
            "output": {"voice": "ash"},
        },
    }
    assert flat_update(given) == {
        "modalities": ["text"],
        "input_audio_format": "pcm16",
        "max_response_output_tokens": 5,
        "turn_detection": detection,
        "input_audio_noise_reduction": {"type": "near_field"},
        "voice": "ash",
    }


@pytest.mark.parametrize(
    ("form", "name"),
    [
        ({"type": "audio/pcm"}, "pcm16"),
        ({"type": "audio/pcmu"}, "g711_ulaw"),
        ({"type": "audio/pcma"}, "g711_alaw"),
    ],
)
def test_formats_of_ga(form: Event, name: str) -> None:
    given = {"type": "realtime", "audio": {"input": {"format": form}, "output": {"format": form}}}
    flat = flat_update(given)
    assert flat == {"input_audio_format": name, "output_audio_format": name}
    session = ga_session(updated_session(initial_session("sess_1", GA, 7), flat, GA, spoken=False))
    for side in ("input", "output"):
        shown = part(session, "audio", side, "format")
        assert isinstance(shown, dict)
        assert form.items() <= shown.items()


@pytest.mark.parametrize(
    ("update", "code", "param"),
    [
        ("x", "invalid_type", "session"),
        ({"voice": "ash"}, "missing_required_parameter", "session.type"),
        ({"type": "realtime", "voice": "ash"}, "unknown_parameter", "session.voice"),
        ({"type": "realtime", "modalities": ["text"]}, "unknown_parameter", "session.modalities"),
        ({"type": "realtime", "temperature": 0.8}, "unknown_parameter", "session.temperature"),
        ({"type": "realtime", "audio": {"speed": 1}}, "unknown_parameter", "session.audio.speed"),
        ({"type": "realtime", "audio": 1}, "unknown_parameter", "session.audio"),
        ({"type": "realtime", "output_modalities": ["text", "audio"]}, "invalid_value", "session.output_modalities"),
        (
            {"type": "realtime", "audio": {"input": {"format": {"type": "audio/pcm", "rate": 8000}}}},
            "invalid_value",
            "session.audio.input.format",
        ),
    ],
)
def test_updates_that_ga_refuses(update: object, code: str, param: str) -> None:
    with pytest.raises(RefusedError) as refusal:
        flat_client_event(ClientEvent("session.update", None, {"session": update}))
    assert (refusal.value.code, refusal.value.param) == (code, param)


def test_a_refusal_names_the_path_that_the_client_knows() -> None:
    told = ga_refusal(RefusedError("Invalid value: session.voice", "invalid_value", "session.voice"))
    assert (told.message, told.param) == ("Invalid value: session.audio.output.voice", "session.audio.output.voice")
    inner = ga_refusal(RefusedError("no", param="session.turn_detection.threshold"))
    assert inner.param == "session.audio.input.turn_detection.threshold"
    other = RefusedError("no", param="item.id")
    assert ga_refusal(other) is other


@pytest.mark.parametrize(("kind", "known"), [("output_text", True), ("text", False)])
def test_an_assistants_text_is_output_text(kind: str, known: bool) -> None:
    item = {"type": "message", "role": "assistant", "content": [{"type": kind, "text": "Hi"}]}
    given = ClientEvent("conversation.item.create", None, {"item": item})
    if known:
        assert flat_client_event(given) == given
        return
    with pytest.raises(RefusedError) as refusal:
        flat_client_event(given)
    assert refusal.value.param == "item.content[0].type"
