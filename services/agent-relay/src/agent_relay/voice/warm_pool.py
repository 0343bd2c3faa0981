"""Voice sessions that are configured before there is a call for them, so that a call need not wait for one.

A session that nobody took is replaced before it is old: a call must not meet the end of its hour, nor a service that
forgets silent sessions. Each session has a conversation of its own, which nobody has spoken in.
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
from agent_relay.core.protocol.session_setup import SessionSetup
from agent_relay.core.protocol.voice_codec import decode, encode
from agent_relay.core.protocol.voice_events import SessionUpdated
from agent_relay.voice.connection_quota import Urgency
from agent_relay.voice.voice_live_client import SocketClosedError, VoiceSocket
from agent_relay.voice.voice_resources import NoConnectionError, VoiceResources
from bridge_common.base.errors import BridgeError, FrameError, OutsideError
from bridge_common.base.log import fields
from bridge_common.base.retry import Backoff, Delays

log = logging.getLogger(__name__)

MOST_AGE_S: Final = 240.0
SHARE_OF_LIFE: Final = 4
"""A session waits at most for this part of the time until it expires."""
_CONFIGURE_S: Final = 8.0
_STEADY_S: Final = 30.0
"""A session that was lost sooner counts as a failed attempt."""
_TAKEN: Final = "taken"
BACKOFF: Final = Backoff(first_s=0.5, most_s=30.0)


class WarmSession:
    """Listens to its socket until a call's link does."""

    def __init__(self, socket: VoiceSocket, resource: str, request_id: str, setup: SessionSetup) -> None:
        self.socket = socket
        self.resource = resource
        self.request_id = request_id
        self.setup = setup
        loop = asyncio.get_running_loop()
        self._configured: asyncio.Future[SessionUpdated] = loop.create_future()
        self._over: asyncio.Future[str] = loop.create_future()

    @property
    def configured(self) -> SessionUpdated:
        return self._configured.result()

    @property
    def refusals(self) -> list[str]:
        return self.setup.refusals

    async def configure(self) -> None:
        """Raises `OutsideError`."""
        self.setup.begin()
        self.socket.listen(self)
        try:
            async with asyncio.timeout(_CONFIGURE_S):
                await self._configured
        except TimeoutError as error:
            raise OutsideError("the voice session was not configured in time", retry=True) from error

    async def until_over(self, within_s: float) -> str:
        """Why it need not be kept any more; "" when it has only grown old."""
        await asyncio.wait([self._over], timeout=within_s)
        return self._over.result() if self._over.done() else ""

    def end(self, why: str) -> None:
        if not self._over.done():
            self._over.set_result(why)

    # -- voice_live_client.Listener
    def on_message(self, message: memoryview | bytes) -> None:
        try:
            event = decode(message)
        except FrameError as error:
            metrics.BAD_EVENTS.inc()
            log.warning("malformed event from Voice Live", extra=fields(error=error.message))
            return
        if self._configured.done():
            return
        if isinstance(event, SessionUpdated):
            self._configured.set_result(event)
            return
        for answer in self.setup.answer(event):
            self.socket.send(encode(answer))
        if self.setup.hopeless:
            self._fail(OutsideError(f"session.update refused: {self.setup.error}", retry=False))

    def on_writable(self) -> None:
        pass

    def on_lost(self, why: SocketClosedError) -> None:
        reason = f"Voice Live refused the session: {self.setup.error}" if self.setup.error else why.message
        self._fail(OutsideError(reason, retry=True))
        self.end(why.message)

    def _fail(self, why: OutsideError) -> None:
        if not self._configured.done():
            self._configured.set_exception(why)


@dataclass(frozen=True, slots=True)
class WarmPoolConfig:
    """How many sessions to keep, and how each is opened and configured."""

    voice: VoiceResources
    plan: SessionProfile
    count: int
    most_age_s: float = MOST_AGE_S
    backoff: Backoff = BACKOFF


class WarmPool:
    """`run` keeps them until cancelled; what fails there is no call's concern. Without a shelf there are none."""

    def __init__(self, shelf: WarmPoolConfig | None = None) -> None:
        self._shelf = shelf
        self._ready: deque[WarmSession] = deque()

    def __len__(self) -> int:
        return len(self._ready)

    def take(self, suits: Callable[[SessionSetup], bool]) -> WarmSession | None:
        """The session that waits for the longest time, of those that suit: it is the caller's from now on."""
        for session in self._ready:
            if session.socket.lost is None and suits(session.setup):
                self._ready.remove(session)
                session.end(_TAKEN)
                metrics.WARM_SESSIONS.set(len(self._ready))
                return session
        return None

    async def run(self) -> None:
        if self._shelf is None:
            return
        async with asyncio.TaskGroup() as tasks:
            for _ in range(self._shelf.count):
                tasks.create_task(self._keep_one(self._shelf))

    async def _keep_one(self, shelf: WarmPoolConfig) -> None:
        waits: Delays | None = None
        while True:
            began = asyncio.get_running_loop().time()
            failure = await self._one(shelf)
            now = asyncio.get_running_loop().time()
            if not failure or now - began > _STEADY_S:
                waits = None
            if not failure:
                continue
            if waits is None:
                waits = shelf.backoff.delays()
                log.warning("no warm voice session", extra=fields(error=failure))
            await asyncio.sleep(waits.after_failure(now) or shelf.backoff.most_s)

    async def _one(self, shelf: WarmPoolConfig) -> str:
        """A session from its handshake until it was taken, grew old or was lost; why, when it failed."""
        try:
            session = await open_session(shelf.voice, shelf.plan)
        except NoConnectionError as error:
            await asyncio.sleep(error.wait_s)
            return error.message
        except BridgeError as error:
            return error.message
        except Exception:
            log.exception("warm voice session failed")
            return "see the log"
        try:
            self._ready.append(session)
            metrics.WARM_SESSIONS.set(len(self._ready))
            why = await session.until_over(_wait_s(shelf, session))
        finally:
            if session in self._ready:
                self._ready.remove(session)
                metrics.WARM_SESSIONS.set(len(self._ready))
                await session.socket.close()
        return "" if why == _TAKEN else why


async def open_session(
    voice: VoiceResources,
    plan: SessionProfile,
    urgency: Urgency = Urgency.SPARE,
    *,
    conversation_id: str = "",
    begun_on: str = "",
) -> WarmSession:
    """A session that is configured and waits for a call. Raises `BridgeError`."""
    request_id = str(uuid.uuid4())
    opened = await voice.dial(request_id, urgency, conversation_id=conversation_id, begun_on=begun_on)
    socket = opened.socket
    session = WarmSession(socket, opened.resource, request_id, SessionSetup(plan.session, plan.essential_session))
    try:
        await session.configure()
    except BaseException:
        await socket.close()
        raise
    log.info("warm voice session", extra=fields(request_id=request_id, session_id=session.configured.session_id))
    return session


def _wait_s(shelf: WarmPoolConfig, session: WarmSession) -> float:
    expires_at_s = session.configured.expires_at_s
    if not expires_at_s:
        return shelf.most_age_s
    # Not less, whatever the clocks say: each replacement is a connection of the few that a minute allows.
    return min(shelf.most_age_s, max((expires_at_s - time.time()) / SHARE_OF_LIFE, _STEADY_S))
