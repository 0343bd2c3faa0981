"""The services can decode the prepared messages."""

from __future__ import annotations

import base64
import json

import pytest
import redis

from agent_relay.core.protocol import voice_codec
from agent_relay.core.protocol.voice_events import (
    AudioDelta,
    ResponseCreated,
    SessionCreated,
    SessionUpdated,
)
from bench.bridges import Shape
from bench.recorded import ITEM_ID, RESPONSE_ID, Recording, audio, audio_delta, stream_mb, voice_event
from bridge_common.wire.entries import AudioFrame
from bridge_common.wire.keys import MEDIA_STREAM_LENGTH
from media_gateway.core import acs_media


def test_audio_has_complete_frames_and_is_reproducible() -> None:
    assert len(audio(20, 16_000)) == 640
    assert audio(20, 16_000) == audio(20, 16_000) != bytes(640)


def test_the_gateway_reads_the_caller() -> None:
    heard = acs_media.decode(Recording.of(Shape.ECHO).media_message)
    assert isinstance(heard, acs_media.AudioData)
    assert heard.pcm == audio(20, 16_000)
    assert not heard.silent


def test_the_relay_reads_the_agent() -> None:
    session = {"id": "sess_recorded", "model": "recorded"}
    assert isinstance(voice_codec.decode(voice_event("session.created", session=session)), SessionCreated)
    assert isinstance(voice_codec.decode(voice_event("session.updated", session=session)), SessionUpdated)
    created = voice_event("response.created", response={"id": RESPONSE_ID, "status": "in_progress"})
    assert voice_codec.decode(created) == ResponseCreated(RESPONSE_ID)
    assert voice_codec.decode(audio_delta(b"ab")) == AudioDelta(RESPONSE_ID, ITEM_ID, b"ab")


@pytest.mark.parametrize(("shape", "delta_ms"), [(Shape.ECHO, 20), (Shape.DELTAS, 250)])
def test_a_recording_has_the_deltas_of_its_shape(shape: Shape, delta_ms: int) -> None:
    recording = Recording.of(shape)
    assert shape.delta_ms == delta_ms
    assert len(base64.b64decode(json.loads(recording.delta)["delta"])) == delta_ms * 48


def test_a_full_stream_has_the_length_to_which_the_writer_trims(redis_server_url: str) -> None:
    frame = audio(20, 24_000)
    with redis.Redis.from_url(redis_server_url, protocol=3) as asking:
        found_mb = stream_mb(asking, AudioFrame(frame))
        assert not asking.keys("bench:*"), "the stream is removed"
    assert 1 <= found_mb * 2**20 / (MEDIA_STREAM_LENGTH * len(frame)) < 2
