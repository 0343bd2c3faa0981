"""JSON objects of untrusted senders."""

from __future__ import annotations

import pytest

from bridge_common.base.errors import InputError
from bridge_common.wire.json_object import decode_object


def test_a_valid_object() -> None:
    assert decode_object(b'{"text": "\\ud83d\\ude00 \xc3\xa9"}', "the body") == {"text": "\U0001f600 é"}


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (b"", "the body is not valid JSON"),
        (b"\xff", "the body is not valid JSON"),
        (b"[" * 20_000, "the body is not valid JSON"),
        (b'{"a": ' + b"1" * 10_000 + b"}", "the body is not valid JSON"),
        (b'{"a": NaN}', "the body is not valid JSON"),
        (b"[]", "the body is not a JSON object"),
        (b'{"a": "\\ud83d"}', "the body contains a lone surrogate; send the complete character"),
        (b'{"\\ude00": 1}', "the body contains a lone surrogate; send the complete character"),
        (b'{"a": [{"b": "\\ud83d"}]}', "the body contains a lone surrogate; send the complete character"),
    ],
)
def test_invalid_objects(text: bytes, fault: str) -> None:
    with pytest.raises(InputError, match=f"^{fault}$"):
        decode_object(text, "the body")
