"""Conversion between the audio formats of Voice Live and PCM16 mono (little-endian)."""

from __future__ import annotations

import binascii
from functools import cache

import numpy as np
import numpy.typing as npt
import soxr

from lab.voice_live.server_events import RefusedError

SPEECH_RATE_HZ = 24_000
MAX_APPEND_BYTES = 15 * 1024 * 1024
INPUT_FORMATS = frozenset({"pcm16", "g711_ulaw", "g711_alaw"})
INPUT_RATES_HZ = frozenset({8_000, 16_000, 24_000, 44_100})
OUTPUT_RATES_HZ = {
    "pcm16": 24_000,
    "pcm16_8000hz": 8_000,
    "pcm16_16000hz": 16_000,
    "pcm16_22050hz": 22_050,
    "pcm16_24000hz": 24_000,
    "pcm16_44100hz": 44_100,
    "pcm16_48000hz": 48_000,
    "g711_ulaw": 8_000,
    "g711_alaw": 8_000,
}
OPENAI_OUTPUT_FORMATS = frozenset({"pcm16", "g711_ulaw", "g711_alaw"})

Samples = npt.NDArray[np.int16]


def decode_append(audio: object, audio_format: str = "pcm16") -> bytes:
    """Return the `audio` field of an append event as PCM16. Raises `RefusedError`."""
    if not isinstance(audio, str):
        raise RefusedError("'audio' must be a base64 string", "invalid_value", "audio")
    try:
        raw = binascii.a2b_base64(audio, strict_mode=True)
    except (binascii.Error, ValueError) as reason:
        raise RefusedError(f"'audio' is not valid base64: {reason}", "invalid_value", "audio") from None
    if len(raw) > MAX_APPEND_BYTES:
        raise RefusedError(f"'audio' must be at most 15 MiB, got {len(raw)} bytes", "invalid_value", "audio")
    if audio_format != "pcm16":
        return _g711_table(audio_format)[np.frombuffer(raw, dtype=np.uint8)].tobytes()
    if len(raw) % 2:
        raise RefusedError("'audio' ends in the middle of a 16-bit sample", "invalid_value", "audio")
    return raw


def encode_speech(pcm24k: bytes, audio_format: str) -> bytes:
    """Convert speech (PCM16, 24 kHz) to an output format."""
    rate_hz = OUTPUT_RATES_HZ[audio_format]
    samples: Samples = np.frombuffer(pcm24k, dtype="<i2")
    if rate_hz != SPEECH_RATE_HZ and samples.size:
        samples = soxr.resample(samples, SPEECH_RATE_HZ, rate_hz)
    if not audio_format.startswith("g711"):
        return samples.astype("<i2", copy=False).tobytes()
    return _g711_codes(audio_format)[samples.view(np.uint16)].tobytes()


def output_bytes_per_ms(audio_format: str) -> float:
    """Return the size of one ms of audio, as a fraction for 22.05 kHz and its multiples."""
    return OUTPUT_RATES_HZ[audio_format] * (1 if audio_format.startswith("g711") else 2) / 1000


@cache
def _g711_table(law: str) -> Samples:
    """Return the linear samples of the 256 codes (ITU-T G.711, 14- and 13-bit values scaled to 16)."""
    codes = np.arange(256, dtype=np.int32) ^ (0xFF if law == "g711_ulaw" else 0x55)
    exponent, mantissa = (codes >> 4) & 7, codes & 15
    if law == "g711_ulaw":
        magnitude = (((mantissa << 3) + 0x84) << exponent) - 0x84
        return np.where(codes & 0x80, -magnitude, magnitude).astype("<i2")
    magnitude = np.where(exponent == 0, (mantissa << 4) + 8, ((mantissa << 4) + 0x108) << np.maximum(exponent - 1, 0))
    return np.where(codes & 0x80, magnitude, -magnitude).astype("<i2")


@cache
def _g711_codes(law: str) -> npt.NDArray[np.uint8]:
    """Return the code with the nearest linear value for each of the 65,536 samples (as an unsigned index)."""
    linear = _g711_table(law).astype(np.int32)
    order = np.argsort(linear, kind="stable")
    ascending = linear[order]
    samples = np.arange(65_536, dtype=np.uint16).view(np.int16).astype(np.int32)
    right = np.clip(np.searchsorted(ascending, samples), 1, 255)
    nearer_left = samples - ascending[right - 1] <= ascending[right] - samples
    return order[np.where(nearer_left, right - 1, right)].astype(np.uint8)
