"""Voice sessions that are configured in advance, so that a new call does not wait for the handshake.

Unused sessions are replaced regularly, so that a call does not get a session that expires soon or that the service has
dropped as idle. Each session has its own, empty conversation.
"""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from agent_relay import metrics
from agent_relay.core.dialog.session_profile import SessionProfile
from agent_relay.core.protocol.session_refusal import refused_session
from agent_relay.core.protocol.session_setup import DEFINED_S, SessionSetup
from agent_relay.core.protocol.voice_codec import decode, encode
from agent_relay.core.protocol.voice_events import ResponseCreated, SessionUpdated, cancel_response
from agent_relay.voice.connection_quota import Urgency
from agent_relay.voice.voice_live_client import SocketClosedError, VoiceSocket
from agent_relay.voice.voice_resources import NoConnectionError, VoiceResources
from bridge_common.base.errors import BridgeError, FrameError, OutsideError
from bridge_common.base.log import fields
from bridge_common.base.outage_logger import OutageLogger
from bridge_common.base.retry import Backoff, repeat

log = logging.getLogger(__name__)

MOST_AGE_S: Final = 240.0
FRACTION_OF_LIFE: Final = 4
"""A session in the pool is replaced after this fraction (1/4) of the time until it expires."""
_CONFIGURE_S: Final = 8.0
_STEADY_S: Final = 30.0
"""A session that is lost within this time counts as a failed attempt."""
BACKOFF: Final = Backoff(first_s=0.5, most_s=30.0)


class WarmSession:
    """A voice session that is configured in advance. It listens to its socket until the link of a call replaces it as
    the listener.
    """

    def __init__(self, socket: VoiceSocket, resource: str, request_id: str, setup: SessionSetup) -> None:
        self.socket = socket
        self.resource = resource
        self.request_id = request_id
        self.setup = setup
        loop = asyncio.get_running_loop()
        self._configured: asyncio.Future[SessionUpdated] = loop.create_future()
        self._taken_or_lost = asyncio.Event()

    @property
    def configured(self) -> SessionUpdated:
        return self._configured.result()

    @property
    def refusals(self) -> list[str]:
        return self.setup.refusals

    async def configure(self) -> None:
        """Configure the session. Raises `OutsideError`."""
        self.setup.begin()
        self.socket.listen(self)
        try:
            async with asyncio.timeout(_CONFIGURE_S):
                await self._configured
        except TimeoutError as error:
            message = f"the voice session was not configured within {_CONFIGURE_S:g} s"
            raise OutsideError(message, retry=True) from error

    async def taken_or_lost(self, within_s: float) -> bool:
        try:
            async with asyncio.timeout(within_s):
                return await self._taken_or_lost.wait()
        except TimeoutError:
            return False

    def take(self) -> None:
        self._taken_or_lost.set()

    # -- voice_live_client.Listener
    def on_message(self, message: memoryview | bytes) -> None:
        try:
            event = decode(message)
        except FrameError as error:
            metrics.BAD_EVENTS.inc()
            log.warning("malformed event from Voice Live", extra=fields(error=error.message))
            return
        if isinstance(event, ResponseCreated):
            # A greeting in the definition of a voice agent. Nobody would hear it.
            self.socket.send(encode(cancel_response(event.response_id)))
        if self._configured.done():
            return
        awaits_definition = self.setup.defined
        for answer in self.setup.answer(event):
            self.socket.send(encode(answer))
        if self.setup.defined and not awaits_definition:
            asyncio.get_running_loop().call_later(DEFINED_S, self._begin_as_defined)
        self._check()

    def _begin_as_defined(self) -> None:
        if not self._configured.done():
            self.setup.begin_as_defined()
            self._check()

    def _check(self) -> None:
        if self.setup.configured is not None:
            self._configured.set_result(self.setup.configured)
        elif self.setup.failed:
            self._fail(OutsideError(f"Voice Live refused session.update: {self.setup.error}", retry=False))

    def on_writable(self) -> None:
        pass

    def on_lost(self, why: SocketClosedError) -> None:
        self._fail(refused_session(self.setup.error) if self.setup.error else why)
        self._taken_or_lost.set()

    def _fail(self, why: OutsideError) -> None:
        if not self._configured.done():
            self._configured.set_exception(why)


