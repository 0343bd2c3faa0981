"""The program's log: one JSON object a line, its facts as fields."""

from __future__ import annotations

import json
import logging

from lab.voice_live.voice_live_log import JsonLineFormatter


def test_a_line_is_json_with_its_facts() -> None:
    record = logging.makeLogRecord({"msg": "closed", "levelname": "INFO", "session": "sess_1", "facts": {"code": 1000}})
    line = json.loads(JsonLineFormatter().format(record))
    assert (line["message"], line["level"], line["session"], line["facts"]) == (
        "closed",
        "INFO",
        "sess_1",
        {"code": 1000},
    )
