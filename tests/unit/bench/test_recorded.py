"""What the driver writes is what the services read: each message goes through the service's own decoder."""

from __future__ import annotations

import base64
import json

import pytest

from agent_relay.core.protocol import voice_codec
from agent_relay.core.protocol.voice_events import (
    AudioDelta,
    ResponseCreated,
    SessionCreated,
    SessionUpdated,
)
from bench.bridges import Shape
from bench.recorded import (
    ITEM_ID,
    RESPONSE_ID,
    Appends,
    Recording,
    audio_data,
    audio_delta,
    audio_metadata,
    client_frame,
    response_created,
    session_event,
    sound,
)
from bridge_common.redis.pipeline import pack
from bridge_common.wire.entries import AudioFrame
from bridge_common.wire.entry_codec import encode
from media_gateway.core import acs_media

UPLINK = "{s00}:call:call_1:uplink"


def test_sound_is_whole_frames_and_the_same_each_time() -> None:
    assert len(sound(20, 16_000)) == 640
    assert sound(20, 16_000) == sound(20, 16_000) != bytes(640)


def test_the_gateway_reads_what_acs_would_have_said() -> None:
    assert acs_media.decode(audio_metadata()) == acs_media.AudioMetadata(rate_hz=16_000, encoding="PCM", channels=1)
    heard = acs_media.decode(audio_data(sound(20, 16_000)))
    assert isinstance(heard, acs_media.AudioData)
    assert heard.pcm == sound(20, 16_000)
    assert not heard.silent


@pytest.mark.parametrize(
    ("length", "head"), [(5, b"\x81\x85"), (126, b"\x81\xfe\x00\x7e"), (1000, b"\x81\xfe\x03\xe8")]
)
def test_a_client_frame_tells_its_length_and_a_mask_that_changes_nothing(length: int, head: bytes) -> None:
    assert client_frame(b"x" * length) == head + bytes(4) + b"x" * length


def test_no_frame_is_made_of_what_no_call_says() -> None:
    with pytest.raises(ValueError, match="65536"):
        client_frame(bytes(2**16))


def test_the_relay_reads_what_voice_live_would_have_said() -> None:
    assert isinstance(voice_codec.decode(session_event("session.created")), SessionCreated)
    assert isinstance(voice_codec.decode(session_event("session.updated")), SessionUpdated)
    assert voice_codec.decode(response_created()) == ResponseCreated(RESPONSE_ID)
    assert voice_codec.decode(audio_delta(b"ab")) == AudioDelta(RESPONSE_ID, ITEM_ID, b"ab")


def test_appends_count_up_in_their_stream() -> None:
    appends = Appends(UPLINK)
    for seq in (1, 2, 3):
        commands = appends.next(AudioFrame(b"ab"))
        assert commands.startswith(pack(b"XADD", UPLINK, b"NOMKSTREAM", b"1-%d" % seq, b"e", encode(AudioFrame(b"ab"))))


@pytest.mark.parametrize(("shape", "delta_ms", "a_second"), [(Shape.ECHO, 20, 50.0), (Shape.DELTAS, 250, 4.0)])
def test_a_recording_has_the_deltas_of_its_shape(shape: Shape, delta_ms: int, a_second: float) -> None:
    recording = Recording.of(shape)
    assert recording.deltas_per_s == a_second
    assert len(base64.b64decode(json.loads(recording.delta)["delta"])) == delta_ms * 48
