"""The messages of ACS audio streaming, both ways (ACS "audio streaming" how-to and the official SDK helpers).

ACS sends JSON text with camelCase keys; its own consumers match keys and kinds in any case, and so does `decode`.
Our own messages have the documented PascalCase form.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Final, TypeAlias

import msgspec
import pybase64

from bridge_common.base.errors import FrameError

MESSAGE_LIMIT_BYTES: Final = 64 * 1024
"""A 20 ms frame takes under 2 KB; nothing that ACS sends comes near this."""
TONES: Final = frozenset("0123456789*#ABCD")

STOP_AUDIO: Final = b'{"Kind":"StopAudio","AudioData":null,"StopAudio":{}}'
"""Makes ACS forget the audio it has not played yet. It does not hold back what is sent afterwards."""
_AUDIO_HEAD: Final = b'{"Kind":"AudioData","AudioData":{"Data":"'
_AUDIO_TAIL: Final = b'"},"StopAudio":null}'


@dataclass(frozen=True, slots=True)
class AudioMetadata:
    """The first message of a socket. `rate_hz` is reliable; the documented `length` is not always."""

    rate_hz: int
    encoding: str
    channels: int


class AudioData(msgspec.Struct, frozen=True, gc=False):
    """A piece of the caller's audio, whole samples. ACS may leave `pcm` of a silent piece empty: it lasts 20 ms.

    The names on the wire are those of the documented form, so that most messages are decoded straight into this.
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


@dataclass(frozen=True, slots=True)
class UnknownMessage:
    """A kind that means nothing here; newer SDKs add some."""

    kind: str


MediaMessage: TypeAlias = AudioMetadata | AudioData | DtmfData | UnknownMessage

_decode_documented = msgspec.json.Decoder(_AudioMessage).decode


def decode(message: str | bytes | memoryview) -> MediaMessage:
    """A text message, as text or in UTF-8.

    Raises `FrameError` for everything that ACS would not send: no JSON, wrong types, 64 KB and more.
    """
    if len(message) >= MESSAGE_LIMIT_BYTES:
        raise FrameError("a media message stays below 64 KB", length=len(message))
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
        raise FrameError("a media message is a JSON object")
    return value


def _decode_any_case(outer: dict[str, object]) -> MediaMessage:
    lowered = _lowered(outer)
    kind = lowered.get("kind")
    if not isinstance(kind, str):
        raise FrameError("a media message names its kind")
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
        raise FrameError(f"the media message lacks its {key} object")
    return _lowered(body)


def _renamed(lowered: dict[str, object]) -> dict[str, object]:
    """The documented names of AudioData again; `IsSilent` and `Participant` are those of the SDK helpers."""
    return {
        "data": lowered.get("data"),
        "silent": lowered.get("silent", lowered.get("issilent")),
        "participantRawID": lowered.get("participantrawid", lowered.get("participant")),
        "timestamp": lowered.get("timestamp"),
    }


def _audio_data(body: dict[str, object]) -> AudioData:
    silent = body.get("silent")
    if silent is not None and type(silent) is not bool:
        raise FrameError("silent is true or false")
    participant = body.get("participantRawID")
    timestamp = body.get("timestamp")
    return AudioData(
        pcm=_pcm(body.get("data"), silent=bool(silent)),
        silent=bool(silent),
        participant=participant if type(participant) is str else "",
        timestamp=timestamp if type(timestamp) is str else "",
    )


def _pcm(data: object, *, silent: bool) -> bytes:
    if silent and data is None:
        return b""
    if type(data) is not str:
        raise FrameError("AudioData carries no audio")
    try:
        pcm = pybase64.b64decode(data, validate=True)
    except ValueError as error:
        raise FrameError("the audio is not valid base64") from error
    _check_samples(pcm, silent=silent)
    return pcm


def _check_samples(pcm: bytes, *, silent: bool) -> None:
    if not pcm and not silent:
        raise FrameError("AudioData carries no audio")
    if len(pcm) % 2:
        raise FrameError("16-bit audio has an even number of bytes", length=len(pcm))


def _audio_metadata(body: dict[str, object]) -> AudioMetadata:
    rate_hz = body.get("samplerate")
    channels = body.get("channels", 1)
    encoding = body.get("encoding", "PCM")
    if type(rate_hz) is not int or type(channels) is not int or type(encoding) is not str:
        raise FrameError("AudioMetadata names rate, encoding and channels")
    return AudioMetadata(rate_hz=rate_hz, encoding=encoding, channels=channels)


def _dtmf_data(body: dict[str, object]) -> DtmfData:
    tone = body.get("data")
    if type(tone) is not str or tone.upper() not in TONES:
        raise FrameError("DtmfData carries one tone")
    return DtmfData(tone.upper())
