"""Speech synthesis of the simulators: espeak-ng (from the wheel `espeakng-loader`) through ctypes, resampled with soxr.

PCM is 16-bit signed little-endian mono. espeak-ng has global state, so a lock guards it; a sentence takes a few
milliseconds, and results are cached. Synthesis is not reproducible: the waveform continues from the previous sentence.
Speech that is compared later must be stored.
"""

from __future__ import annotations

import ctypes
import tempfile
import threading
from functools import cache, lru_cache
from pathlib import Path

import espeakng_loader
import numpy as np
import numpy.typing as npt
import soxr

BYTES_PER_SAMPLE = 2
CACHED_TEXTS = 256

# speak_lib.h of espeak-ng 1.52
_AUDIO_OUTPUT_SYNCHRONOUS = 2
_INITIALIZE_DONT_EXIT = 0x8000
_CHARS_UTF8 = 1
_POSITION_CHARACTER = 1
_LONGEST_PATH = 150
"""Maximum length of the data path in bytes. espeak-ng has 160 bytes for the path and appended names (N_PATH_HOME in its
sources).
"""

_Synthesized = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p)
_lock = threading.Lock()


class SpeechError(RuntimeError):
    """espeak-ng has no data or does not know the voice. Retries do not help."""


def synthesize(text: str, rate_hz: int, voice: str = "en-us") -> bytes:
    """Return PCM16 at `rate_hz`, empty for a text without words. Raises `SpeechError`."""
    return _spoken(" ".join(text.replace("\0", " ").split()), rate_hz, voice)


def ms_of(pcm: bytes, rate_hz: int) -> int:
    return len(pcm) // BYTES_PER_SAMPLE * 1000 // rate_hz


@lru_cache(maxsize=CACHED_TEXTS)
def _spoken(text: str, rate_hz: int, voice: str) -> bytes:
    samples = np.frombuffer(_native(text, voice), dtype="<i2")
    if samples.size == 0 or rate_hz == _engine().rate_hz:
        return samples.tobytes()
    resampled: npt.NDArray[np.int16] = soxr.resample(samples, _engine().rate_hz, rate_hz)
    return resampled.astype("<i2", copy=False).tobytes()


@lru_cache(maxsize=CACHED_TEXTS)
def _native(text: str, voice: str) -> bytes:
    """Synthesize at the sample rate of the engine. Cached, so that all rates are resampled from the same utterance."""
    if not text:
        return b""
    with _lock:
        return _engine().speak(text, voice)


class _Engine:
    """The loaded espeak-ng library. Every use requires the module's lock."""

    def __init__(self) -> None:
        self._library = ctypes.CDLL(str(espeakng_loader.get_library_path()))
        data = self._data_path(Path(espeakng_loader.get_data_path())).encode()
        rate_hz = self._library.espeak_Initialize(_AUDIO_OUTPUT_SYNCHRONOUS, 0, data, _INITIALIZE_DONT_EXIT)
        if rate_hz <= 0:
            raise SpeechError(
                f"espeak-ng found no data under {data.decode()} (at most {_LONGEST_PATH} bytes of path are allowed)"
            )
        self.rate_hz = int(rate_hz)
        self._synth = self._library.espeak_Synth
        self._synth.argtypes = [
            ctypes.c_char_p,
            ctypes.c_size_t,
            ctypes.c_uint,
            ctypes.c_int,
            ctypes.c_uint,
            ctypes.c_uint,
            ctypes.c_void_p,
            ctypes.c_void_p,
        ]

    def _data_path(self, path: Path) -> str:
        """Return `path`, or a symbolic link with a shorter path if it is too long for espeak-ng."""
        if len(str(path).encode()) <= _LONGEST_PATH:
            return str(path)
        self._short = tempfile.TemporaryDirectory(prefix="lab-speech-")  # removed at exit
        link = Path(self._short.name) / path.name
        link.symlink_to(path.absolute(), target_is_directory=True)
        return str(link)

    def speak(self, text: str, voice: str) -> bytes:
        if self._library.espeak_SetVoiceByName(voice.encode()) != 0:
            raise SpeechError(f"espeak-ng does not know the voice {voice!r}")
        pcm = bytearray()

        def keep(samples: int | None, count: int, _events: int) -> int:
            if samples is not None and count > 0:
                pcm.extend(ctypes.string_at(samples, count * BYTES_PER_SAMPLE))
            return 0

        callback = _Synthesized(
            keep
        )  # This must stay referenced until espeak_Synth returns, which calls it in this thread.
        self._library.espeak_SetSynthCallback(callback)
        said = text.encode()
        if self._synth(said, len(said) + 1, 0, _POSITION_CHARACTER, 0, _CHARS_UTF8, None, None) != 0:
            raise SpeechError(f"espeak-ng could not synthesize {text!r}")
        return bytes(pcm)


@cache
def _engine() -> _Engine:
    return _Engine()
