"""At a hand-over, every frame of a quiet call is heard by exactly one of two sessions."""

from __future__ import annotations

import pytest

from agent_relay.core.uplink_cursor import KEPT_FRAMES, UplinkGate, UplinkStop
from bridge_common.wire.entries import AudioFrame, Dtmf


def held(*ids: str) -> UplinkGate:
    """Return an audio entry, or a tone if the id ends with #."""
    gate = UplinkGate()
    for entry_id in ids:
        gate.hold(entry_id.rstrip("#"), Dtmf("#") if entry_id.endswith("#") else AudioFrame(b""))
    return gate


@pytest.mark.parametrize(
    ("stop", "left"),
    [
        (UplinkStop("7-9", "7-9"), ["7-10", "7-11", "8-1"]),
        (UplinkStop("7-11", "0-0"), ["7-9", "8-1"]),
        (UplinkStop("5-9", "7-9"), ["7-8", "7-10", "7-11", "8-1"]),
        (UplinkStop("8-1", "8-1"), []),
        (None, ["7-8", "7-9", "7-10", "7-11", "8-1"]),
    ],
    ids=["in the middle", "a tone is left", "a turn is heard again", "all is done", "no stop stored"],
)
def test_what_the_previous_owner_has_processed_is_dropped(stop: UplinkStop | None, left: list[str]) -> None:
    gate = held("7-8", "7-9#", "7-10", "7-11", "8-1")
    assert [entry_id for entry_id, _ in gate.release(stop)] == left
    assert gate.release(None) == [], "once"


def test_it_holds_as_much_as_the_stream_keeps() -> None:
    gate = held(*[f"7-{number}" for number in range(KEPT_FRAMES + 10)])
    assert next(entry_id for entry_id, _ in gate.release(None)) == "7-10"
