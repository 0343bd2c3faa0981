"""Keep-alive time of the simulators' HTTP connections."""

from __future__ import annotations

from typing import Final

KEEP_ALIVE_S: Final = 65
"""Longer than clients keep idle connections (httpx 5 s, aiohttp 15 s, Node.js 5 s). If the server closes
first, the close races with the next request, and the client reports a read error, as with uvicorn's default of 5 s.
"""
