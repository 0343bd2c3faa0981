"""One JSON line to stderr for each state change, never for a frame."""

from __future__ import annotations

import json
import logging
import sys

log = logging.getLogger("lab.voice_live")

_OWN = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime"}


class JsonLineFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        facts = {key: value for key, value in record.__dict__.items() if key not in _OWN}
        line = {"at": self.formatTime(record), "level": record.levelname, "message": record.getMessage(), **facts}
        return json.dumps(line, default=str)


def configure_log() -> None:
    """For programs; a library or a test leaves logging to its own caller."""
    output = logging.StreamHandler(sys.stderr)
    output.setFormatter(JsonLineFormatter())
    log.addHandler(output)
    log.setLevel(logging.INFO)
