"""JSON messages of the media socket, from the side of ACS (ACS docs, "Audio streaming quickstart").

ACS sends lower camel case keys with PascalCase kinds. It accepts property names and kinds in any case and evaluates
only the kind: the official JavaScript helper puts an empty `stopAudio` into every audio message.
"""

from __future__ import annotations

import binascii
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

FRAME_MS = 20


@dataclass(frozen=True, slots=True)
class AudioIn:
    """Audio from the application: PCM16LE mono at the configured rate, any whole number of samples."""

    pcm: bytes


@dataclass(frozen=True, slots=True)
class StopAudio:
    pass


@dataclass(frozen=True, slots=True)
class UnknownFrame:
    """A message of an unknown kind; ignored."""

    kind: str


@dataclass(frozen=True, slots=True)
class Malformed:
    """A message that could not be decoded; dropped and counted."""

    reason: str


def frame_bytes(rate_hz: int) -> int:
    return rate_hz * FRAME_MS // 1000 * 2


def encode_metadata(subscription_id: str, rate_hz: int) -> bytes:
    metadata = {
        "subscriptionId": subscription_id,
        "encoding": "PCM",
        "sampleRate": rate_hz,
        "channels": 1,
        "length": frame_bytes(rate_hz),
    }
    return _compact({"kind": "AudioMetadata", "audioMetadata": metadata})


class AudioEncoder:
    """Encodes the AudioData messages of one participant, or of mixed audio if `participant_raw_id` is empty (the field
    is absent) or `None` (the field is null).
    """

    def __init__(self, participant_raw_id: str | None) -> None:
        absent = participant_raw_id == ""
        participant = "" if absent else f'"participantRawID":{json.dumps(participant_raw_id)},'
        self._before_time = b'{"kind":"AudioData","audioData":{"timestamp":"'
        self._before_data = f'",{participant}"data":"'.encode()

    def encode(self, pcm: bytes, timestamp: bytes, *, silent: bool = False) -> bytes:
        data = binascii.b2a_base64(pcm, newline=False)
        end = b'","silent":true}}' if silent else b'","silent":false}}'
        return b"".join((self._before_time, timestamp, self._before_data, data, end))

    def encode_base64(self, data: bytes, timestamp: bytes) -> bytes:
        """Encode `data` that is already base64; otherwise the same as `encode`."""
        return b"".join((self._before_time, timestamp, self._before_data, data, b'","silent":false}}'))


def encode_timestamp(at: datetime) -> bytes:
    """Return ISO 8601 with milliseconds and `Z`. `at` must be in UTC."""
    return f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03d}Z".encode()


def encode_unix_time(at_s: float) -> bytes:
    """Return the timestamp for `at_s` in Unix seconds; faster than `encode_timestamp`."""
    second = int(at_s)
    return b"%b.%03dZ" % (_encode_second(second), int((at_s - second) * 1000))


@lru_cache(maxsize=4)
def _encode_second(unix_s: int) -> bytes:
    return f"{datetime.fromtimestamp(unix_s, UTC):%Y-%m-%dT%H:%M:%S}".encode()


def encode_dtmf(tone: str, participant_raw_id: str = "") -> bytes:
    """`participant_raw_id`: empty if the message does not identify the party, as in the documentation."""
    participant = {"participantRawID": participant_raw_id} if participant_raw_id else {}
    return _compact({"kind": "DtmfData", "dtmfData": {"data": tone, **participant}})


_USUAL = (
    (b'{"Kind":"AudioData","AudioData":{"Data":"', b'"},"StopAudio":null}'),
    (b'{"Kind": "AudioData", "AudioData": {"Data": "', b'"}, "StopAudio": null}'),
)
"""Beginnings of an audio message in the documented form, without and with the spaces that json.dumps adds."""


def decode(text: bytes) -> AudioIn | StopAudio | UnknownFrame | Malformed:
    """Decode one message. Audio in the documented form is decoded without a JSON parser, with the same result."""
    for start, end in _USUAL:
        if text.startswith(start) and text.endswith(end):
            data = text[len(start) : -len(end)]
            if b'"' not in data and b"\\" not in data:
                return _decode_pcm(data)
    try:
        message = json.loads(text)
    except (ValueError, RecursionError):
        return Malformed("the message is not valid JSON")
    kind = _member(message, "kind")
    if not isinstance(kind, str):
        return Malformed("`kind` is missing or not a string")
    match kind.lower():
        case "audiodata":
            return _decode_audio(_member(message, "audiodata"))
        case "stopaudio":
            return StopAudio()
        case _:
            return UnknownFrame(kind)


def _decode_audio(body: object) -> AudioIn | Malformed:
    data = _member(body, "data")
    if not isinstance(data, str):
        return Malformed("`audioData.data` is missing or not a string")
    return _decode_pcm(data.encode("utf-8", "replace"))


def _decode_pcm(data: bytes) -> AudioIn | Malformed:
    try:
        pcm = binascii.a2b_base64(data, strict_mode=True)
    except ValueError:
        return Malformed("`audioData.data` is not valid base64")
    return Malformed("`audioData.data` has an odd number of bytes; a sample has two") if len(pcm) % 2 else AudioIn(pcm)


def _member(value: object, lower_name: str) -> object:
    if not isinstance(value, dict):
        return None
    for name, member in value.items():
        if isinstance(name, str) and name.lower() == lower_name:
            found: object = member
            return found
    return None


def _compact(message: dict[str, object]) -> bytes:
    return json.dumps(message, separators=(",", ":")).encode()


_TONES: Final = "zero one two three four five six seven eight nine a b c d asterisk pound"
DTMF_WORDS: Final = dict(zip("0123456789ABCD*#", _TONES.split(), strict=True))
"""Name of a tone in REST requests and callback events, by its character on the media socket."""
DTMF_CHARACTERS: Final = {word: character for character, word in DTMF_WORDS.items()}
