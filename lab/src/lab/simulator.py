"""Code that all simulators share: command line, log and HTTP server."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import logging
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Final, TypeVar

import uvicorn
from starlette.applications import Starlette

from lab.environment import SimulatorSettings, settings_help
from lab.tls import Tls, add_tls_options, tls_from

KEEP_ALIVE_S: Final = 65
"""Keep-alive timeout, longer than clients keep idle connections (httpx 5 s, aiohttp 15 s, Node.js 5 s). If the server
closed first, as with uvicorn's default of 5 s, a request could arrive at the same time, and its client would report a
read error.
"""
STOP_S: Final = 2
"""Time until requests that are still running at the stop are canceled."""
S = TypeVar("S", bound=SimulatorSettings)
log = logging.getLogger("lab")
_RECORD_FIELDS = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime"}


def run_simulator(
    command: str,
    about: str,
    settings_type: type[S],
    server_config: Callable[[S, Tls | None], uvicorn.Config],
    argv: Sequence[str],
) -> int:
    """Run a simulator until SIGINT or SIGTERM. Return exit code 2 if a setting is invalid. `command`: as in `lab
    COMMAND`.
    """
    strict = "lab_strict" in settings_type.__dataclass_fields__
    parser = argparse.ArgumentParser(
        prog=f"lab {command}",
        description=about,
        epilog=settings_help(settings_type),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_tls_options(parser)
    if strict:
        parser.add_argument("--strict", action="store_true", help="same as LAB_STRICT=1")
    options = parser.parse_args(argv)
    try:
        settings = settings_type.from_env()
        tls = tls_from(options)
    except (ValueError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    if strict and options.strict:
        changed: dict[str, Any] = {"lab_strict": True}
        settings = replace(settings, **changed)
    configure_log(settings.log_level)
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(uvicorn.Server(server_config(settings, tls)).serve())
    return 0


def http_server(app: Starlette, host: str, port: int, tls: Tls | None, **more: Any) -> uvicorn.Config:
    """`more`: settings of uvicorn that only this simulator needs."""
    return uvicorn.Config(
        app,
        host=host,
        port=port,
        log_level="warning",
        access_log=False,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=STOP_S,
        ssl_context_factory=tls.context_factory if tls else None,
        **more,
    )


class JsonLineFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        facts = {key: value for key, value in record.__dict__.items() if key not in _RECORD_FIELDS}
        line = {"at": self.formatTime(record), "level": record.levelname, "message": record.getMessage(), **facts}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


def configure_log(level: str) -> None:
    """Set up the log: one JSON line on stderr for each state change, none for a frame. Raises `ValueError` for an
    unknown level.
    """
    log.setLevel(level)
    output = logging.StreamHandler(sys.stderr)
    output.setFormatter(JsonLineFormatter())
    log.handlers[:] = [output]
    log.propagate = False
