"""YAML from untrusted senders: plain values or an error; its length limits the cost."""

from __future__ import annotations

import contextlib
from itertools import pairwise

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from call_control.core.policy.plain_yaml import MOST_NODES, PlainYaml
from tests.support.fuzzing import YAML_PIECES


def test_numbers_and_times_stay_text() -> None:
    text = "{a: +18005551212, b: 20:00, c: 2026-11-22, d: 25, e: [yes, off, ~, null, '5', !!str true]}"
    assert PlainYaml(text).value() == {
        "a": "+18005551212",
        "b": "20:00",
        "c": "2026-11-22",
        "d": "25",
        "e": [True, False, None, None, "5", "true"],
    }
    assert PlainYaml("# nothing").value() is None


def test_reading_ends_at_the_limit() -> None:
    reader = PlainYaml("[" + "a," * 30_000)
    with pytest.raises(yaml.MarkedYAMLError, match="more than"):
        reader.value()
    assert reader.nodes == MOST_NODES + 1


def _bombs() -> list[str]:
    lists, merges = ["a: &a [x]"], ["a: &a {x: y}"]
    for before, name in pairwise("abcdefghi"):
        lists.append(f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]")
        merges.append(f"{name}: &{name} {{<<: [{', '.join([f'*{before}'] * 9)}]}}")
    return ["\n".join([*lists, "rules: *i"]), "\n".join([*merges, "rules: [*i]"]), "&a [*a]", "&a {<<: *a}"]


@pytest.mark.parametrize("bomb", _bombs())
def test_an_alias_is_refused_before_anything_is_expanded(bomb: str) -> None:
    """Regression: decoding 470 bytes of nested aliases took 12 s and 220 MB."""
    reader = PlainYaml(bomb)
    with pytest.raises(yaml.MarkedYAMLError, match="aliases"):
        reader.value()
    assert reader.nodes < 20


@given(
    st.binary(max_size=200)
    | st.lists(st.sampled_from(YAML_PIECES), max_size=60).map(lambda pieces: "".join(pieces).encode())
)
def test_no_more_nodes_are_composed_than_the_text_has_characters(text: bytes) -> None:
    reader = None
    with contextlib.suppress(yaml.YAMLError, ValueError, OverflowError):
        reader = PlainYaml(text.decode(errors="replace"))
        reader.value()
    assert reader is None or reader.nodes <= 2 * len(text) + 1
