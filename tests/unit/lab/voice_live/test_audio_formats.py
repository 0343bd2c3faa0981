"""Audio formats: validation, G.711 and sample rates."""

from __future__ import annotations

import numpy as np
import pytest

from lab.voice_live.audio_formats import (
    MAX_APPEND_BYTES,
    OUTPUT_RATES_HZ,
    decode_append,
    encode_speech,
    output_bytes_per_ms,
)
from lab.voice_live.server_events import RefusedError
from tests.support.voice_live_stage import b64, tone


def test_pcm_passes_unchanged() -> None:
    assert decode_append(b64(tone(20)), "pcm16") == tone(20)
    assert encode_speech(tone(20), "pcm16") == tone(20)


@pytest.mark.parametrize("audio", [None, 7, "???", "AAA", "AAAA\n", b64(b"\0" * 3)])
def test_bad_audio_is_refused(audio: object) -> None:
    with pytest.raises(RefusedError, match="audio"):
        decode_append(audio, "pcm16")


def test_more_than_15_mib_is_refused() -> None:
    assert len(decode_append(b64(bytes(MAX_APPEND_BYTES)), "pcm16")) == MAX_APPEND_BYTES
    with pytest.raises(RefusedError, match="15 MiB"):
        decode_append(b64(bytes(MAX_APPEND_BYTES + 2)), "pcm16")


@pytest.mark.parametrize(
    ("law", "code", "sample"),
    [
        ("g711_ulaw", 0xFF, 0),
        ("g711_ulaw", 0x80, 32_124),
        ("g711_ulaw", 0x00, -32_124),
        ("g711_alaw", 0xD5, 8),
        ("g711_alaw", 0x55, -8),
        ("g711_alaw", 0xAA, 32_256),
        ("g711_alaw", 0x2A, -32_256),
    ],
)
def test_g711_codes_mean_what_the_standard_says(law: str, code: int, sample: int) -> None:
    assert np.frombuffer(decode_append(b64(bytes([code])), law), dtype="<i2").tolist() == [sample]


@pytest.mark.parametrize("law", ["g711_ulaw", "g711_alaw"])
def test_g711_comes_back_close_to_what_went_in(law: str) -> None:
    encoded = encode_speech(tone(500), law)
    assert len(encoded) == 500 * 8
    back = np.frombuffer(decode_append(b64(encoded), law), dtype="<i2").astype(np.float64)
    straight = np.frombuffer(encode_speech(tone(500), "pcm16_8000hz"), dtype="<i2").astype(np.float64)
    noise = np.sqrt(np.mean((back - straight) ** 2))
    assert noise < 0.02 * np.sqrt(np.mean(straight**2))


@pytest.mark.parametrize("audio_format", OUTPUT_RATES_HZ)
def test_every_output_format_lasts_as_long_as_the_speech(audio_format: str) -> None:
    encoded = encode_speech(tone(1000), audio_format)
    assert len(encoded) / output_bytes_per_ms(audio_format) == pytest.approx(1000, abs=1)
    assert encode_speech(b"", audio_format) == b""
