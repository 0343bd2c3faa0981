from __future__ import annotations

import json

import pytest

from lab.acs.acs_log import configure, log, logger


def test_a_line_is_one_json_object_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    before = (logger.handlers[:], logger.level, logger.propagate)
    try:
        configure("info")
        log("call state", call="abc", after="ended")
        logger.debug("not shown")
    finally:
        logger.handlers[:], logger.propagate = before[0], before[2]
        logger.setLevel(before[1])
    line = capsys.readouterr().err
    assert json.loads(line) == {"event": "call state", "call": "abc", "after": "ended"}


def test_an_unknown_level_is_refused_and_changes_nothing() -> None:
    before = (logger.handlers[:], logger.level)
    with pytest.raises(ValueError, match="LOUD"):
        configure("loud")
    assert (logger.handlers, logger.level) == before
