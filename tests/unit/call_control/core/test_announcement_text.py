from __future__ import annotations

import json

import pytest

from bridge_common.base.errors import InputError, PayloadTooLargeError
from call_control.core.announcement_text import (
    LONGEST_LINE,
    AnnouncementBody,
    JsonLinesText,
    PlainText,
    decode_announcement,
)


def test_text_may_be_cut_in_the_middle_of_a_character() -> None:
    decoder, body = PlainText(), "Grüße 😀\n".encode()
    pieces = [decoder.feed(body[at : at + 1]) for at in range(len(body))]
    assert "".join(pieces) + decoder.feed(b"", last=True) == "Grüße 😀\n"


@pytest.mark.parametrize("body", [b"\xff", b"half \xc3"])
def test_bytes_that_are_no_text(body: bytes) -> None:
    with pytest.raises(InputError, match="UTF-8"):
        PlainText().feed(body, last=True)


def test_what_nobody_can_say_becomes_a_space() -> None:
    assert PlainText().feed(b"a\x00b\x1bc\td\n") == "a b c\td\n"


def test_lines_of_json_in_any_pieces() -> None:
    body = b'{"text": "Good "}\n\n{"text":"morning.\\n"}\r\n{"text": "Bye."}'
    for size in (1, 7, 1000):
        decoder = JsonLinesText()
        text = "".join(decoder.feed(body[at : at + size]) for at in range(0, len(body), size))
        assert text + decoder.feed(b"", last=True) == "Good morning.\nBye."


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        (b"x", "line 2 is not valid JSON"),
        (b"[1]", "line 2 is not valid: Expected `object`, got `array`"),
        (b'{"text": ""}', "line 2 is not valid: `text` is empty"),
        (b'{"text": 5}', "line 2 is not valid: Expected `str`, got `int`"),
        (b'{"text": "\\ud800"}', "line 2 is not valid JSON"),
        (b'{"text": "a", "interrupt": true}', "line 2 is not valid: Object contains unknown field `interrupt`"),
    ],
)
def test_a_bad_line_is_named(line: bytes, complaint: str) -> None:
    decoder = JsonLinesText()
    with pytest.raises(InputError, match=complaint):
        decoder.feed(b'{"text": "a"}\n' + line + b"\n")


def test_a_line_has_a_limit() -> None:
    with pytest.raises(PayloadTooLargeError):
        JsonLinesText().feed(b"x" * (LONGEST_LINE + 1))


def test_fields_of_a_whole_body() -> None:
    assert decode_announcement(b'{"text": "Hello."}') == AnnouncementBody("Hello.", False)
    assert decode_announcement(json.dumps({"text": "Hello.", "interrupt": True}).encode()) == AnnouncementBody(
        "Hello.", True
    )
    for bad in (
        b'{"text": "a", "interrupt": 1}',
        b'{"text": "\\ud83d"}',
        b'{"txt": "a"}',
        b"{}",
        b"",
        b"\xff",
        b"[" * 100_000,
    ):
        with pytest.raises(InputError):
            decode_announcement(bad)
