"""Log lines: JSON with fields, no phone numbers, no secrets of libraries."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge_common.base import log as log_module
from bridge_common.base.log import LogFormat, fields, phone, setup_logging, words

LIBRARIES = (
    "azure",
    "aiohttp",
    "httpx",
    "msal",
    "redis",
    "uvicorn",
    "uvicorn.access",
    "uvicorn.error",
    "websockets",
    "websockets.client",
    "websockets.server",
)


@pytest.fixture(autouse=True)
def logging_as_before(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(log_module, "privacy", log_module.Privacy())
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    levels = {name: logging.getLogger(name).level for name in LIBRARIES}
    for name in LIBRARIES:
        monkeypatch.setattr(logging.getLogger(name), "propagate", True)  # uvicorn may have changed it
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    for name, was in levels.items():
        logging.getLogger(name).setLevel(was)


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    captured = capsys.readouterr()
    assert captured.out == ""
    return [json.loads(line) for line in captured.err.splitlines()]


def test_a_line_is_json_with_its_fields(capsys: pytest.CaptureFixture[str]) -> None:
    setup_logging("call-control")
    logging.getLogger("call_control.inbox_worker").info("call answered", extra=fields(call_id="call_1", took_ms=12))
    [line] = lines(capsys)
    assert line.pop("time").endswith("Z")
    assert line == {
        "level": "INFO",
        "service": "call-control",
        "logger": "call_control.inbox_worker",
        "message": "call answered",
        "call_id": "call_1",
        "took_ms": 12,
    }


def test_a_field_does_not_hide_what_every_line_has(capsys: pytest.CaptureFixture[str]) -> None:
    setup_logging("call-control")
    logging.getLogger("x").warning("true", extra=fields(message="false", level="NONE", time="never", reason="why"))
    [line] = lines(capsys)
    assert (line["message"], line["level"], line["reason"]) == ("true", "WARNING", "why")
    assert line["time"] != "never"


def test_whatever_a_field_holds_the_line_stays_one_line_of_json(capsys: pytest.CaptureFixture[str]) -> None:
    setup_logging("call-control")
    strange = {"text": "two\nlines", "half": "\ud83d", "bytes": b"\xff", "object": object, "nested": {"a": {1}}}
    logging.getLogger("x").info("line\nbreak", extra=fields(**strange))
    [line] = lines(capsys)
    assert (line["message"], line["text"]) == ("line\nbreak", "two\nlines")


def test_an_exception_is_in_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    setup_logging("call-control")
    try:
        raise RuntimeError("somebody's fault")
    except RuntimeError:
        logging.getLogger("x").exception("failed")
    [line] = lines(capsys)
    assert "RuntimeError: somebody's fault" in line["exception"]


def test_text_for_people_has_the_same_fields(capsys: pytest.CaptureFixture[str]) -> None:
    setup_logging("call-control", form="text")
    logging.getLogger("x").info("call answered", extra=fields(call_id="call_1"))
    logging.getLogger("x").info("bare")
    first, second = capsys.readouterr().err.splitlines()
    assert first.endswith("INFO    call answered call_id=call_1")
    assert second.endswith("INFO    bare")


def test_text_values_that_are_more_than_a_word_are_in_quotes(capsys: pytest.CaptureFixture[str]) -> None:
    setup_logging("call-control", form="text")
    logging.getLogger("x").info("m", extra=fields(a="two words", b="", c='a="b"', d="C:\\x", e=[1, 2], f="ü…"))
    [line] = capsys.readouterr().err.splitlines()
    assert line.endswith(r'm a="two words" b= c="a=\"b\"" d="C:\\x" e="[1, 2]" f=ü…')


@pytest.mark.parametrize("form", ["text", "json"])
@pytest.mark.parametrize(
    "text",
    [
        "x\n2026-11-30 02:00:00,000 INFO    call ended call_id=call_1",
        "x\r\nforged",
        *(f"x{character}forged" for character in "\x00\x0b\x0c\x1b\x1c\x7f\x85\x9b\u2028\u2029\u202e\u2066"),
    ],
)
def test_nobody_can_forge_a_line_or_a_field(text: str, form: LogFormat, capsys: pytest.CaptureFixture[str]) -> None:
    """Regression: a line break in a value resulted in two lines in the text format."""
    setup_logging("call-control", form=form)
    logging.getLogger("x").warning("%s", text, extra=fields(reason=text, other=f"a call_id={text}"))
    try:
        raise RuntimeError(text)
    except RuntimeError:
        logging.getLogger("x").exception("failed")
    lines = capsys.readouterr().err.splitlines()
    assert all(line.isprintable() for line in lines)
    if form == "text":
        assert all(line.startswith("  | ") for line in lines[2:]), "the traceback"
        assert " call_id=" not in lines[0].replace('"a call_id=', "").replace(text.split("\n")[-1], "")
    else:
        assert len(lines) == 2


@given(st.text(), st.text())
def test_a_record_is_one_line_whatever_it_holds(message: str, value: str) -> None:
    record = logging.LogRecord("x", logging.INFO, "f", 1, message.replace("%", ""), None, None)
    record.__dict__.update(fields(reason=value, last="z"))
    line = log_module.TextFormatter().format(record)
    assert len(f"{line}\n".splitlines()) == 1
    assert line.endswith(" last=z")


def test_the_level_holds(capsys: pytest.CaptureFixture[str]) -> None:
    setup_logging("call-control", "WARNING")
    logging.getLogger("x").info("quiet")
    logging.getLogger("x").warning("loud")
    assert [line["message"] for line in lines(capsys)] == ["loud"]


def test_setting_up_twice_doubles_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    setup_logging("call-control")
    setup_logging("call-control")
    logging.getLogger("x").info("once")
    assert len(lines(capsys)) == 1


@pytest.mark.parametrize("name", LIBRARIES)
def test_libraries_are_quiet(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    setup_logging("call-control")
    logging.getLogger(name).info("chatter")
    logging.getLogger(name).warning("trouble")
    assert [line["message"] for line in lines(capsys)] == ["trouble"]


@pytest.mark.parametrize("name", ["uvicorn.error", "uvicorn.access", "websockets.client", "websockets.server"])
def test_no_level_lets_tokens_and_keys_into_the_log(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """uvicorn prints paths (with media tokens) and websockets headers (with API keys)."""
    setup_logging("call-control", "DEBUG")
    logging.getLogger(name).info('"WebSocket /ws/call_1/token" [accepted]')
    logging.getLogger(name).debug("> api-key: secret")
    logging.getLogger("azure").debug("heard")
    assert [line["message"] for line in lines(capsys)] == ["heard"]


def test_a_phone_number_is_hidden_but_recognizable() -> None:
    shown = phone("4:+14255550100")
    assert shown == phone("4:+14255550100")
    assert shown != phone("4:+14255550200")
    assert shown.endswith("…00")
    assert phone("") == ""


@given(st.from_regex(r"4:\+[1-9][0-9]{6,14}", fullmatch=True))
def test_no_more_than_two_digits_of_a_number_are_shown(raw_id: str) -> None:
    shown = phone(raw_id)
    assert len(shown) == 11
    assert raw_id[2:] not in shown
    assert raw_id[-3:] not in shown.partition("…")[2]


def test_with_a_key_every_process_has_the_same_hash_and_without_one_nobody_can_guess_it() -> None:
    setup_logging("call-control", phone_key="the same key everywhere")
    ours = phone("4:+14255550100")
    log_module.privacy.phone_key = b"random"
    setup_logging("media-gateway")
    assert phone("4:+14255550100") != ours, "no key, no common hash"
    setup_logging("media-gateway", phone_key="the same key everywhere")
    assert phone("4:+14255550100") == ours
    assert log_module.Privacy().phone_key != log_module.Privacy().phone_key


def test_what_was_said_is_shown_only_when_it_may_be() -> None:
    assert words("my card number is") == "(17 characters)"
    setup_logging("agent-relay", shows_words=True)
    assert words("my card number is") == "my card number is"
    setup_logging("agent-relay")
    assert words("") == "(0 characters)"
