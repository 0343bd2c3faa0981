"""Writes the dashboards as JSON for Grafana: `python -m observability.write_dashboards`."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.cog.encoder import JSONEncoder

from observability.boards import BOARDS

FOLDER: Final = Path(__file__).parent / "dashboards"


def files() -> Mapping[Path, str]:
    """Return the content of each file."""
    return {FOLDER / f"{name}.json": _json(make()) for name, make in BOARDS.items()}


def main() -> int:
    FOLDER.mkdir(exist_ok=True)
    for path, content in files().items():
        path.write_text(content, encoding="utf-8")
    return 0


def _json(board: dashboard.Dashboard) -> str:
    built = board.build()
    for number, panel in enumerate(built.panels or (), 1):
        panel.id_val = number  # the same in each run, so that links to a panel stay valid
    return JSONEncoder(sort_keys=True, indent=1).encode(built) + "\n"


if __name__ == "__main__":
    sys.exit(main())
