"""Checks of JSON values of any type."""

from __future__ import annotations

import pytest

from lab.voice_live.wire_values import bad_session_value, is_number, is_one_of, is_whole, unexpected


@pytest.mark.parametrize("value", [[], {}, None, True, 1.5, [["a"]]])
def test_unhashable_values_are_not_members(value: object) -> None:
    assert not is_one_of(value, frozenset({"a", "b"}))
    assert not is_one_of(value, frozenset({1, 2}))


def test_members_numbers_and_bounds() -> None:
    assert is_one_of("a", frozenset({"a"}))
    assert is_number(0.5, 0, 1)
    assert not is_number(True, 0, 1)
    assert not is_number("1", 0, 1)
    assert is_whole(4096, 1, 4096)
    assert not is_whole(1.0, 1, 4096)


def test_refusals_contain_the_path() -> None:
    assert bad_session_value("session.x", "y").param == "session.x"
    assert unexpected("session.x").message == "'session.x' unexpected (extra fields not permitted)"
