"""Recordings for callers: the apology when no voice session is available, and the phrase that asks the
caller to wait. Agent profiles may have their own, for example in their language.
"""

from __future__ import annotations

import io
import wave
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from bridge_common.base.errors import InputError, error_text
from bridge_common.service.setting_input import read_setting_file
from bridge_common.wire.audio import BYTES_PER_SAMPLE, PHONE_RATE_HZ, VOICE_RATE_HZ
from media_gateway.core.rate_change import rate_change

APOLOGY: Final = Path(__file__).with_name("apology.wav")
WAIT: Final = Path(__file__).with_name("wait.wav")
NONE: Final = "none"
MAX_BYTES: Final = 4 * 1024 * 1024
_SHOWN_CHARACTERS: Final = 200
LONGEST_S: Final = 10.0
"""Maximum length: call-control hangs up after 12 s in any case."""


@dataclass(frozen=True, slots=True)
class Recordings:
    """One recording as 24 kHz PCM, empty for none, and those of agent profiles that have their own."""

    default: bytes = b""
    of_profile: Mapping[str, bytes] = field(default_factory=dict)

    def of(self, profile: str) -> bytes:
        return self.of_profile.get(profile, self.default)


def load_recordings(setting: str, default: Path) -> Recordings:
    """Load `setting`: `none`, a WAV file, or a folder with `<profile>.wav` for agent profiles and `default.wav` for the
    others. `default` is used if `setting` is empty or the folder has no `default.wav`. Raises `InputError` with all
    mistakes.
    """
    if setting == NONE:
        return Recordings()
    path = Path(setting) if setting else default
    try:
        files = sorted(path.glob("*.wav")) if path.is_dir() else None
    except OSError as error:  # for example, the path is too long
        raise InputError(f"{str(path)[:_SHOWN_CHARACTERS]} cannot be read: {error.strerror}") from error
    if files is None:
        return Recordings(_load(path))
    if not files:
        raise InputError(f"{path} contains no WAV file; add default.wav, or <profile>.wav for an agent profile")
    found: dict[str, bytes] = {}
    mistakes: list[str] = []
    for file in files:
        try:
            found[file.stem] = _load(file)
        except InputError as error:
            mistakes.append(error.message)
    if mistakes:
        raise InputError("; ".join(mistakes))
    return Recordings(found.pop("default", b"") or _load(default), found)


def _load(path: Path) -> bytes:
    try:
        with wave.open(io.BytesIO(read_setting_file(path, MAX_BYTES)), "rb") as recording:
            kind = (recording.getnchannels(), recording.getsampwidth(), recording.getframerate())
            pcm = recording.readframes(recording.getnframes())
    except InputError as error:
        raise InputError(f"{path} {error.message}") from error
    except (wave.Error, EOFError) as error:
        raise InputError(f"{path} is not a PCM WAV file: {error_text(error)}") from error
    channels, width, rate_hz = kind
    if channels != 1 or width != BYTES_PER_SAMPLE or rate_hz not in (PHONE_RATE_HZ, VOICE_RATE_HZ):
        raise InputError(f"{path} has an unsupported format; use 16-bit PCM, one channel, 16000 or 24000 Hz")
    if len(pcm) > LONGEST_S * rate_hz * BYTES_PER_SAMPLE:
        raise InputError(f"{path} is too long; at most {LONGEST_S:.0f} s are allowed")
    rate = rate_change(rate_hz, VOICE_RATE_HZ)
    return rate.feed(pcm) + rate.flush()
