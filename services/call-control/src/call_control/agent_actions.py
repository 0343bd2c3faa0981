"""Actions that Foundry agents request with tools: finds the call by its reference, and writes to its inbox."""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Mapping
from typing import Final

from bridge_common.base.log import fields
from bridge_common.store.call_references import CallReferences
from bridge_common.store.call_store import CallStore
from bridge_common.store.inbox import Inbox
from call_control.core import agent_requests as requests
from call_control.core.agent_requests import Answer
from call_control.core.token_bucket import TokenBuckets
from call_control.routing.route_choice import RoutingSource

log = logging.getLogger(__name__)

_WRONG_PER_MIN: Final = 3
"""Unknown references from one platform per minute that are logged; beyond them the answer asks the model not to guess.

References of calls are always accepted: all calls of a platform share its identity. Guesses need no other limit: a
reference has 50 random bits.
"""


class AgentActions:
    def __init__(self, store: CallStore, references: CallReferences, inbox: Inbox, routing: RoutingSource) -> None:
        self._store = store
        self._references = references
        self._inbox = inbox
        self._routing = routing
        self._wrong = TokenBuckets(_WRONG_PER_MIN, 60.0)

    async def act(self, platform: str, name: str, arguments: Mapping[str, object]) -> Answer:
        """Request the action for the call with the given reference. `platform`: the authenticated sender.

        Raises `OutsideError` if Redis is unavailable.
        """
        tool = requests.tool_named(name)
        if tool is None:
            return requests.unknown_tool(name)
        reference = requests.reference_of(arguments)
        if not reference:
            return requests.refused(requests.NO_REFERENCE)
        referred = await self._references.find(reference)
        record = await self._store.load(referred.call_id) if referred else None
        if referred is None or record is None:
            if not self._wrong.take(platform, time.monotonic()):
                return requests.refused(requests.MANY_UNKNOWN_REFERENCES)
            log.warning("tool call with an unknown call reference", extra=fields(platform=platform, tool=name))
            return requests.refused(requests.UNKNOWN_REFERENCE)
        if fault := requests.fault_in(tool, arguments):
            log.info("agent action rejected", extra=fields(call_id=record.call_id, tool=name, reason=fault))
            return requests.refused(fault)
        act = requests.request_of(tool, arguments, record, f"act_{secrets.token_hex(8)}")
        now_ms = round(time.time() * 1000)
        known = requests.known_answer(tool, act, record, now_ms)
        if known is not None:
            return known
        targets = (await self._routing.routing()).targets
        if reason := requests.refusal_of(tool, act, record, referred, now_ms, targets):
            log.info("agent action rejected", extra=fields(call_id=record.call_id, tool=name, reason=reason))
            return requests.refused(reason)
        await self._inbox.put(act)
        log.info("agent action requested", extra=fields(call_id=record.call_id, tool=name, action_id=act.action_id))
        return requests.accepted(tool)
