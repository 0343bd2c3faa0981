"""Runs the real call-control on a free port with a real Redis; the test acts as Azure and as the relay."""

from __future__ import annotations

import json
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

import httpx

from bridge_common.base.ids import call_id_of
from bridge_common.redis.clients import RedisClients
from bridge_common.service.lifecycle import RunningService
from bridge_common.store.call_store import CallStore
from bridge_common.store.inbox import Inbox
from bridge_common.store.leases import Claim, Leases
from bridge_common.wire.call_record import CallRecord, Status
from bridge_common.wire.entries import VoiceReady
from bridge_common.wire.keys import FINAL_EPOCH, Keys
from call_control.app import ApiTiming, CallControl
from call_control.settings import CallControlSettings
from tests.support.eventually import eventually
from tests.support.scripted_acs import ScriptedAcs

API_KEY = "operators-key-of-the-tests"
OPERATOR = {"Authorization": f"Bearer {API_KEY}"}
TOKEN_KEY = "media-token-key-of-the-tests"
QUICK = ApiTiming(wrong_key_delay_s=0.0)


def environment(redis_url: str, acs: ScriptedAcs, **changes: str) -> dict[str, str]:
    """Return the environment variables of a replica."""
    return {
        "REDIS_URL": redis_url,
        "HOST": "127.0.0.1",
        "PORT": "0",
        "BASE_URL": "http://control.test",
        "MEDIA_BASE_URL": "ws://media.test",
        "MEDIA_TOKEN_KEYS": TOKEN_KEY,
        "ACS_CONNECTION_STRING": acs.connection_string,
        "ACS_JWT_MODE": "off",
        "ALLOW_INSECURE": "open-webhook,unchecked-tokens,plain-http,short-keys",
        "API_KEYS": API_KEY,
        "CALLS_PER_CALLER_PER_MIN": "0",
        "ALLOWED_TARGETS": "+1800555*",
        **changes,
    }


def settings_of(variables: dict[str, str]) -> CallControlSettings:
    values: dict[str, object] = {name.lower(): value for name, value in variables.items()}
    return CallControlSettings(**values)  # type: ignore[arg-type]  # validated by the model


@dataclass(slots=True)
class PhoneCall:
    """A call from the side of Azure."""

    correlation_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    caller: str = "4:+14255550100"
    callee: str = "4:+18005551212"
    custom_context: Mapping[str, object] = field(default_factory=dict)

    @property
    def call_id(self) -> str:
        return call_id_of(self.correlation_id)

    @property
    def context(self) -> str:
        return f"context-of-{self.correlation_id}"

    def incoming(self, event_id: str = "", **data: object) -> dict[str, object]:
        """Return the IncomingCall event in Event Grid's schema."""
        return {
            "id": event_id or str(uuid.uuid4()),
            "topic": "/subscriptions/s/resourceGroups/g/providers/Microsoft.Communication/communicationServices/r",
            "subject": f"/caller/{self.caller}/recipient/{self.callee}",
            "eventType": "Microsoft.Communication.IncomingCall",
            "eventTime": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%f}0Z",
            "dataVersion": "1.0",
            "metadataVersion": "1",
            "data": {
                "to": {"kind": "phoneNumber", "rawId": self.callee, "phoneNumber": {"value": self.callee[2:]}},
                "from": {"kind": "phoneNumber", "rawId": self.caller, "phoneNumber": {"value": self.caller[2:]}},
                "serverCallId": "aHR0cHM6Ly9hcGkuZmxpZ2h0cHJveHkuc2t5cGUuY29t",
                "callerDisplayName": "",
                "incomingCallContext": self.context,
                "correlationId": self.correlation_id,
                "customContext": self.custom_context,
                **data,
            },
        }

    def callback(self, type_: str, connection_id: str, event_id: str = "", /, **data: object) -> dict[str, object]:
        """Return a mid-call CloudEvent."""
        return {
            "id": event_id or str(uuid.uuid4()),
            "source": f"calling/callConnections/{connection_id}",
            "type": f"Microsoft.Communication.{type_}",
            "specversion": "1.0",
            "time": "2026-11-22T05:00:01.5556858+00:00",
            "datacontenttype": "application/json",
            "data": {
                "version": "2026-03-12",
                "callConnectionId": connection_id,
                "correlationId": self.correlation_id,
                "publicEventType": f"Microsoft.Communication.{type_}",
                **data,
            },
        }


