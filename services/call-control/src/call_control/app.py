"""The call-control process: creates, starts and stops its components; console script."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass

from starlette.routing import BaseRoute

from bridge_common.auth.acs_jwt import JwtVerifier
from bridge_common.base.errors import OutsideError
from bridge_common.base.ids import process_name
from bridge_common.redis.clients import clients_of
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
from bridge_common.wire.keys import Keys
from call_control.acs_client import AcsClient, MediaFormat
from call_control.agent_actions import AgentActions
from call_control.core.fleet_demand import ScaleBuffer
from call_control.effects import CallUrls, Effects
from call_control.fleet_metrics import FleetMetrics
from call_control.fleet_view import FleetView
from call_control.http.action_api import ActionApi
from call_control.http.agent_api import AgentApi
from call_control.http.agent_guard import AgentGuard
from call_control.http.announcement_api import SILENCE_S, AnnouncementApi
from call_control.http.authentication import EventGridGuard, OperatorGuard, entra_verifier
from call_control.http.fleet_api import FleetApi
from call_control.http.operator_access import WRONG_KEY_DELAY_S, Operators
from call_control.http.operator_api import OperatorApi
from call_control.http.routing_api import RoutingApi
from call_control.http.webhooks import Webhooks
from call_control.inbox_worker import InboxWorker
from call_control.kubernetes.pod_cost_writer import PodCostWriter
from call_control.routing.policy_keeper import PolicyKeeper
from call_control.routing.policy_store import PolicyStore
from call_control.routing.ring_counter import RingCounter
from call_control.routing.rule_places import RulePlaces
from call_control.settings import CallControlSettings
from call_control.steps import CallSteps

KIND = "call-control"


@dataclass(frozen=True, slots=True)
class ApiTiming:
    wrong_key_delay_s: float = WRONG_KEY_DELAY_S
    silence_s: float = SILENCE_S


DEFAULT_TIMING = ApiTiming()


class CallControl:
    """One call-control process. `start` creates the clients, because they need a running event loop."""

    def __init__(self, settings: CallControlSettings, timing: ApiTiming = DEFAULT_TIMING) -> None:
        self.draining = False
        self.parts = BackgroundTasks()
        self.name = process_name(KIND)
        self._settings = settings
        self._timing = timing
        self._gate = ReadinessGate(settings.unready_after_s)
        self._secrets = LiveSecrets(settings)
        keys = Keys(settings.redis_shards, spread=settings.redis_cluster)
        self._clients = clients_of(settings)
        control = self._clients.control
        self._inbox = Inbox(control, self._clients.blocking, keys, self.name)
        self._store = CallStore(
            control, keys, record_s=settings.record_retention_s, transcript_s=settings.transcript_retention_s
        )
        self._announcements = AnnouncementStore(control, keys)
        self._leases = Leases(control, keys, self.name)
        self._fleet = Fleet(control, self.name, KIND, keys)
        buffer = ScaleBuffer(settings.scale_buffer_calls, settings.scale_buffer_percent)
        self._fleet_view = FleetView(self._fleet, self._leases, buffer)
        source = f"file {settings.routing_policy}" if settings.routing_policy else "settings"
        self._routing = PolicyKeeper(PolicyStore(control, self._clients.blocking), settings.routing, source)
        self._rings = RingCounter(control, settings.ring_limits)
        self._places = RulePlaces(control, self._store)
        self._agent_tokens = _agent_tokens(settings)
        guard = AgentGuard(self._agent_tokens, settings.agent_tools_identities, self._secrets.keys("agent_tools_keys"))
        agent_actions = AgentActions(self._store, CallReferences(control), self._inbox, self._routing)
        self._agent_api = AgentApi(agent_actions, guard, settings.base_url)
        self._grid_tokens = _event_grid_tokens(settings)
        self._grid_guard = EventGridGuard(self._secrets.keys("event_grid_secrets"), self._grid_tokens)
        self._acs_tokens = settings.acs_tokens()
        self._acs: AcsClient | None = None
        self._worker: InboxWorker | None = None

    def routes(self) -> Sequence[BaseRoute]:
        webhooks = Webhooks(self._inbox, self._grid_guard, self._acs_tokens)
        operators = Operators(
            OperatorGuard(self._secrets.keys("api_keys")), wrong_key_delay_s=self._timing.wrong_key_delay_s
        )
        api = OperatorApi(self._store, self._inbox, operators)
        routing = RoutingApi(self._routing, self._places, operators)
        announcements = AnnouncementApi(
            self._announcements,
            operators,
            most_characters=self._settings.say_max_characters,
            most_a_minute=self._settings.say_per_minute,
            silence_s=self._timing.silence_s,
        )
        actions = ActionApi(self._store, self._inbox, self._routing, operators)
        fleet = FleetApi(self._fleet_view, operators)
        of_operators = [
            *(*api.routes(), *actions.routes(), *routing.routes()),
            *(*announcements.routes(), *fleet.routes()),
        ]
        return [*webhooks.routes(), *self._agent_api.routes(), *of_operators]

    async def ready(self) -> Readiness:
        if self._worker is None or not self.parts.running:
            return Readiness(self.parts.failure or "starting")
        refusals = self._worker.refusals
        return self._gate.judge(
            faults=[self._fleet.fault, refusals.fault],
            at_start="" if refusals.worked_once else "the inbox has not been read yet",
        )

    async def start(self) -> None:
        settings = self._settings
        self._acs = AcsClient(settings.acs_address, MediaFormat(settings.acs_audio_format, settings.acs_audio_channels))
        token_keys = self._secrets.keys("media_token_keys")
        urls = CallUrls(settings.base_url, settings.media_base_url, token_keys, settings.max_call_s)
        effects = Effects(self._acs, self._leases, self._store, self._fleet, urls, self._announcements, self._places)
        self._worker = InboxWorker(
            self._inbox,
            CallSteps(self._store, settings.call_policy, self._routing, self._rings, self._places),
            self._fleet,
            effects,
            name=self.name,
            follow_routing=self._routing.follow,
        )
        self.parts.start("redis connections", self._clients.warm_up(), may_end=True)
        self.parts.start("worker", self._work(self._worker))
        self.parts.start("fleet metrics", FleetMetrics(self._fleet_view, self._inbox).run())
        self.parts.start("signing keys", self._acs_tokens.keep_fresh(), may_end=True)
        self.parts.start("secrets", self._secrets.run(), may_end=True)
        if self._grid_tokens is not None:
            self.parts.start("signing keys of Event Grid", self._grid_tokens.keep_fresh(), may_end=True)

        if self._agent_tokens is not None:
            self.parts.start("signing keys of agent tools", self._agent_tokens.keep_fresh(), may_end=True)
        self.parts.start("agent tools", self._agent_api.run())
        if (api := settings.api_server) is not None:
            costs = PodCostWriter(self._clients.control, self._fleet, api, self.name)
            self.parts.start("pod deletion costs", costs.run())

    async def drain(self) -> None:
        if self._worker is not None:
            await self._worker.drain()

    async def stop(self) -> None:
        await self.parts.stop()
        with contextlib.suppress(OutsideError):
            await self._fleet.leave()
        if self._acs is not None:
            await self._acs.aclose()
        await self._clients.aclose()

    async def _work(self, worker: InboxWorker) -> None:
        with contextlib.suppress(OutsideError):
            # If Redis is not up yet, the worker creates the group later.
            await self._inbox.ensure_group()
        await worker.run()


def _event_grid_tokens(settings: CallControlSettings) -> JwtVerifier | None:
    if not settings.event_grid_tenant_id:
        return None
    return entra_verifier(
        settings.event_grid_tenant_id,
        settings.event_grid_audience,
        settings.event_grid_jwks_url,
        max_age_s=settings.jwks_max_age_s,
    )


def _agent_tokens(settings: CallControlSettings) -> JwtVerifier | None:
    if not settings.agent_tools_tenant_id:
        return None
    return entra_verifier(
        settings.agent_tools_tenant_id,
        settings.agent_tools_audience,
        settings.agent_tools_jwks_url,
        max_age_s=settings.jwks_max_age_s,
        prefix="AGENT_TOOLS",
    )


def main() -> int:
    settings = load_settings(CallControlSettings)
    set_up(KIND, settings)
    return serve(CallControl(settings), settings)
