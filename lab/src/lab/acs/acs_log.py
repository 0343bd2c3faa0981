"""One JSON line to stderr for each state change; never for a frame."""

from __future__ import annotations

import json
import logging
import sys

logger = logging.getLogger("lab.acs")


def log(event: str, **fields: object) -> None:
    logger.info("%s", json.dumps({"event": event, **fields}, default=str))


def configure(level: str) -> None:
    """Send this program's log to stderr; raises `ValueError` for an unknown level."""
    logger.setLevel(level.upper())
    output = logging.StreamHandler(sys.stderr)
    output.setFormatter(logging.Formatter("%(message)s"))
    logger.handlers[:] = [output]
    logger.propagate = False