@dataclass(frozen=True, slots=True)
class WarmPoolConfig:
    """Settings of the pool. `count`: number of sessions."""

    voice: VoiceResources
    profile: SessionProfile
    count: int
    most_age_s: float = MOST_AGE_S
    backoff: Backoff = BACKOFF


class WarmPool:
    """A pool of voice sessions that are configured in advance. `run` keeps it filled until it is canceled; failures do
    not affect calls. Without a config the pool stays empty.
    """

    def __init__(self, config: WarmPoolConfig | None = None) -> None:
        self._config = config
        self._ready: deque[WarmSession] = deque()
        self._outage = OutageLogger(
            log, begun="failed to open warm voice session; retrying", over="warm voice session opened"
        )

    def __len__(self) -> int:
        return len(self._ready)

    def take(self, suits: Callable[[SessionSetup], bool]) -> WarmSession | None:
        """Remove and return the oldest suitable session, None if there is none. The calling code must close it."""
        for session in self._ready:
            if session.socket.lost is None and suits(session.setup):
                self._remove(session)
                session.take()
                return session
        return None

    async def run(self) -> None:
        if self._config is None:
            return
        async with asyncio.TaskGroup() as tasks:
            for number in range(self._config.count):
                tasks.create_task(self._keep_one(self._config, number))

    async def _keep_one(self, config: WarmPoolConfig, number: int) -> None:
        async def one() -> float:
            await self._one(config, number)
            return 0.0

        await repeat(one, config.backoff, self._outage, errors=Exception, task=number)

    async def _one(self, config: WarmPoolConfig, number: int) -> None:
        """Keep one session from its handshake until it was taken, became too old or was lost. Raises the failure."""
        session = await self._opened(config)
        self._ready.append(session)
        metrics.WARM_SESSIONS.inc()
        age_s = _most_age_s(config, session)
        try:
            if not await session.taken_or_lost(min(age_s, _STEADY_S)):
                self._outage.worked(task=number)
                await session.taken_or_lost(age_s - _STEADY_S)
            elif session.socket.lost is not None and session in self._ready:
                raise session.socket.lost
        finally:
            if session in self._ready:
                self._remove(session)
                await session.socket.close()

    async def _opened(self, config: WarmPoolConfig) -> WarmSession:
        try:
            return await open_session(config.voice, config.profile)
        except NoConnectionError as error:
            await asyncio.sleep(error.wait_s)
            raise
        except Exception as error:
            if not isinstance(error, BridgeError):
                log.exception("failed to open warm voice session")
            raise

    def _remove(self, session: WarmSession) -> None:
        self._ready.remove(session)
        metrics.WARM_SESSIONS.dec()


async def open_session(
    voice: VoiceResources,
    profile: SessionProfile,
    urgency: Urgency = Urgency.BACKGROUND,
    *,
    conversation_id: str = "",
    begun_on: str = "",
) -> WarmSession:
    """Open and configure a session. Raises `BridgeError`, after pausing the resource if the error concerns it."""
    request_id = str(uuid.uuid4())
    opened = await voice.dial(request_id, urgency, conversation_id=conversation_id, begun_on=begun_on)
    socket = opened.socket
    setup = SessionSetup(profile.session, profile.essential_session, defined=profile.defined)
    session = WarmSession(socket, opened.resource, request_id, setup)
    try:
        await session.configure()
    except BaseException as error:
        await socket.close()
        if isinstance(error, OutsideError):
            await voice.pause_after(opened.resource, error)
        raise
    log.info("warm voice session ready", extra=fields(request_id=request_id, session_id=session.configured.session_id))
    return session


def _most_age_s(config: WarmPoolConfig, session: WarmSession) -> float:
    expires_at_s = session.configured.expires_at_s
    if not expires_at_s:
        return config.most_age_s
    # If the clocks differ, the minimum limits how many connections of the quota this uses.
    return min(config.most_age_s, max((expires_at_s - time.time()) / FRACTION_OF_LIFE, _STEADY_S))
