"""How long the simulators keep an idle HTTP connection open."""

from __future__ import annotations

from typing import Final

KEEP_ALIVE_S: Final = 65
"""Longer than clients keep idle connections (httpx 5 s, aiohttp 15 s, Node.js 5 s). A server that closes first races
with the next request, and the client reports a read error. uvicorn's default of 5 s is that race.
"""
