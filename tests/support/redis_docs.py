"""Reads the commands in docs/redis.md and runs them unchanged."""

from __future__ import annotations

import re
from pathlib import Path

from lab.redis_line import RedisRefusedError, ask

PAGE = Path(__file__).parents[2] / "docs" / "redis.md"


def command_below(heading: str) -> list[str]:
    """Return the words of the command in the first code block below a heading."""
    _, found, rest = PAGE.read_text(encoding="utf-8").partition(f"\n### {heading}\n")
    assert found, f"docs/redis.md has no heading {heading}"
    block = re.search(r"```\n(.*?)```", rest, re.DOTALL)
    assert block is not None
    return block[1].split()


def make_user(port: int, *headings: str, password: str) -> str:
    """Run the commands below these headings on one server. Return the name of the user."""
    name = ""
    for heading in headings:
        words = [word.replace("PASSWORD", password) for word in command_below(heading)]
        name = words[2]
        try:
            ask(port, *words)
        except RedisRefusedError:
            # Redis 7.0 does not have this command, as the page documents.
            ask(port, *(word for word in words if word != "+client|setinfo"))
    return name
