"""Server events: order of fields as recorded, format of ids."""

from __future__ import annotations

import json
import re

import pytest

from lab.voice_live import server_events
from lab.voice_live.server_events import Event, RefusedError


def test_ids_are_prefixed_base62_and_never_the_same() -> None:
    made = {server_events.new_id("item") for _ in range(500)}
    assert len(made) == 500
    assert all(re.fullmatch(r"item_[0-9A-Za-z]{16,22}", one) for one in made)


@pytest.mark.parametrize(
    ("event", "keys"),
    [
        (server_events.speech_started(1456, "item_u1"), ["event_id", "type", "audio_start_ms", "item_id"]),
        (server_events.speech_stopped(4512, "item_u1"), ["event_id", "type", "audio_end_ms", "item_id"]),
        (server_events.committed(None, "item_u1"), ["event_id", "type", "previous_item_id", "item_id"]),
        (server_events.item_event("done", None, {"id": "i"}), ["event_id", "type", "previous_item_id", "item"]),
        (server_events.transcription("i", "Hi")[1], ["event_id", "type", "item_id", "content_index", "transcript"]),
        (server_events.truncated("i", 12), ["event_id", "type", "item_id", "content_index", "audio_end_ms"]),
        (server_events.error(RefusedError("no")), ["event_id", "type", "error"]),
    ],
)
def test_fields_keep_the_recorded_order(event: Event, keys: list[str]) -> None:
    assert list(json.loads(server_events.encode_event(event))) == keys


def test_an_error_names_code_parameter_and_the_event_that_caused_it() -> None:
    error = server_events.error(RefusedError("too long", "invalid_value", "audio_end_ms"), "c7")["error"]
    assert error == {
        "message": "too long",
        "type": "invalid_request_error",
        "code": "invalid_value",
        "param": "audio_end_ms",
        "event_id": "c7",
    }
