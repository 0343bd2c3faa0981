from __future__ import annotations

import pytest

from bridge_common.base.errors import InputError
from call_control.core.events.json_fields import BadEvent, Node, decode_each


def test_paths_name_the_field() -> None:
    node = Node("[2].data", {"from": {"rawId": 7}})
    with pytest.raises(InputError, match=r"^\[2\]\.data\.from\.rawId must be a string, got a number$"):
        node.child("from").text("rawId")
    with pytest.raises(InputError, match=r"^\[2\]\.data\.to is missing$"):
        node.child("to")


def test_fields_that_are_read_leniently_may_be_absent_null_or_odd() -> None:
    odd: tuple[dict[str, object], ...] = ({}, {"a": None}, {"a": True}, {"a": []})
    for values in odd:
        node = Node("", values)
        assert node.plain_text("a") == node.identifier("a") == ""
        assert node.number("a") == 0
        assert node.part("a").values == {}
    assert Node("", {"a": 1.5}).plain_text("a") == "1.5"
    assert Node("", {"a": "four"}).plain_text("a", limit=3) == "fou"
    assert Node("", {"a": "x\ud800"}).plain_text("a") == "x?"
    assert Node("", {"a": "7"}).number("a") == 7


def test_the_limit_counts() -> None:
    node = Node("", {"a": "four"})
    assert node.text("a", limit=4) == "four"
    with pytest.raises(InputError, match="more than 3"):
        node.text("a", limit=3)


def test_one_object_is_one_event_without_an_index() -> None:
    assert decode_each(b'{"a": 1}', lambda node: node) == [Node("", {"a": 1})]
    assert decode_each(b"[{}, {}]", lambda node: node) == [Node("[0]", {}), Node("[1]", {})]


def test_an_event_that_is_too_deep_costs_no_other() -> None:
    def digest(node: Node) -> str:
        if node.values:
            raise RecursionError
        return node.digest()

    assert decode_each(b'[{"a": 1}, {}]', digest) == [BadEvent("[0] is nested too deeply"), Node("", {}).digest()]


def test_a_number_that_python_would_not_convert_is_one() -> None:
    [node] = decode_each(b'{"a": ' + b"9" * 5000 + b"}", lambda node: node)
    assert isinstance(node, Node)
    assert node.number("a") == 0
