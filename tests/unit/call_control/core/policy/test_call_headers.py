from __future__ import annotations

import time

import pytest

from bridge_common.base.errors import InputError
from call_control.core.policy.call_headers import (
    decode_header_name,
    decode_header_pattern,
    has_headers,
    headers_of,
)


@pytest.mark.parametrize(
    ("pattern", "value", "matches"),
    [
        ("gold", "Gold", True),
        ("gold*", "golden", True),
        ("*;encoding=hex", "56a6;encoding=hex", True),
        ("g?ld", "gld", False),
        ("[gs]old", "sold", False),
        ("[gs]old", "[gs]old", True),
        ("*", "", True),
    ],
)
def test_wildcards(pattern: str, value: str, matches: bool) -> None:
    assert decode_header_pattern(pattern).matches(value) is matches


def test_a_pattern_of_many_wildcards_is_fast_on_a_long_value() -> None:
    pattern, value = decode_header_pattern("*a" * 100 + "b"), "a" * 1024
    began = time.perf_counter()
    assert not pattern.matches(value)
    assert time.perf_counter() - began < 1


@pytest.mark.parametrize("text", ["", "x" * 257, "a\nb"])
def test_other_patterns_are_refused(text: str) -> None:
    with pytest.raises(InputError, match="is not a pattern"):
        decode_header_pattern(text)


@pytest.mark.parametrize("text", ["", "X Y", "X:Y", "X\n", "ä", "x" * 129])
def test_other_names_are_refused(text: str) -> None:
    with pytest.raises(InputError, match="is not the name of a header"):
        decode_header_name(text)


def test_a_name_can_be_a_sip_and_a_voip_header() -> None:
    headers = headers_of('{"sip_headers":{"X-Tier":"gold"},"voip_headers":{"x-tier":"silver"}}')
    for value in ("gold", "silver"):
        assert has_headers({"X-TIER": [decode_header_pattern(value)]}, headers)
    assert not has_headers({"X-Tier": [decode_header_pattern("bronze")]}, headers)
    assert headers_of("") == {}
