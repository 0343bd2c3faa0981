"""The encoding of all entries in Redis."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any, get_args

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import fields

from bridge_common.base.errors import EntryError
from bridge_common.wire.entries import AudioFrame, Clear, Entry, ItemEnd, Notice, Played, Turn
from bridge_common.wire.entry_codec import decode, encode

KINDS: tuple[type[Entry], ...] = get_args(Entry)
VALUES: dict[type, st.SearchStrategy[Any]] = {
    bytes: st.binary(),
    str: st.text(),
    int: st.integers(-(2**63), 2**64 - 1),
    bool: st.booleans(),
}
NUMBERS = {
    "Opened": 0,
    "Ended": 1,
    "Stamp": 2,
    "AudioFrame": 10,
    "Dtmf": 11,
    "Playing": 12,
    "Played": 13,
    "MediaAttached": 14,
    "MediaDetached": 15,
    "Audio": 20,
    "ItemEnd": 21,
    "Clear": 22,
    "Hold": 23,
    "Listen": 24,
    "IncomingCall": 30,
    "Callback": 31,
    "VoiceReady": 32,
    "VoiceLost": 33,
    "MediaLost": 34,
    "MediaOpen": 35,
    "HangUp": 36,
    "UplinkMissed": 39,
    "Due": 37,
    "Restored": 38,
    "Act": 40,
    "GoodbyeOver": 41,
    "ScreeningOver": 42,
    "Turn": 50,
    "Notice": 51,
    "Saying": 52,
    "Say": 60,
    "Instruct": 61,
}
"""A changed number breaks calls during a rolling update."""


def entries_of_kind(cls: type[Entry]) -> st.SearchStrategy[Entry]:
    return st.builds(cls, **{field.name: VALUES[field.type] for field in fields(cls)})


def sample(cls: type[Entry]) -> Entry:
    values: dict[type, Any] = {bytes: b"\x01\x02", str: "é", int: 7, bool: True}
    return cls(*[values[field.type] for field in fields(cls)])


@pytest.mark.parametrize("cls", KINDS)
def test_every_kind_survives_the_round_trip(cls: type[Entry]) -> None:
    @given(entries_of_kind(cls))
    def survives(entry: Entry) -> None:
        assert decode(encode(entry)) == entry

    survives()


@pytest.mark.parametrize("cls", KINDS)
def test_every_kind_keeps_its_number(cls: type[Entry]) -> None:
    assert msgpack.unpackb(encode(sample(cls)))[0] == NUMBERS[cls.__name__]


def test_a_frame_costs_little_more_than_its_audio() -> None:
    assert len(encode(AudioFrame(bytes(960)))) <= 960 + 5


def test_kinds_of_a_newer_version_are_skipped() -> None:
    assert decode(msgpack.packb([999, "what", 1])) is None


def test_fields_of_a_newer_version_are_ignored() -> None:
    assert decode(msgpack.packb([21, "item", "news"])) == ItemEnd("item")
    assert decode(msgpack.packb([22, "item", 17, "news"])) == Clear("item", 17)
    assert decode(msgpack.packb([22, "item"])) == Clear("item")


def test_missing_fields_take_their_defaults() -> None:
    assert decode(msgpack.packb([50, "caller", "i1", "hello", 5])) == Turn("caller", "i1", "hello", 5)


@pytest.mark.parametrize(
    "parts",
    [
        [13, "item", 5],
        [13, "item", "5", True],
        [13, "item", 5, 1],
        [13, "item", True, True],
        [10, "text, not bytes"],
        [22, b"bytes, not text"],
        [22, None],
    ],
)
def test_missing_fields_and_wrong_types_are_refused(parts: list[object]) -> None:
    with pytest.raises(EntryError):
        decode(msgpack.packb(parts))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xc1",
        b"hello",
        msgpack.packb([]),
        msgpack.packb({"kind": 0}),
        msgpack.packb(["0"]),
        msgpack.packb([True]),
        msgpack.packb([0]) + b"\x00",
        b"\x91" * 5000,
        b"\xdd\xff\xff\xff\xff",
        b"\x81\x80\x00",
        b"\x91\xd6\xff\x00\x00\x00",
    ],
)
def test_what_is_no_entry_is_refused(data: bytes) -> None:
    with pytest.raises(EntryError):
        decode(data)


def test_half_a_surrogate_pair_costs_one_character_not_the_turn() -> None:
    assert decode(encode(Notice("said", "ok \ud83d!", 1))) == Notice("said", "ok ?!", 1)


def test_a_number_beyond_64_bit_is_refused() -> None:
    with pytest.raises(EntryError, match="Played"):
        encode(Played("item", 2**64, complete=True))


def test_the_decoder_survives_random_and_damaged_bytes() -> None:
    """Any input results in an entry, None or `EntryError`."""
    chance = random.Random(1)
    good = [encode(sample(cls)) for cls in KINDS]
    outcomes = {"entry": 0, "unknown": 0, "refused": 0}
    for _ in range(150_000):
        data = bytearray(chance.choice(good))
        for _ in range(chance.randrange(4)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        if chance.random() < 0.3:
            data = data[: chance.randrange(len(data) + 1)] + chance.randbytes(chance.randrange(8))
        try:
            entry = decode(bytes(data))
            outcomes["unknown" if entry is None else "entry"] += 1
        except EntryError:
            outcomes["refused"] += 1
    assert min(outcomes.values()) > 1000, outcomes


@given(st.binary())
def test_the_decoder_survives_any_bytes(data: bytes) -> None:
    try:
        entry = decode(data)
    except EntryError:
        return
    assert entry is None or isinstance(entry, KINDS)


@pytest.mark.parametrize("size", [0, 1, 255, 256, 960, 65_535, 65_536])
def test_a_frame_is_what_msgpack_makes_of_it(size: int) -> None:
    frame = AudioFrame(bytes(n % 251 for n in range(size)))
    assert encode(frame) == msgpack.packb([10, frame.pcm24k])
    assert decode(encode(frame)) == frame


@pytest.mark.parametrize("damage", [lambda data: data[:-1], lambda data: data + b"x", lambda data: data[:4]])
def test_a_damaged_frame_is_refused(damage: Callable[[bytes], bytes]) -> None:
    with pytest.raises(EntryError):
        decode(damage(encode(AudioFrame(bytes(960)))))
