"""Rereads AGENT_PROFILES_FILE while the relay runs. A file with mistakes changes nothing."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Final

from agent_relay import metrics
from agent_relay.agents import Agents
from agent_relay.profiles import Check, decode_profiles, read_profiles
from bridge_common.base.errors import InputError
from bridge_common.base.log import fields

log = logging.getLogger(__name__)

EVERY_S: Final = 2.0


class ProfileReloader:
    """Compares the content, because the modification times of mounted configuration are not reliable."""

    def __init__(self, path: Path, check: Check, agents: Agents, *, every_s: float = EVERY_S) -> None:
        self._path = path
        self._check = check
        self._agents = agents
        self._every_s = every_s
        self._text: bytes | None = None
        self._fault_of_text = ""
        self._fault = ""

    async def run(self) -> None:
        while True:
            await self.look()
            await asyncio.sleep(self._every_s)

    async def look(self) -> None:
        """Read the file, and adopt its profiles if they are new and valid."""
        try:
            text = await asyncio.to_thread(read_profiles, self._path)
        except InputError as error:
            self._note(error.message)
            return
        if text != self._text:
            self._text = text
            self._fault_of_text = await self._adopt(text)
        self._note(self._fault_of_text)

    async def _adopt(self, text: bytes) -> str:
        """Returns the mistakes of the file."""
        try:
            profiles = await asyncio.to_thread(decode_profiles, self._path, text, self._check)
            changed = self._agents.adopt(profiles)
        except InputError as error:
            return error.message
        except Exception:
            log.exception("reloading the agent profiles failed")
            return f"{self._path} could not be loaded"
        if changed:
            log.info("agent profiles reloaded", extra=fields(changed=sorted(changed), profiles=len(profiles)))
        return ""

    def _note(self, fault: str) -> None:
        if fault and fault != self._fault:
            log.error("agent profiles not reloaded; keeping the current ones", extra=fields(reason=fault))
        self._fault = fault
        metrics.PROFILES_RELOADED.set(0 if fault else 1)
