"""A replica of call-control without its web server: the inbox worker with a real Redis."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from bridge_common.redis.clients import RedisClients
from bridge_common.store.announcement_store import AnnouncementStore
from bridge_common.store.call_store import CallStore
from bridge_common.store.fleet import Fleet
from bridge_common.store.inbox import Inbox
from bridge_common.store.leases import Leases
from bridge_common.wire.entries import IncomingCall
from bridge_common.wire.keys import Keys
from call_control.acs_client import AcsClient
from call_control.core.machine.transition import CallPolicy
from call_control.core.policy.routing import Routing
from call_control.effects import CallUrls, Effects
from call_control.inbox_worker import CommandRunner, InboxWorker
from call_control.routing.policy_keeper import PolicyKeeper
from call_control.routing.policy_store import PolicyStore
from call_control.routing.rule_places import RulePlaces
from call_control.steps import CallSteps
from tests.support.switchboard import PhoneCall

AT_ONCE = CallPolicy(answer_at_once=True)


class Replica:
    """A worker with its own entry in the fleet. A test can stop it without deregistration, as a crash does."""

    def __init__(
        self,
        name: str,
        clients: RedisClients,
        acs: AcsClient,
        policy: CallPolicy = AT_ONCE,
        routing: Routing | None = None,
    ) -> None:
        keys = Keys(1)
        self.name = name
        self.inbox = Inbox(clients.control, clients.blocking, keys, name)
        self.store = CallStore(clients.control, keys)
        self.leases = Leases(clients.control, keys, name)
        self.fleet = Fleet(clients.control, name, "call-control")
        urls = CallUrls("http://control.test", "ws://media.test", ("media-token-key-of-the-tests",), 60)
        self.places = RulePlaces(clients.control, self.store)
        announcements = AnnouncementStore(clients.control, keys)
        self.effects = Effects(acs, self.leases, self.store, self.fleet, urls, announcements, self.places)
        self.policy = policy
        self.routing = PolicyKeeper(PolicyStore(clients.control, clients.blocking), routing or Routing())

    @asynccontextmanager
    async def working(self, effects: CommandRunner | None = None) -> AsyncIterator[InboxWorker]:
        await self.inbox.ensure_group()
        worker = InboxWorker(
            self.inbox,
            CallSteps(self.store, self.policy, self.routing, places=self.places),
            self.fleet,
            effects or self.effects,
            name=self.name,
            follow_routing=self.routing.follow,
        )
        running = asyncio.create_task(worker.run())
        try:
            yield worker
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    async def idle(self) -> bool:
        """Whether every inbox entry was read and acknowledged."""
        return await self.inbox.depth() == 0


def arrival(call: PhoneCall) -> IncomingCall:
    now_ms = round(time.time() * 1000)
    return IncomingCall(call.call_id, "e", call.caller, call.callee, call.context, call.correlation_id, "", now_ms)
