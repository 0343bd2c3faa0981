"""The four dashboards; `python -m observability.write_dashboards` writes them as JSON."""

from __future__ import annotations

from typing import Final

from observability.boards.call import call
from observability.boards.fleet import fleet
from observability.boards.floor import floor
from observability.boards.voice_quota import voice_quota

BOARDS: Final = {"floor": floor, "call": call, "fleet": fleet, "voice-quota": voice_quota}
