"""Headers that the caller controls: limited in length, readable, without control characters."""

from __future__ import annotations

import json
from typing import Any

import pytest

from call_control.core.events.custom_context import (
    MAX_CONTEXT_BYTES,
    MAX_HEADERS,
    MAX_NAME_LENGTH,
    MAX_VALUE_LENGTH,
    clean,
    decode_context,
    shown_context,
)
from call_control.core.events.json_fields import Node


def kept(context: object) -> dict[str, Any]:
    text = decode_context(Node("data", {"customContext": context}))
    found: dict[str, Any] = json.loads(text) if text else {}
    return found


def test_both_kinds_of_headers_are_kept() -> None:
    context = {"sipHeaders": {"User-To-User": "abc"}, "voipHeaders": {"k": "v"}}
    assert kept(context) == {"sip_headers": {"User-To-User": "abc"}, "voip_headers": {"k": "v"}}


@pytest.mark.parametrize(
    "context", [None, "text", 7, [], {}, {"sipHeaders": None}, {"sipHeaders": [1], "voipHeaders": "x"}]
)
def test_what_holds_no_headers_is_nothing(context: object) -> None:
    assert kept(context) == {}
    assert shown_context("") == {"sip_headers": {}, "voip_headers": {}}


def test_values_are_text_or_empty() -> None:
    assert kept({"voipHeaders": {"a": 1, "b": True, "c": None, "d": {}}}) == {
        "voip_headers": {"a": "1", "b": "", "c": "", "d": ""}
    }


def test_the_size_is_bounded_in_every_direction() -> None:
    long = kept({"sipHeaders": {"n" * 500: "v" * 5000}})
    assert [(len(name), len(value)) for name, value in long["sip_headers"].items()] == [
        (MAX_NAME_LENGTH, MAX_VALUE_LENGTH)
    ]
    many = kept({"sipHeaders": {f"X-{number}": "v" for number in range(1000)}})
    assert len(many["sip_headers"]) == MAX_HEADERS
    huge = {f"X-{number}": "é" * MAX_VALUE_LENGTH for number in range(30)}
    text = decode_context(Node("data", {"customContext": {"sipHeaders": huge, "voipHeaders": huge}}))
    assert len(text.encode()) < MAX_CONTEXT_BYTES + 1024
    assert len(json.loads(text)["sip_headers"]) == 3, "two bytes a character"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Ada Lovelace", "Ada Lovelace"),
        ("Zoë 山田", "Zoë 山田"),
        ("a\r\nb\x00c\x1b[31md\x7f\x85", "abc[31md"),
        ("\u202etxt.exe\u2069\u2028", "txt.exe"),
        ("  spaces  ", "spaces"),
        ("\ud800", ""),
        ("x" * 20, "x" * 10),
    ],
)
def test_control_characters_are_removed(text: str, shown: str) -> None:
    assert clean(text, 12 if "L" in text else 10) == shown
