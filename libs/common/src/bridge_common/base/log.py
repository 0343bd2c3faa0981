"""JSON log lines on stderr: a static message, values in fields. Log phone numbers only through `phone` and spoken text
only through `words`: the settings control how much of them is shown.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import re
import secrets
import sys
import time
from dataclasses import dataclass, field
from typing import Final, Literal

_EXTRA: Final = "bridge_fields"
LogFormat = Literal["json", "text"]
_CONTROL: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""Characters that a terminal or log collector could interpret as a line end, or that change the displayed text."""
_BARE: Final = re.compile(r'[^\s"=\\]*')
"""Matches a value that needs no quotes."""


def fields(**values: object) -> dict[str, object]:
    """Return `extra=` for the fields of one log line: `log.info("call answered", extra=fields(call_id=call_id))`."""
    return {_EXTRA: values}


def fields_of(record: logging.LogRecord) -> dict[str, object]:
    """Return the fields of a log line."""
    found: dict[str, object] = getattr(record, _EXTRA, {})
    return found


@dataclass(slots=True)
class Privacy:
    """Which personal data the log of this process may contain. Set once at startup."""

    phone_key: bytes = field(default_factory=lambda: secrets.token_bytes(32))
    """Key of the hashes of phone numbers. Random by default: the hash of a number then differs between processes and
    after each restart.
    """
    shows_words: bool = False


privacy: Final = Privacy()


def phone(raw_id: str) -> str:
    """Return a participant for the log: a short keyed hash and the last two digits.

    Without a key, anyone could hash all phone numbers within a minute and compare.
    """
    if not raw_id:
        return ""
    digest = hmac.new(privacy.phone_key, raw_id.encode(errors="replace"), hashlib.sha256).hexdigest()
    return f"{digest[:8]}…{raw_id[-2:]}"


def words(text: str, *, shown: bool = True) -> str:
    """Return spoken text if the settings and the call (`shown`) allow it in the log, otherwise only its length."""
    return text if privacy.shows_words and shown else f"({len(text)} characters)"


class JsonFormatter(logging.Formatter):
    def __init__(self, service: str) -> None:
        super().__init__()
        self._service = service

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            **fields_of(record),
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03d}Z",
            "level": record.levelname,
            "service": self._service,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


class TextFormatter(logging.Formatter):
    """One line per record, with control characters in fields escaped; traceback lines start with `  | `."""

    def format(self, record: logging.LogRecord) -> str:
        values = " ".join(f"{name}={_value(value)}" for name, value in fields_of(record).items())
        line = f"{self.formatTime(record)} {record.levelname:7} {_visible(record.getMessage())} {values}".rstrip()
        if not record.exc_info:
            return line
        trace = self.formatException(record.exc_info).split("\n")
        return "\n".join([line, *(f"  | {_visible(part)}" for part in trace)])


def _value(value: object) -> str:
    """Format a value, in quotes if it could be read as more than one field."""
    text = str(value)
    if _BARE.fullmatch(text):
        return _visible(text)
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{_visible(escaped)}"'


def _visible(text: str) -> str:
    return _CONTROL.sub(lambda found: found.group().encode("unicode_escape").decode(), text)


def setup_logging(
    service: str, level: str = "INFO", form: LogFormat = "json", *, phone_key: str = "", shows_words: bool = False
) -> None:
    """Send all loggers of the process to stderr. The loggers of libraries log at WARNING and above; with `level` DEBUG,
    at every level.

    Libraries that would log media tokens (in paths) or API keys (in headers) stay at WARNING even at DEBUG.
    """
    if phone_key:
        privacy.phone_key = phone_key.encode()
    privacy.shows_words = shows_words
    out = logging.StreamHandler(sys.stderr)
    out.setFormatter(JsonFormatter(service) if form == "json" else TextFormatter())
    root = logging.getLogger()
    root.handlers[:] = [out]
    root.setLevel(level)
    quiet = (
        *("uvicorn", "uvicorn.access", "uvicorn.error", "websockets", "websockets.client", "websockets.server"),
        *("msal", "redis"),
    )
    noisy = ("azure", "aiohttp", "httpx")
    for name in quiet if level == "DEBUG" else (*quiet, *noisy):
        logging.getLogger(name).setLevel(logging.WARNING)