class Switchboard:
    """Controls one or more replicas and their Redis."""

    def __init__(self, acs: ScriptedAcs, clients: RedisClients, http: httpx.AsyncClient) -> None:
        keys = Keys(1)
        self.acs = acs
        self.http = http
        self.redis = clients.control
        self.keys = keys
        self.store = CallStore(clients.control, keys)
        self.relay = Leases(clients.control, keys, "agent-relay-of-the-test")
        self.inbox = Inbox(clients.control, clients.blocking, keys, "nobody")

    async def set_policy(self, **content: object) -> None:
        """Replace the routing policy in force. Without `rules`, all calls go to the agent profile `default`."""
        policy = {"rules": [{"name": "rest", "agent": "default"}]} | content
        reply = await self.http.put("/api/routing", headers=OPERATOR | {"If-Match": "*"}, json=policy)
        assert reply.status_code == 200, reply.text

    async def ring(self, call: PhoneCall, **params: str) -> httpx.Response:
        return await self.http.post("/api/incomingCall", json=[call.incoming()], params=params)

    async def call_back(self, call: PhoneCall, *events: dict[str, object]) -> httpx.Response:
        return await self.call_back_raw(call, json.dumps(events).encode())

    async def call_back_raw(self, call: PhoneCall, body: bytes) -> httpx.Response:
        return await self.http.post(f"/api/callbacks/{call.call_id}", content=body)

    async def claim(self, call: PhoneCall) -> Claim:
        """Claim the offered call as a relay does."""

        async def claimed() -> Claim | None:
            found = await self.relay.claim(10)
            return next((claim for claim in found if claim.call_id == call.call_id), None)

        claim = await eventually(claimed, what="the call is offered")
        assert claim is not None
        return claim

    async def voice_ready(self, call: PhoneCall) -> None:
        claim = await self.claim(call)
        await self.inbox.put(VoiceReady(call.call_id, claim.epoch))

    async def answered(self, call: PhoneCall) -> str:
        """Return the connection id when ACS has answered the call and the record contains it."""

        async def connection() -> str:
            record = await self.store.load(call.call_id)
            return record.connection_id if record else ""

        return await eventually(connection, what="the call is answered")

    async def connect(self, call: PhoneCall) -> str:
        """Ring, report a voice session, wait for the answer and send CallConnected."""
        await self.ring(call)
        await self.voice_ready(call)
        connection_id = await self.answered(call)
        await self.call_back(call, call.callback("CallConnected", connection_id))
        await self.reaches(call, Status.CONNECTED)
        return connection_id

    async def reaches(self, call: PhoneCall, status: Status, within_s: float = 5.0) -> CallRecord:
        async def record() -> CallRecord | None:
            found = await self.store.load(call.call_id)
            return found if found and found.status is status else None

        found = await eventually(record, within_s=within_s, what=f"status {status}")
        assert found is not None
        return found

    async def released(self, call: PhoneCall) -> bool:
        """Whether the call has no lease and both of its streams have ended."""
        if await self.redis.zscore(self.keys.leases(self.keys.tag(call.call_id)), call.call_id) is not None:
            return False
        for stream in (self.keys.uplink(call.call_id), self.keys.downlink(call.call_id)):
            last = await self.redis.xrevrange(stream, count=1)
            if not last or last[0][0] != f"{FINAL_EPOCH}-0".encode():
                return False
        return True

    async def idle(self) -> bool:
        """Whether all inbox entries have been processed."""
        return await self.entries() == 0

    async def entries(self) -> int:
        """Return the number of inbox entries that are waiting or being processed."""
        return int(await self.redis.xlen(self.keys.inbox(self.keys.all_tags()[0])))


@asynccontextmanager
async def replica(settings: CallControlSettings, timing: ApiTiming = QUICK) -> AsyncIterator[str]:
    """Run one replica of call-control. Yields its address."""
    async with RunningService(CallControl(settings, timing), settings) as service:
        yield f"http://127.0.0.1:{service.port}"


@asynccontextmanager
async def switchboard(
    redis_url: str, clients: RedisClients, acs: ScriptedAcs, timing: ApiTiming = QUICK, /, **changes: str
) -> AsyncIterator[Switchboard]:
    """Run one replica. `changes`: settings by their environment names."""
    settings = settings_of(environment(redis_url, acs, **changes))
    async with (
        replica(settings, timing) as address,
        httpx.AsyncClient(base_url=address, timeout=5, trust_env=False) as http,
    ):
        yield Switchboard(acs, clients, http)
