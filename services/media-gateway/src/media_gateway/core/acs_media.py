"""The messages of ACS audio streaming in both directions (ACS how-to "audio streaming", helpers of the official SDKs).

ACS sends JSON text with camelCase keys. Its own SDKs match keys and kinds case-insensitively, and so does `decode`.
Messages to ACS have the documented PascalCase form.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Final, TypeAlias

import msgspec
import pybase64

from bridge_common.base.errors import FrameError

MESSAGE_LIMIT_BYTES: Final = 64 * 1024
"""Size limit of a message. A frame of 20 ms has less than 2 KB."""
_SHOWN_CHARACTERS: Final = 40
TONES: Final = frozenset("0123456789*#ABCD")

STOP_AUDIO: Final = b'{"Kind":"StopAudio","AudioData":null,"StopAudio":{}}'
"""Message that makes ACS drop the audio that it has not played yet. Audio that is sent afterwards is played."""
_AUDIO_HEAD: Final = b'{"Kind":"AudioData","AudioData":{"Data":"'
_AUDIO_TAIL: Final = b'"},"StopAudio":null}'


@dataclass(frozen=True, slots=True)
class AudioMetadata:
    """The first message of a socket. `rate_hz` is reliable; the documented field `length` is not."""

    rate_hz: int
    encoding: str
    channels: int


class AudioData(msgspec.Struct, frozen=True, gc=False):
    """Audio of the caller, whole samples. If `silent`, `pcm` may be empty and represents 20 ms.

    The names in JSON are those of the documented form, so that most messages are decoded directly into this class.
    """

    pcm: bytes = msgspec.field(name="data", default=b"")
    silent: bool = False
    participant: str = msgspec.field(name="participantRawID", default="")
    """Raw id such as `4:+14255550100`; empty if ACS did not send one (mixed audio)."""
    timestamp: str = ""


class _AudioMessage(msgspec.Struct, tag_field="kind", tag="AudioData", frozen=True, gc=False):
    audio: AudioData = msgspec.field(name="audioData")


@dataclass(frozen=True, slots=True)
class DtmfData:
    tone: str
    participant: str = ""
    """Raw id of the person who pressed the key; empty if ACS did not send one."""


@dataclass(frozen=True, slots=True)
class UnknownMessage:
    """A message of a kind that is not handled; newer SDKs define more kinds."""

    kind: str


MediaMessage: TypeAlias = AudioMetadata | AudioData | DtmfData | UnknownMessage

_decode_documented = msgspec.json.Decoder(_AudioMessage).decode


def decode(message: str | bytes | memoryview) -> MediaMessage:
    """Decode a text message, given as text or in UTF-8.

    Raises `FrameError` for a message that ACS would not send: invalid JSON, wrong types, 64 KB or more.
    """
    if len(message) >= MESSAGE_LIMIT_BYTES:
        raise FrameError(f"the media message has {len(message)} bytes; it must be smaller than {MESSAGE_LIMIT_BYTES}")
    try:
        audio = _decode_documented(message).audio
    except (msgspec.DecodeError, ValueError, RecursionError):
        return _decode_any_case(_object(message))
    _check_samples(audio.pcm, silent=audio.silent)
    return audio


def encode_audio(pcm: bytes) -> bytes:
    return b"%b%b%b" % (_AUDIO_HEAD, pybase64.b64encode(pcm), _AUDIO_TAIL)


def _object(message: str | bytes | memoryview) -> dict[str, object]:
    try:
        value = json.loads(message if isinstance(message, str) else str(message, "utf-8"))
    except (ValueError, RecursionError) as error:
        raise FrameError("the media message is not valid JSON") from error
    if type(value) is not dict:
        raise FrameError("the media message is not a JSON object")
    return value


def _decode_any_case(outer: dict[str, object]) -> MediaMessage:
    lowered = _lowered(outer)
    kind = lowered.get("kind")
    if not isinstance(kind, str):
        raise FrameError("`kind` of the media message is missing or not a string")
    match kind.lower():
        case "audiodata":
            return _audio_data(_renamed(_body(lowered, "audiodata")))
        case "audiometadata":
            return _audio_metadata(_body(lowered, "audiometadata"))
        case "dtmfdata":
            return _dtmf_data(_body(lowered, "dtmfdata"))
        case _:
            return UnknownMessage(kind)


def _lowered(keys: dict[str, object]) -> dict[str, object]:
    return {key.lower(): value for key, value in keys.items()}


def _body(lowered: dict[str, object], key: str) -> dict[str, object]:
    body = lowered.get(key)
    if type(body) is not dict:
        raise FrameError(f"`{key}` of the media message is missing or not an object")
    return _lowered(body)


def _renamed(lowered: dict[str, object]) -> dict[str, object]:
    """Return AudioData with the documented names. `IsSilent` and `Participant` are names of the SDK helpers."""
    return {
        "data": lowered.get("data"),
        "silent": lowered.get("silent", lowered.get("issilent")),
        "participantRawID": lowered.get("participantrawid", lowered.get("participant")),
        "timestamp": lowered.get("timestamp"),
    }


def _audio_data(body: dict[str, object]) -> AudioData:
    silent = body.get("silent")
    if silent is not None and type(silent) is not bool:
        raise FrameError("`silent` of AudioData must be true or false")
    return AudioData(
        pcm=_pcm(body.get("data"), silent=bool(silent)),
        silent=bool(silent),
        participant=_text(body.get("participantRawID")),
        timestamp=_text(body.get("timestamp")),
    )


def _pcm(data: object, *, silent: bool) -> bytes:
    if silent and data is None:
        return b""
    if type(data) is not str:
        raise FrameError("`data` of AudioData is missing or not a string")
    try:
        pcm = pybase64.b64decode(data, validate=True)
    except ValueError as error:
        raise FrameError("`data` of AudioData is not valid base64") from error
    _check_samples(pcm, silent=silent)
    return pcm


def _check_samples(pcm: bytes, *, silent: bool) -> None:
    if not pcm and not silent:
        raise FrameError("`data` of AudioData is empty, although `silent` is not set")
    if len(pcm) % 2:
        raise FrameError("`data` of AudioData has an odd number of bytes; it must be 16-bit PCM", length=len(pcm))


def _audio_metadata(body: dict[str, object]) -> AudioMetadata:
    rate_hz = body.get("samplerate")
    channels = body.get("channels", 1)
    encoding = body.get("encoding", "PCM")
    if type(rate_hz) is not int:
        raise FrameError(f"`sampleRate` of AudioMetadata must be an integer, got {_shown(rate_hz)}")
    if type(channels) is not int:
        raise FrameError(f"`channels` of AudioMetadata must be an integer, got {_shown(channels)}")
    if type(encoding) is not str:
        raise FrameError(f"`encoding` of AudioMetadata must be a string, got {_shown(encoding)}")
    return AudioMetadata(rate_hz=rate_hz, encoding=encoding, channels=channels)


def _shown(value: object) -> str:
    """Return a received value for an error message, cut to `_SHOWN_CHARACTERS`."""
    if type(value) is dict or type(value) is list:
        return "an object" if type(value) is dict else "an array"
    return json.dumps(value)[:_SHOWN_CHARACTERS]


def _dtmf_data(body: dict[str, object]) -> DtmfData:
    tone = body.get("data")
    if type(tone) is not str or tone.upper() not in TONES:
        raise FrameError("`data` of DtmfData must be one of 0-9, *, #, A-D")
    return DtmfData(tone.upper(), _text(body.get("participantrawid", body.get("participant"))))


def _text(value: object) -> str:
    return value if type(value) is str else ""
