"""The Lua scripts of all packages, as they are sent to Redis."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from bridge_common.redis.scripts import load_script

ROOT: Final = Path(__file__).resolve().parents[2]
SHARED: Final = ("now", "lease_owners_first", "place_add")
"""Library of functions that scripts include."""


def package_of(path: Path) -> str:
    parts = path.relative_to(ROOT).parts
    return ".".join(parts[parts.index("src") + 1 : -1])


FILES: Final = [path for folder in ("libs", "services") for path in sorted((ROOT / folder).glob("*/src/**/*.lua"))]
SCRIPTS: Final = {path.stem: load_script(package_of(path), path.stem) for path in FILES if path.stem not in SHARED}
