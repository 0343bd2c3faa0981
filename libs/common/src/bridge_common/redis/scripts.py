"""The Lua scripts that Redis runs: one file each (`*.lua`), beside the store that uses it.

All times are Redis's own, so no client's clock matters.

A script whose reply was lost is sent again. If the second run would return something else ("it exists already",
"another writer was first") it gets a token of the attempt, stores it, and returns the same for the same token.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from importlib.resources import files
from typing import Any, Final

from redis.asyncio import Redis

_INCLUDE: Final = re.compile(r"^-- include: (\w+)\n", re.MULTILINE)


@cache
def load_script(package: str, name: str) -> str:
    """Return the text of `name`.lua in the package.

    A line `-- include: other` is replaced by other.lua of the same package or, if it has none, of this module's
    package.
    """
    script = files(package).joinpath(f"{name}.lua")
    if not script.is_file():
        script = files("bridge_common.redis").joinpath(f"{name}.lua")
    return _INCLUDE.sub(lambda line: load_script(package, line[1]), script.read_text(encoding="utf-8"))


def script_folder(redis: Redis, package: str) -> Callable[[str], Any]:
    """Return a function that registers a script of the package by name. The registered script is called with `keys` and
    `args`, and raises the errors of redis-py.
    """

    def script(name: str) -> Any:
        return redis.register_script(load_script(package, name))

    return script
