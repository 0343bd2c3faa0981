"""Audio between the people of one call: each hears all others, unless one of the two is muted or on hold. No I/O."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import reduce

import numpy as np

from lab.acs.caller_line import CallerLine


def share_voices(lines: Mapping[str, CallerLine], *, hold_scope: str = "everyone") -> None:
    """Let each person hear what the others said in the last tick. `hold_scope: agent`: a person on hold still hears
    the others.
    """
    for listener in lines.values():
        if listener.on_hold and hold_scope == "everyone":
            continue
        voices = (line.spoken for line in lines.values() if line is not listener)
        heard = mix(voices)
        if heard is not None:
            listener.overhear(heard)


def mix(frames: Iterable[bytes | None]) -> bytes | None:
    """Return the sum of PCM frames of the same length; `None` if all are silence (`None`)."""
    heard = [frame for frame in frames if frame is not None]
    if len(heard) < 2:
        return heard[0] if heard else None
    total = reduce(np.add, (np.frombuffer(frame, "<i2").astype(np.int32) for frame in heard))
    mixed: bytes = np.clip(total, -32768, 32767).astype("<i2").tobytes()
    return mixed
