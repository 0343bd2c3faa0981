"""Runs a real relay worker with a real Redis; the test acts as call-control and as the gateway."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence

from azure.core.credentials import AccessToken
from azure.core.credentials_async import AsyncTokenCredential

from agent_relay.agents import Agents, AgentVersion
from agent_relay.call_context import CallContext
from agent_relay.core.dialog.debt import Limits
from agent_relay.core.protocol.agent_profile import AgentProfile
from agent_relay.core.protocol.spoken_text import Form
from agent_relay.core.protocol.voice_target import Mode, TokenScope, VoiceTarget
from agent_relay.fleet.hand_over import HandOverLimits
from agent_relay.fleet.relay_worker import KIND, RelayWorker
from agent_relay.profile_versions import ProfileVersions
from agent_relay.profiles import DEFAULT
from agent_relay.tools.runner import Tool
from agent_relay.voice.connection_quota import BACK_AFTER_MS, ConnectionQuota, Grant, Urgency
from agent_relay.voice.voice_link import Dialer
from agent_relay.voice.voice_resources import VoiceResources
from agent_relay.voice.warm_pool import WarmPool
from bridge_common.auth.entra_tokens import Tokens
from bridge_common.base.retry import Backoff
from bridge_common.redis.clients import RedisClients
from bridge_common.store.announcement_store import AnnouncementOutcome, AnnouncementStore
from bridge_common.store.call_references import CallReferences
from bridge_common.store.call_store import CallStore
from bridge_common.store.fleet import Fleet
from bridge_common.store.inbox import Inbox
from bridge_common.store.leases import Leases
from bridge_common.streams.reader import StreamReader
from bridge_common.streams.writer import Outlet, StreamWriter
from bridge_common.wire.call_record import CallRecord, Status
from bridge_common.wire.entries import (
    AudioFrame,
    Entry,
    InboxEntry,
    MediaAttached,
    Notice,
    Say,
    Turn,
    UplinkEntry,
)
from bridge_common.wire.keys import Keys
from tests.support.eventually import eventually

FRAME = bytes(960)


def model_target(url: str) -> VoiceTarget:
    return VoiceTarget(mode=Mode.MODEL, endpoint=url, api_version="2026-07-15", model="gpt-4.1", api_key="key")


def agent_target(url: str) -> VoiceTarget:
    return VoiceTarget(
        mode=Mode.AGENT, endpoint=url, api_version="2026-07-15", agent_name="agent", agent_project_name="project"
    )


class TokenMint(AsyncTokenCredential):
    """Returns a new token for each request."""

    def __init__(self, lifetime_s: float = 3600.0) -> None:
        self.lifetime_s = lifetime_s
        self.asked: list[str] = []

    async def get_token(self, *scopes: str, **_: object) -> AccessToken:
        self.asked += scopes
        return AccessToken(f"token-{len(self.asked)}", int(time.time() + self.lifetime_s))

    async def close(self) -> None: ...

    async def __aexit__(self, *_: object) -> None: ...


def minted_tokens(mint: TokenMint | None = None) -> Tokens:
    one = mint or TokenMint()
    return Tokens({TokenScope.AI: "ai-scope"}, lambda: one)


class NoLimits(ConnectionQuota):
    """A quota without limits, for tests without Redis."""

    def __init__(self) -> None: ...

    async def take(self, resource: str, urgency: Urgency, credential: str = "") -> Grant:
        return Grant("token")

    async def free(self, resource: str, urgency: Urgency) -> int:
        return 1_000

    async def give_back(self, resource: str, grant: Grant) -> None: ...

    async def pause(self, resource: str, for_s: float, credential: str = "") -> bool:
        return True


def resources(*targets: VoiceTarget, tokens: Tokens, quota: ConnectionQuota | None = None) -> VoiceResources:
    return VoiceResources([Dialer(target, tokens, open_timeout_s=2.0) for target in targets], quota or NoLimits())


@dataclasses.dataclass
class RelayProcess:
    """The tasks of an agent-relay process, with a unique name."""

    context: CallContext
    worker: RelayWorker
    name: str
    tasks: list[asyncio.Task[None]]

    async def kill(self) -> None:
        """Cancel all tasks, as a crash does. Nothing is published or released."""
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)


def _tool(run: Callable[[str], Awaitable[str]]) -> Tool:
    return Tool(lambda call: run(call.arguments))


@contextlib.asynccontextmanager
async def relay_process(
    clients: RedisClients,
    target: VoiceTarget,
    *,
    name: str = "relay-1",
    profile: AgentProfile | None = None,
    tokens: Tokens | None = None,
    budget_s: float = 5.0,
    capacity: int = 10,
    tools: Mapping[str, Callable[[str], Awaitable[str]]] | None = None,
    warm: WarmPool | None = None,
    further: Sequence[VoiceTarget] = (),
    per_minute: int = 0,
    back_after_ms: int = BACK_AFTER_MS,
    hand_over: HandOverLimits | None = None,
    say_forms: tuple[Form, ...] = (),
    limits: Limits | None = None,
    stop_within_s: float = 0.5,
    profiles: Mapping[str, AgentProfile] | None = None,
    make_agent: Callable[[str, AgentProfile], AgentVersion] | None = None,
) -> AsyncIterator[RelayProcess]:
    keys = Keys(1)
    quota = ConnectionQuota(clients.control, per_minute, back_after_ms=back_after_ms)
    voice = resources(target, *further, tokens=tokens or Tokens({}), quota=quota)

    def agent(name: str, profile: AgentProfile) -> AgentVersion:
        tools_of_profile = {name: _tool(run) for name, run in (tools or {}).items()}
        pool = warm if warm is not None else WarmPool()
        return AgentVersion(name=name, profile=profile, voice=voice, tools=tools_of_profile, warm=pool)

    agents = Agents(make_agent or agent, {DEFAULT: profile or AgentProfile(greeting=None)} | dict(profiles or {}))
    context = CallContext(
        agents=agents,
        versions=ProfileVersions(clients.control, agents),
        quota=quota,
        reader=StreamReader(clients.blocking),
        writer=StreamWriter(clients.media),
        store=CallStore(clients.control, keys),
        says=AnnouncementStore(clients.control, keys),
        say_reader=StreamReader(clients.blocking),
        inbox=Inbox(clients.control, clients.blocking, keys, name),
        fleet=Fleet(clients.control, name, KIND),
        leases=Leases(clients.control, keys, name),
        keys=keys,
        backoff=Backoff(first_s=0.02, most_s=0.3, budget_s=budget_s),
        references=CallReferences(clients.control),
        say_forms=say_forms,
        limits=limits or Limits(),
        stop_within_s=stop_within_s,
    )
    worker = RelayWorker(context, clients.blocking, capacity=capacity, hand_over=hand_over)
    loops = (worker.run(), context.reader.run(), context.say_reader.run(), context.writer.run())
    process = RelayProcess(context, worker, name, [asyncio.create_task(loop) for loop in loops])
    try:
        yield process
    finally:
        await process.kill()


class Call:
    """One call from the side of call-control and the gateway."""

    def __init__(self, clients: RedisClients, writer: StreamWriter, reader: StreamReader, call_id: str) -> None:
        self.call_id = call_id
        self.keys = Keys(1)
        self.store = CallStore(clients.control, self.keys)
        self.leases = Leases(clients.control, self.keys, "call-control")
        self.says = AnnouncementStore(clients.control, self.keys)
        self._inbox = Inbox(clients.control, clients.blocking, self.keys, "call-control")
        self._writer = writer
        self._reader = reader
        self._uplink: Outlet | None = None
        self.downlink: list[Entry] = []
        self.inbox: list[InboxEntry] = []

    async def begin(self, **fields: object) -> None:
        """Create a ringing call and offer it to relays."""
        record = dataclasses.replace(CallRecord(call_id=self.call_id, status=Status.RINGING, created_ms=1), **fields)  # type: ignore[arg-type]
        assert await self.store.create(record)
        await self._inbox.ensure_group()
        await self.leases.offer(self.call_id)

    async def attach(self) -> None:
        """Attach to the call like a gateway that has accepted the media socket."""
        grant = await self.store.attach_media(self.call_id)
        assert grant is not None
        self._uplink = self._writer.outlet(self.keys.uplink(self.call_id), grant.epoch, lambda: None)
        self._reader.add(
            self.keys.downlink(self.call_id), grant.downlink_cursor, lambda _, entry: self.downlink.append(entry)
        )
        self.send(MediaAttached(16000))

    def send(self, *entries: UplinkEntry) -> None:
        assert self._uplink is not None
        for entry in entries:
            self._uplink.append(entry)

    async def say(self, *pieces: Say) -> None:
        for piece in pieces:
            assert (await self.says.add(self.call_id, piece, most_a_minute=60)).outcome is AnnouncementOutcome.ADDED

    async def flush(self) -> None:
        await self._writer.flush()

    def speak(self, frames: int = 1) -> None:
        self.send(*[AudioFrame(FRAME)] * frames)

    def speak_numbered(self, numbers: Iterable[int]) -> None:
        """Send frames that can be distinguished. `Session.frames` of the scripted Voice Live returns their numbers."""
        self.send(*[AudioFrame(number.to_bytes(2, "little") * 480) for number in numbers])

    async def end(self) -> None:
        await self.leases.end(self.call_id)
        await self.store.end_streams(self.call_id, "caller hung up")

    async def news(self) -> list[InboxEntry]:
        """Return all inbox entries received until now."""
        self.inbox += [delivery.entry for delivery in await self._inbox.read(block_ms=20)]
        return self.inbox

    async def told(self, kind: type[InboxEntry]) -> InboxEntry:
        """Wait for the first inbox entry of a kind and return it."""

        async def look() -> InboxEntry | None:
            return next((entry for entry in await self.news() if isinstance(entry, kind)), None)

        found = await eventually(look, within_s=8, what=f"{kind.__name__} in the inbox")
        assert found is not None
        return found

    async def announced(self) -> bool:
        """Whether a relay has published the id of the call's voice session."""
        record = await self.store.load(self.call_id)
        return record is not None and bool(record.voice_session_id)

    async def turns(self) -> list[Turn]:
        return [entry for _, entry in await self.store.read_transcript(self.call_id) if isinstance(entry, Turn)]

    async def notices(self) -> list[str]:
        return [entry.what for _, entry in await self.store.read_transcript(self.call_id) if isinstance(entry, Notice)]

    async def noticed(self, *expected: str) -> bool:
        """Whether the transcript contains these notices. A relay writes them shortly after the event."""
        return set(expected) <= set(await self.notices())

    def of(self, kind: type[Entry]) -> list[Entry]:
        return [entry for entry in self.downlink if isinstance(entry, kind)]


@contextlib.asynccontextmanager
async def calls(clients: RedisClients, count: int = 10) -> AsyncIterator[list[Call]]:
    """Create calls that share a reader and a writer of the gateway."""
    writer, reader = StreamWriter(clients.media), StreamReader(clients.blocking)
    tasks = [asyncio.create_task(writer.run()), asyncio.create_task(reader.run())]
    try:
        yield [Call(clients, writer, reader, f"call_{number:024x}") for number in range(count)]
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
