"""Fast encoder of marks as base64 text, by joining prebuilt pieces, for loads of many calls.

A slot of a mark has 12 bytes at 16 kHz and 18 at 24 kHz, both whole base64 groups. Each bit of a mark therefore is
always the same 16 or 24 characters, and eight bits are one entry of a table.
"""

from __future__ import annotations

from base64 import b64encode
from functools import cache
from typing import Final

from lab.marks import FRAME_MS, encode_mark

_HEAD_SLOTS: Final = 7
"""Slots of the preamble; the following 40 bits are five bytes."""
_SLOTS: Final = 47


@cache
def _pieces(rate_hz: int) -> tuple[bytes, tuple[bytes, ...], bytes]:
    """Return base64 of the preamble, of each possible byte, and of the silence at the end, cut out of encoded marks."""
    slot = rate_hz * 3 // 8000 * 8 // 3
    head, end = _HEAD_SLOTS * slot, _SLOTS * slot
    some = b64encode(encode_mark(0, 0, rate_hz))
    # Bits 24 to 31 are the low byte of the sequence number.
    low_byte = slice(head + 24 * slot, head + 32 * slot)
    table = tuple(b64encode(encode_mark(0, value, rate_hz))[low_byte] for value in range(256))
    return some[:head], table, some[end:]


def mark_base64(call: int, seq: int, rate_hz: int) -> bytes:
    """Equal to `b64encode(encode_mark(…))`. At 24 kHz it has no padding, so that frames can be joined as text."""
    head, table, silence = _pieces(rate_hz)
    number = (call & 0xFFFF) << 16 | (seq & 0xFFFF)
    return b"".join(
        (
            head,
            table[number >> 24],
            table[number >> 16 & 0xFF],
            table[number >> 8 & 0xFF],
            table[number & 0xFF],
            table[(number * 2654435761 & 0xFFFFFFFF) >> 24],
            silence,
        )
    )


def frame_bytes(rate_hz: int) -> int:
    return rate_hz * FRAME_MS // 1000 * 2
