"""Ids of calls, processes and commands."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge_common.base.ids import call_id_of, is_call_id, process_name, request_id_of, shard_of


@given(st.text(alphabet=st.characters()))
def test_every_correlation_id_makes_a_call_id_and_always_the_same(correlation_id: str) -> None:
    """Includes an id with a lone surrogate, which JSON permits."""
    call_id = call_id_of(correlation_id)
    assert is_call_id(call_id)
    assert call_id_of(correlation_id) == call_id


def test_two_correlation_ids_make_two_calls() -> None:
    assert call_id_of("a") != call_id_of("b")


@pytest.mark.parametrize(
    "text", ["", "call_", "call_" + "g" * 24, "call_" + "a" * 23, "call_" + "a" * 25, "call_" + "A" * 24]
)
def test_other_text_is_no_call_id(text: str) -> None:
    assert not is_call_id(text)


def test_a_line_break_at_the_end_is_not_overlooked() -> None:
    good = call_id_of("a")
    assert is_call_id(good)
    assert not is_call_id(good + "\n")


@given(st.text(), st.integers(1, 256))
def test_a_shard_is_within_the_shards(correlation_id: str, shards: int) -> None:
    assert 0 <= shard_of(call_id_of(correlation_id), shards) < shards


def test_calls_spread_over_the_shards() -> None:
    per_shard = [0] * 8
    for n in range(4000):
        per_shard[shard_of(call_id_of(str(n)), 8)] += 1
    assert min(per_shard) > 400


def test_no_two_processes_have_one_name() -> None:
    names = {process_name("agent-relay") for _ in range(50)}
    assert len(names) == 50
    assert all(name.startswith("agent-relay-") for name in names)


def test_every_attempt_at_a_command_has_the_same_request_id() -> None:
    call_id = call_id_of("a")
    assert request_id_of(call_id, 1) == request_id_of(call_id, 1)
    assert request_id_of(call_id, 1) != request_id_of(call_id, 2)
    assert request_id_of(call_id, 1) != request_id_of(call_id_of("b"), 1)
