"""Fast codec of WebSocket text messages in single frames (RFC 6455, section 5.2), for the simulators under load.

It avoids the cost of a protocol object for each frame. The WebSocket library handles everything except unfragmented
text messages: handshake, fragments, pings and closes.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

try:
    from websockets.speedups import apply_mask
except ImportError:  # The platform has no compiled extension.
    from websockets.utils import apply_mask

WHOLE_TEXT: Final = 0x81
"""First byte of an unfragmented text frame without extension bits."""


def encode_server_text(payload: bytes) -> bytes:
    return _header(len(payload), 0) + payload


def encode_client_text(payload: bytes) -> bytes:
    mask = os.urandom(4)
    return b"".join((_header(len(payload), 0x80), mask, apply_mask(payload, mask)))


def _header(length: int, mask_bit: int) -> bytes:
    if length < 126:
        return bytes((WHOLE_TEXT, mask_bit | length))
    if length < 65_536:
        return bytes((WHOLE_TEXT, mask_bit | 126, length >> 8, length & 0xFF))
    return bytes((WHOLE_TEXT, mask_bit | 127)) + length.to_bytes(8, "big")


@dataclass(frozen=True, slots=True)
class WireFrame:
    """One WebSocket frame. `raw`: the frame as received; `text`: the unmasked payload if the frame is a complete text
    message, else None.
    """

    raw: bytes
    text: bytes | None


@dataclass(slots=True)
class FrameSplitter:
    """Splits a byte stream, which starts with a frame, into frames. After the first frame larger than `max_bytes`, it
    forwards the bytes unchanged, so that the library rejects the frame.
    """

    max_bytes: int
    _rest: bytes = field(default=b"", repr=False)
    _too_large: bool = False

    def feed(self, data: bytes) -> Iterator[WireFrame]:
        if self._too_large:
            yield WireFrame(data, None)
            return
        data = self._rest + data if self._rest else data
        at, size = 0, len(data)
        while size - at >= 2:
            length, start = data[at + 1] & 0x7F, at + 2
            if length >= 126:
                width = 2 if length == 126 else 8
                if size < start + width:
                    break
                length, start = int.from_bytes(data[start : start + width], "big"), start + width
            key = data[start : start + 4] if data[at + 1] & 0x80 else b""
            start += 4 if data[at + 1] & 0x80 else 0
            end = start + length
            if length > self.max_bytes:
                self._too_large = True
                yield WireFrame(data[at:], None)
                at = size
                break
            if end > size:
                break
            text = None
            if data[at] == WHOLE_TEXT:
                text = apply_mask(data[start:end], key) if key else data[start:end]
            yield WireFrame(data[at:end] if text is None or end - at != size else data, text)
            at = end
        self._rest = data[at:]
