from __future__ import annotations

import pytest

from bridge_common.errors import InputError
from call_control.core.json_fields import Node, events_of


def test_paths_name_the_field() -> None:
    node = Node("[2].data", {"from": {"rawId": 7}})
    with pytest.raises(InputError, match=r"^\[2\]\.data\.from\.rawId: a text is needed, this is a number$"):
        node.child("from").text("rawId")
    with pytest.raises(InputError, match=r"^code: a whole number is needed, this is true or false$"):
        Node("", {"code": True}).optional_number("code")


def test_optional_fields_may_be_absent_null_or_empty() -> None:
    for values in ({}, {"a": None}):
        node = Node("", values)
        assert node.optional_text("a") == ""
        assert node.optional_number("a") == 0
        assert node.optional_child("a").values == {}
    assert Node("", {"a": ""}).optional_text("a") == ""


def test_the_limit_counts() -> None:
    node = Node("", {"a": "four"})
    assert node.text("a", limit=4) == "four"
    with pytest.raises(InputError, match="longer than 3"):
        node.text("a", limit=3)


def test_one_object_is_one_event_without_an_index() -> None:
    assert events_of(b'{"a": 1}') == [Node("", {"a": 1})]
    assert [node.path for node in events_of(b"[{}, {}]")] == ["[0]", "[1]"]
