"""The Lua scripts that Redis runs: one file each (`*.lua`), beside the store that uses it.

All times are Redis's own, so no client's clock matters.

A script whose answer was lost on the way is sent again. Where the second run would answer differently ("it exists
already", "somebody was faster") it gets a token of the attempt, stores it, and gives the same answer to the same token.
"""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files
from typing import Final

_INCLUDE: Final = re.compile(r"^-- include: (\w+)\n", re.MULTILINE)


@cache
def load_script(package: str, name: str) -> str:
    """The text of `name`.lua in the package.

    A line `-- include: other` stands for the functions in other.lua, of the same package or else of this module's.
    """
    script = files(package).joinpath(f"{name}.lua")
    if not script.is_file():
        script = files("bridge_common.redis").joinpath(f"{name}.lua")
    return _INCLUDE.sub(lambda line: load_script(package, line[1]), script.read_text(encoding="utf-8"))
