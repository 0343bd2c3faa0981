from __future__ import annotations

from pathlib import Path

from bench.bridges import Bridge, ReferenceStack, Shape, merged, stack_of


def test_our_stack_has_room_for_the_calls() -> None:
    stack = stack_of(Bridge.OURS, 60, Path("logs"), {"agent-relay": {"X": "1"}, "acs": {"Y": "2"}})
    assert stack.extra["agent-relay"] == {"RELAY_CAPACITY": "80", "X": "1"}
    assert stack.extra["media-gateway"] == {"GATEWAY_CAPACITY": "80"}
    assert stack.extra["acs"] == {"Y": "2"}
    assert not isinstance(stack, ReferenceStack)


def test_the_reference_has_no_capacity_settings() -> None:
    assert isinstance(stack_of(Bridge.REFERENCE, 60, Path("logs"), {}), ReferenceStack)
    assert (Bridge.REFERENCE.lead_s, Bridge.OURS.lead_s) == (None, 0.2)


def test_shapes_differ_in_the_size_of_deltas() -> None:
    assert [shape.voice_live["MARKS_CHUNK_MS"] for shape in Shape] == ["20", "250"]


def test_the_second_environment_wins() -> None:
    assert merged({"a": {"X": "1", "Y": "1"}}, {"a": {"Y": "2"}, "b": {}}) == {"a": {"X": "1", "Y": "2"}, "b": {}}
