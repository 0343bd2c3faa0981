from __future__ import annotations

from collections.abc import Callable

import pytest

from bridge_common.redis.clients import open_clients
from bridge_common.streams.writer import Outlet, StreamWriter
from bridge_common.wire.entries import AudioFrame, Entry
from media_gateway.core.acs_media import AudioData
from media_gateway.socket.uplink_encoder import UplinkEncoder


class RecordingOutlet(Outlet):
    """Collects the entries that would be sent to Redis."""

    def __init__(self) -> None:
        writer = StreamWriter(open_clients("redis://127.0.0.1:1").media)
        super().__init__(writer, "key", 1, lambda: None)
        self.entries: list[Entry] = []

    def append(self, entry: Entry) -> None:
        self.entries.append(entry)


@pytest.fixture
def uplink_at() -> Callable[[int], tuple[UplinkEncoder, list[Entry]]]:
    def make(rate_hz: int) -> tuple[UplinkEncoder, list[Entry]]:
        outlet = RecordingOutlet()
        return UplinkEncoder(outlet, rate_hz), outlet.entries

    return make


UplinkAt = Callable[[int], tuple[UplinkEncoder, list[Entry]]]


def audio(pcm: bytes, *, silent: bool = False) -> AudioData:
    return AudioData(pcm=pcm, silent=silent, participant="", timestamp="")


def test_24_khz_passes_as_it_is(uplink_at: UplinkAt) -> None:
    uplink, entries = uplink_at(24_000)
    uplink.write(uplink.pcm_of(audio(b"\x01\x02" * 480)))
    assert entries == [AudioFrame(b"\x01\x02" * 480)]


def test_whatever_the_length_entries_have_20_ms(uplink_at: UplinkAt) -> None:
    uplink, entries = uplink_at(24_000)
    pcm = bytes(range(256)) * 15
    for at in range(0, len(pcm), 700):
        uplink.write(uplink.pcm_of(audio(pcm[at : at + 700])))
    assert entries == [AudioFrame(pcm[at : at + 960]) for at in range(0, 3840, 960)]


def test_each_16_khz_frame_is_one_entry_at_once(uplink_at: UplinkAt) -> None:
    uplink, entries = uplink_at(16_000)
    for count in range(1, 10):
        uplink.write(uplink.pcm_of(audio(b"\x00\x10" * 320)))
        assert len(entries) == count
    assert all(isinstance(entry, AudioFrame) and len(entry.pcm24k) == 960 for entry in entries)


@pytest.mark.parametrize("pcm", [b"", bytes(640), b"\x01\x00" * 320])
def test_silent_frames_are_20_ms_of_zeros(uplink_at: UplinkAt, pcm: bytes) -> None:
    uplink, entries = uplink_at(16_000)
    uplink.write(uplink.pcm_of(audio(pcm, silent=True)))
    assert entries == [AudioFrame(bytes(960))]
