"""Recordings for callers: the apology when no voice session is available, and the phrase that asks the
caller to wait.
"""

from __future__ import annotations

import io
import wave
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
LONGEST_S: Final = 10.0
"""Maximum length: call-control hangs up after 12 s in any case."""


def load_recording(setting: str, default: Path) -> bytes:
    """Load the WAV file `setting`, or `default` if it is empty, and return its 24 kHz PCM; b"" for `none`. Raises
    `InputError`.
    """
    if setting == NONE:
        return b""
    path = Path(setting) if setting else default
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
