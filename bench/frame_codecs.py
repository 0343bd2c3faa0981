"""What a frame costs in the codecs it passes: ACS JSON in and out, and the Redis entry between."""

from __future__ import annotations

import base64
import json
import os
from functools import partial

from bench.table import Table, best_us
from bridge_common.wire import entry_codec
from bridge_common.wire.entries import AudioFrame
from media_gateway.core import acs_media
from media_gateway.core.rate_change import rate_change


def measure(repeats: int) -> list[Table]:
    rows: list[list[str | float]] = []
    for rate_hz in (16_000, 24_000):
        pcm = os.urandom(rate_hz // 50 * 2)
        message = _acs_audio(pcm)
        pascal = acs_media.encode_audio(pcm)
        rows += [
            [f"decode an ACS frame, {rate_hz // 1000} kHz", best_us(partial(acs_media.decode, message), repeats)],
            ["  same, json.loads and b64decode", best_us(partial(_plain_decode, message), repeats)],
            ["  same, keys in another case", best_us(partial(acs_media.decode, pascal), repeats)],
            [f"encode an ACS frame, {rate_hz // 1000} kHz", best_us(partial(acs_media.encode_audio, pcm), repeats)],
            ["  same, json.dumps and b64encode", best_us(partial(_plain_encode, pcm), repeats)],
        ]
    rows += _to_24_khz(_acs_audio(os.urandom(640)).encode(), repeats)
    frame = AudioFrame(os.urandom(960))
    packed = entry_codec.encode(frame)
    rows += [
        ["encode an AudioFrame entry", best_us(partial(entry_codec.encode, frame), repeats)],
        ["decode an AudioFrame entry", best_us(partial(entry_codec.decode, packed), repeats)],
    ]
    return [Table("Codecs, 20 ms of audio", ["", "µs"], rows)]


def _to_24_khz(message: bytes, repeats: int) -> list[list[str | float]]:
    """What the gateway does with nearly every message: where it is compiled, in one step."""
    rate = rate_change(16_000, 24_000)
    view = memoryview(message)

    def in_two_steps() -> bytes:
        return rate.feed(_audio_of(view))

    rows: list[list[str | float]] = [["decode an ACS frame, resample 16 → 24 kHz", best_us(in_two_steps, repeats)]]
    if rate.feed_message(view) is not None:
        rows.append(["  same, in one compiled step", best_us(partial(rate.feed_message, view), repeats)])
    return rows


def _audio_of(message: memoryview) -> bytes:
    heard = acs_media.decode(message)
    assert isinstance(heard, acs_media.AudioData)
    return heard.pcm


def _acs_audio(pcm: bytes) -> str:
    body = {
        "timestamp": "2026-11-22T05:00:02.925Z",
        "participantRawID": "4:+14255550100",
        "data": base64.b64encode(pcm).decode(),
        "silent": False,
    }
    return json.dumps({"kind": "AudioData", "audioData": body}, separators=(",", ":"))


def _plain_decode(message: str) -> bytes:
    return base64.b64decode(json.loads(message)["audioData"]["data"])


def _plain_encode(pcm: bytes) -> str:
    data = base64.b64encode(pcm).decode()
    return json.dumps({"Kind": "AudioData", "AudioData": {"Data": data}, "StopAudio": None})
