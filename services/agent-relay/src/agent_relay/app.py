"""The agent-relay process: creates, starts and stops its components."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
from collections.abc import Sequence
from functools import partial
from typing import Final

import aiohttp
from starlette.routing import BaseRoute

from agent_relay.agents import AgentFactory, Agents
from agent_relay.call_context import CallContext
from agent_relay.fleet.relay_worker import KIND, RelayWorker
from agent_relay.profile_reloader import ProfileReloader
from agent_relay.profile_versions import ProfileVersions
from agent_relay.profiles import DEFAULT
from agent_relay.settings import RelaySettings
from agent_relay.tools.egress import tool_session
from agent_relay.tools.profile_tools import tools_of
from agent_relay.voice.connection_quota import ConnectionQuota
from agent_relay.voice.quota_watch import QuotaWatch
from bridge_common.auth.entra_tokens import Tokens
from bridge_common.base.errors import OutsideError
from bridge_common.base.ids import process_name
from bridge_common.base.log import fields
from bridge_common.base.retry import Backoff
from bridge_common.observability import media_metrics
from bridge_common.redis.clients import RedisClients, clients_of
from bridge_common.service.background_tasks import BackgroundTasks
from bridge_common.service.lifecycle import serve, set_up
from bridge_common.service.readiness import Readiness, ReadinessGate
from bridge_common.service.secret_reloader import LiveSecrets
from bridge_common.service.settings import load_settings
from bridge_common.store.announcement_store import AnnouncementStore
from bridge_common.store.call_references import CallReferences
from bridge_common.store.call_store import CallStore
from bridge_common.store.fleet import Fleet
from bridge_common.store.inbox import Inbox
from bridge_common.store.leases import Leases
from bridge_common.streams.cluster_writer import stream_writer
from bridge_common.streams.reader import StreamReader
from bridge_common.wire.keys import Keys

log = logging.getLogger(__name__)

_ANNOUNCEMENT_POLL_S: Final = 0.015
"""Interval at which the stream of an unfinished announcement is polled. Announcements are not published on a
channel.
"""
_RELEASE_MARGIN_S: Final = 3.0
"""Part of the drain timeout that is reserved for releasing calls that no other relay has claimed."""


class AgentRelay:
    def __init__(self, settings: RelaySettings) -> None:
        self.draining = False
        self.parts = BackgroundTasks()
        self._settings = settings
        self._name = process_name(KIND)
        self._gate = ReadinessGate(settings.unready_after_s)
        self._clients: RedisClients | None = None
        self._tokens: Tokens | None = None
        self._tool_http: aiohttp.ClientSession | None = None
        self._fleet: Fleet | None = None
        self._worker: RelayWorker | None = None
        self._quota: ConnectionQuota | None = None
        self._warming: asyncio.Task[None] | None = None

    def routes(self) -> Sequence[BaseRoute]:
        return []

    async def ready(self) -> Readiness:
        if self._fleet is None or self._tokens is None or self._worker is None:
            return Readiness("starting")
        refusals, missing = self._worker.refusals, self._tokens.missing
        at_start = "" if refusals.worked_once else "no calls have been claimed yet"
        if missing:
            # Later only a limit: an outage of Entra concerns all relays, whose calls continue.
            at_start = f"no token for {', '.join(missing)}"
        return self._gate.judge(
            blocked=self.parts.failure,
            faults=[self._fleet.fault, refusals.fault],
            at_start=at_start,
            degraded=self._limits(),
        )

    def _limits(self) -> str:
        """Return why the relay takes no further call at the moment."""
        if self._worker is not None and self._worker.active >= self._worker.capacity:
            return "at capacity"
        return "no Voice Live connection left" if self._quota is not None and self._quota.exhausted else ""

    async def start(self) -> None:
        settings = self._settings
        clients = self._clients = clients_of(settings)
        tokens = self._tokens = Tokens({})
        keys = Keys(settings.redis_shards, spread=settings.redis_cluster)
        self._fleet = Fleet(clients.control, self._name, KIND, keys)
        http = self._tool_http = tool_session(settings.tool_private_hosts)
        quota = self._quota = ConnectionQuota(clients.control, settings.voice_live_connections_per_min)
        secrets, of_profiles = LiveSecrets(settings), settings.environment
        make_agent = AgentFactory(
            targets=(settings.target, *settings.further_targets),
            tokens=tokens,
            scopes=settings.scopes,
            quota=quota,
            secrets=of_profiles,
            warm_sessions=settings.relay_warm_sessions,
            open_timeout_s=settings.voice_live_open_timeout_s,
            ping_interval_s=settings.voice_live_ping_interval_s,
            tools_of=partial(tools_of, http=http, secrets=of_profiles),
            api_key=partial(_api_key, secrets),
        )
        agents = Agents(make_agent, settings.profiles())
        context = CallContext(
            agents=agents,
            versions=ProfileVersions(clients.control, agents, settings.profile_check),
            quota=quota,
            reader=StreamReader(clients.blocking),
            writer=stream_writer(clients.media),
            store=CallStore(clients.control, keys),
            says=AnnouncementStore(clients.control, keys),
            say_reader=StreamReader(clients.blocking, quiet_s=_ANNOUNCEMENT_POLL_S),
            inbox=Inbox(clients.control, clients.blocking, keys, self._name),
            fleet=self._fleet,
            leases=Leases(clients.control, keys, self._name),
            keys=keys,
            backoff=Backoff(budget_s=settings.reconnect_budget_s),
            greeting_delay_s=None if settings.greeting_delay_ms is None else settings.greeting_delay_ms / 1000,
            limits=settings.limits,
            dtmf_interrupts=settings.dtmf_interrupts,
            history_turns=settings.history_turns,
            keep_transcripts=settings.transcripts,
            say_forms=settings.say_forms,
            references=CallReferences(clients.control),
        )
        self._worker = RelayWorker(context, clients.blocking, capacity=settings.relay_capacity)
        media_metrics.CAPACITY.set(settings.relay_capacity)
        media_metrics.WRITER_WAITING.set_function(lambda: context.writer.waiting)
        self.parts.start("redis connections", clients.warm_up(), may_end=True)
        # Tasks are stopped in this order: the teardown notifications of the worker need the writer.
        self.parts.start("worker", self._worker.run())
        self.parts.start("reader", context.reader.run())
        self.parts.start("say reader", context.say_reader.run())
        self.parts.start("writer", context.writer.run())
        self.parts.start("tokens", tokens.run())
        self.parts.start("voice quota", QuotaWatch(quota, lambda: agents.resources).run(), may_end=True)
        self.parts.start("secrets", secrets.run(), may_end=True)
        self._warming = self.parts.start("warm sessions", agents.run())
        if settings.agent_profiles_file:
            reloader = ProfileReloader(settings.agent_profiles_file, settings.profile_check, agents)
            self.parts.start("profiles", reloader.run())
        target = agents[DEFAULT].voice.target
        log.info("relay started", extra=fields(mode=target.mode, api_version=target.api_version))

    async def drain(self) -> None:
        if self._warming is not None:
            self._warming.cancel()
        if self._worker is None:
            return
        within_s = max(self._settings.drain_timeout_s - _RELEASE_MARGIN_S, 0)
        try:
            async with asyncio.timeout(within_s):
                await self._worker.drain(within_s)
        except TimeoutError:
            self._worker.release_all()
            while self._worker.active:  # noqa: ASYNC110  # calls end by themselves
                await asyncio.sleep(0.05)

    async def stop(self) -> None:
        await self.parts.stop()
        if self._fleet is not None:
            with contextlib.suppress(OutsideError):
                await self._fleet.leave()
        if self._tokens is not None:
            await self._tokens.aclose()
        if self._tool_http is not None:
            await self._tool_http.close()
        if self._clients is not None:
            await self._clients.aclose()


def _api_key(secrets: LiveSecrets, number: int) -> str:
    """Return the API key of the settings' resource with this number, "" if tokens are used."""
    if number == 0:
        return secrets.text("azure_voice_live_api_key")
    further = secrets.keys("azure_voice_live_further_api_keys")
    return further[number - 1] if further else ""


def main() -> None:
    settings = load_settings(RelaySettings)
    set_up(KIND, settings)
    sys.exit(serve(AgentRelay(settings), settings))
