"""Statistics of a Redis server for tests."""

from __future__ import annotations

import re

from lab.redis_line import ask


def unknown_scripts(port: int) -> int:
    """Return the number of EVALSHA commands with an unknown script since CONFIG RESETSTAT."""
    found = re.search(r"errorstat_NOSCRIPT:count=(\d+)", str(ask(port, "INFO", "errorstats")))
    return int(found[1]) if found else 0


def command_calls(port: int, name: str) -> int:
    """Return how often the server has executed a command, also within scripts."""
    found = re.search(rf"cmdstat_{name}:calls=(\d+)", str(ask(port, "INFO", "commandstats")))
    return int(found[1]) if found else 0


def forget_scripts(port: int) -> None:
    """Remove all scripts, as a restart does, and reset the statistics."""
    ask(port, "SCRIPT", "FLUSH")
    ask(port, "CONFIG", "RESETSTAT")
