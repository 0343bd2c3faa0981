"""Command line and log of `lab acs`, `lab voice-live` and `lab identity`."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator

import pytest

from lab.cli import main
from lab.simulator import JsonLineFormatter, configure_log, log


@pytest.fixture
def lab_logger() -> Iterator[logging.Logger]:
    before = (log.handlers[:], log.level, log.propagate)
    yield log
    log.handlers[:], log.propagate = before[0], before[2]
    log.setLevel(before[1])


def test_a_line_is_one_json_object_on_stderr(lab_logger: logging.Logger, capsys: pytest.CaptureFixture[str]) -> None:
    configure_log("INFO")
    logging.getLogger("lab.acs.calls").info("call state changed", extra={"call": "abc", "after": "ended"})
    lab_logger.debug("not shown")
    line = json.loads(capsys.readouterr().err)
    assert (line["message"], line["level"], line["call"], line["after"]) == (
        "call state changed",
        "INFO",
        "abc",
        "ended",
    )


def test_an_unknown_level_is_refused_and_changes_nothing(lab_logger: logging.Logger) -> None:
    before = (lab_logger.handlers[:], lab_logger.level)
    with pytest.raises(ValueError, match="LOUD"):
        configure_log("LOUD")
    assert (lab_logger.handlers, lab_logger.level) == before


def test_a_line_has_its_exception() -> None:
    try:
        raise ValueError("no such step")
    except ValueError as error:
        record = logging.makeLogRecord({"msg": "call failed", "exc_info": (ValueError, error, error.__traceback__)})
    assert "no such step" in json.loads(JsonLineFormatter().format(record))["exception"]


@pytest.mark.parametrize(
    ("simulator", "setting"),
    [("acs", "WEBHOOK_URL=http"), ("voice-live", "REPLY_DELAY_S=0.25"), ("identity", "TOKEN_LIFETIME_S=86400")],
)
def test_the_help_of_a_simulator_lists_its_settings(
    simulator: str, setting: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main([simulator, "--help"])
    assert ended.value.code == 0
    printed = capsys.readouterr().out
    assert printed.startswith(f"usage: lab {simulator} ")
    assert setting in printed


@pytest.mark.parametrize("command", [["identity", "--tsl"], ["down", "--tls"]])
def test_unknown_options_are_refused(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(command)
    assert ended.value.code == 2
    assert f"unrecognized arguments: {command[1]}" in capsys.readouterr().err
