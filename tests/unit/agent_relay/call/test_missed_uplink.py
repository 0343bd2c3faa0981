"""When a relay reports a call's uplink as missed, and when it withdraws the report. The tests set the time."""

from __future__ import annotations

import pytest

from agent_relay.call.missed_uplink import MissedUplink
from agent_relay.call.outbox import Reporter
from bridge_common.wire.entries import AudioFrame, Ended, Entry, MediaDetached, MediaOpen, Stamp, UplinkMissed

FRAME = AudioFrame(bytes(960))


class Stage:
    """Calls `tick` twenty times a second. `received_at`: times of the entries that Redis has delivered."""

    def __init__(self, epoch: int = 7) -> None:
        self.now = self.received_at = 100.0
        self.reports: list[Reporter] = []
        self.missed = MissedUplink("call_1", epoch, lambda: self.now - self.received_at, self.reports.append)

    def receive(self, entry_id: str, entry: Entry) -> None:
        self.received_at = self.now
        if self.missed.reported:
            self.missed.on_entry(entry_id, entry)

    def run(self, seconds: float, *, entry_every_s: float | None = None) -> None:
        began = self.now
        for tick in range(1, round(seconds * 20) + 1):
            self.now = began + tick / 20
            if entry_every_s is not None and self.now - self.received_at >= entry_every_s:
                self.receive("7-1", Stamp(1))
            self.missed.tick(self.now)


def test_an_uplink_without_any_entry_is_reported_each_second() -> None:
    stage = Stage()
    stage.run(0.95)
    assert stage.reports == []
    stage.run(0.25)
    assert stage.reports == [Reporter(UplinkMissed("call_1", 7))]
    assert stage.missed.reported
    stage.run(2.0)
    assert stage.reports == [Reporter(UplinkMissed("call_1", 7))] * 3


def test_its_return_is_reported_once_and_until_redis_has_it() -> None:
    stage = Stage()
    stage.run(1.2)
    stage.receive("7-9", FRAME)
    stage.receive("7-10", FRAME)
    assert stage.reports[1:] == [Reporter(MediaOpen("call_1", 7), insist=True)]
    assert not stage.missed.reported


@pytest.mark.parametrize("entry", [MediaDetached("going away"), Ended("caller hung up")])
def test_the_end_of_a_socket_is_no_return(entry: Entry) -> None:
    stage = Stage()
    stage.run(1.2)
    stage.receive("7-9", entry)
    assert len(stage.reports) == 1
    assert stage.missed.reported


def test_the_next_socket_is_a_return() -> None:
    stage = Stage()
    stage.run(1.2)
    stage.missed.attached(8)
    stage.receive("8-1", FRAME)
    assert stage.reports[1:] == [Reporter(MediaOpen("call_1", 8), insist=True)]


def test_a_gateway_whose_caller_is_quiet_is_not_missed() -> None:
    """ACS may send nothing for a long time, for example on hold: then only the gateway's latency probes arrive."""
    stage = Stage()
    stage.run(60.0, entry_every_s=0.5)
    assert stage.reports == []


def test_before_the_first_socket_nothing_is_missed() -> None:
    stage = Stage(epoch=0)
    stage.run(60.0)
    assert stage.reports == []
    stage.missed.attached(7)
    stage.run(0.2)
    assert len(stage.reports) == 1
