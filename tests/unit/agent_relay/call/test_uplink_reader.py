"""The uplink entries that reach the driver, and the position from which the next relay reads."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import cast

from agent_relay.call.driver import Driver
from agent_relay.call.missed_uplink import MissedUplink
from agent_relay.call.uplink_reader import UplinkReader
from agent_relay.core.uplink_cursor import UplinkStop
from bridge_common.store.leases import BEGINNING, Claim
from bridge_common.wire.call_record import CallRecord, Status
from bridge_common.wire.entries import (
    AudioFrame,
    Dtmf,
    Ended,
    Entry,
    MediaAttached,
    MediaDetached,
    Played,
    Playing,
    Stamp,
)

FRAME = AudioFrame(bytes(960))


@dataclass
class Recorder:
    """A driver and a `MissedUplink` that record the events they receive."""

    ready: bool = True
    session_seen: bool = True
    caller_waits: bool = False
    typing: bool = False
    masks_keys: bool = False
    reported: bool = False
    received: list[object] = field(default_factory=list)
    missed: list[object] = field(default_factory=list)
    forgotten: list[str] = field(default_factory=list)

    def caller_frame(self, _: bytes) -> bool:
        self.received.append("frame")
        return self.ready

    def caller_audio(self) -> None:
        self.received.append("first frame")

    def from_caller(self, entry: Entry) -> None:
        self.received.append(entry)

    def attached(self, epoch: int = 0) -> None:
        if epoch:
            self.missed.append(epoch)
        else:
            self.received.append("attached")

    def media_replaced(self, lost_at: float) -> None:
        self.received.append("replaced" if lost_at else "replaced, never heard")

    def on_entry(self, entry_id: str, _: Entry) -> None:
        self.missed.append(entry_id)

    def on_end(self) -> None:
        self.received.append("ended")


def _uplink(to: Recorder, *, cursor: str = "5-0", resumed: bool = False, gated: bool = False) -> UplinkReader:
    record = CallRecord(call_id="call_1", status=Status.CONNECTED, uplink_epoch=5)
    claim, driver, missed = Claim("call_1", 1, cursor), cast(Driver, to), cast(MissedUplink, to)
    return UplinkReader(claim, record, driver, missed, to.on_end, to.forgotten.append, resumed=resumed, gated=gated)


async def test_frames_move_the_cursor_once_a_voice_session_has_them() -> None:
    to = Recorder(ready=False)
    uplink = _uplink(to)
    uplink.on_entry("5-1", FRAME)
    assert to.received == ["frame", "first frame"]
    assert uplink.after_crash == "5-0", "it is kept here, and would die with this relay"
    to.ready = True
    uplink.on_entry("5-2", FRAME)
    assert to.received[2:] == ["frame"]
    assert uplink.after_crash == "5-2"


async def test_a_turn_that_is_not_answered_is_read_again() -> None:
    to = Recorder()
    uplink = _uplink(to)
    uplink.on_entry("5-1", FRAME)
    to.caller_waits = True
    uplink.on_entry("5-2", FRAME)
    uplink.on_entry("5-3", FRAME)
    assert uplink.after_crash == "5-1"
    assert uplink.stop() == UplinkStop("5-1", "5-0")


async def test_reports_of_the_gateway_reach_the_driver_and_probes_do_not() -> None:
    to = Recorder()
    uplink = _uplink(to)
    entries: list[Entry] = [Playing("a1"), Played("a1", 100, True), MediaDetached("closed"), Dtmf("1")]
    for number, entry in enumerate([Stamp(1), *entries], 1):
        uplink.on_entry(f"5-{number}", entry)
    assert to.received == entries
    uplink.on_entry("5-9", Ended("caller hung up"))
    assert to.received[-1] == "ended"


async def test_keys_that_are_not_sent_to_the_agent_yet_are_read_again() -> None:
    to = Recorder()
    uplink = _uplink(to)
    uplink.on_entry("5-1", FRAME)
    uplink.on_entry("5-2", Dtmf("1"))
    to.typing = True
    uplink.on_entry("5-3", Dtmf("2"))
    uplink.on_entry("5-4", FRAME)
    assert uplink.after_crash == "5-1"
    to.typing = False
    assert uplink.after_crash == "5-4"


async def test_keys_from_before_a_take_over_may_have_been_processed() -> None:
    to = Recorder(session_seen=False)
    uplink = _uplink(to, cursor=BEGINNING, resumed=True)
    uplink.on_entry("5-1", Dtmf("1"))
    assert to.received == []
    to.session_seen = True
    uplink.on_entry("5-2", Dtmf("2"))
    assert to.received == [Dtmf("2")]
    fresh = Recorder(session_seen=False)
    _uplink(fresh, cursor=BEGINNING).on_entry("5-1", Dtmf("1"))
    assert fresh.received == [Dtmf("1")], "nobody else had the call"


async def test_masked_keys_do_not_stay_in_redis_once_they_were_read() -> None:
    shown, masked, gated = Recorder(), Recorder(masks_keys=True), Recorder(masks_keys=True)
    for to in (shown, masked):
        _uplink(to).on_entry("5-1", Dtmf("1"))
        assert to.received == [Dtmf("1")]
    assert (shown.forgotten, masked.forgotten) == ([], ["5-1"])
    uplink = _uplink(gated, gated=True)
    uplink.on_entry("5-1", Dtmf("1"))
    assert gated.forgotten == [], "the previous owner reads it"
    uplink.release(None)
    assert gated.forgotten == ["5-1"]


async def test_masked_keys_from_before_a_take_over_do_not_stay_either() -> None:
    to = Recorder(session_seen=False, masks_keys=True)
    _uplink(to, cursor=BEGINNING, resumed=True).on_entry("5-1", Dtmf("1"))
    assert (to.received, to.forgotten) == ([], ["5-1"])


async def test_a_media_socket_is_the_known_one_or_replaces_it() -> None:
    to = Recorder()
    uplink = _uplink(to)
    uplink.on_entry("5-1", MediaAttached(16000))
    uplink.on_entry("6-1", MediaAttached(16000))
    uplink.on_entry("6-2", FRAME)
    uplink.on_entry("7-1", MediaAttached(16000))
    assert to.received == ["attached", "replaced, never heard", "frame", "first frame", "replaced"]
    assert to.missed == [5, 6, 7]


async def test_an_entry_after_a_missed_uplink_withdraws_the_report() -> None:
    to = Recorder(reported=True)
    _uplink(to).on_entry("5-1", Stamp(1))
    assert to.missed == ["5-1"]


async def test_what_the_previous_owner_processes_is_held_back_until_it_has_stopped() -> None:
    to = Recorder()
    uplink = _uplink(to, gated=True)
    entries: list[Entry] = [FRAME, Dtmf("1"), Playing("a1"), FRAME, Dtmf("2")]
    for number, entry in enumerate(entries, 1):
        uplink.on_entry(f"5-{number}", entry)
    assert to.received == [Playing("a1")]
    gated = [uplink.gated]
    uplink.release(UplinkStop("5-1", "5-2"))
    assert to.received[1:] == ["frame", "first frame", Dtmf("2")]
    assert [*gated, uplink.gated] == [True, False]
    uplink.release(None)
    assert len(to.received) == 4
