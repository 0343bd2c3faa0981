"""Media streaming of one call: start, stop, loss and reconnect, with their callbacks."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine

from lab.acs import callback_events as events
from lab.acs.callback_delivery import CallbackQueue
from lab.acs.calls import MediaOptions, SimulatedCall
from lab.acs.media_client import NORMAL_CLOSURE, MediaLink
from lab.acs.media_socket_client import SocketRefusedError
from lab.acs.shared_state import SharedState

Spawn = Callable[[Coroutine[object, object, None]], asyncio.Task[None]]


class Streaming:
    """Media streaming of one call.

    The behavior of ACS after the server has closed the socket is not documented. In the simulator a close with 1000
    stops streaming; otherwise `media_redial`, `media_loss_callback` and `media_loss_context` apply.
    """

    def __init__(
        self,
        call: SimulatedCall,
        shared: SharedState,
        callbacks: CallbackQueue,
        spawn: Spawn,
        opened: Callable[[], None],
    ) -> None:
        self.link = MediaLink(call, shared, self._lost)
        self._call = call
        self._shared = shared
        self._callbacks = callbacks
        self._spawn = spawn
        self._opened = opened
        self._redial: asyncio.Task[None] | None = None
        self._start_context: str | None = None
        """operationContext of the last startMediaStreaming."""

    async def open(self, media: MediaOptions) -> None:
        """Connect the media socket. Raises `SocketRefusedError`; streaming is then inactive."""
        try:
            await self.link.dial(media)
        except SocketRefusedError as error:
            self._call.note("media_refused", reason=str(error))
            raise
        self._call.media_state = "active"
        self._opened()

    async def begin(self, media: MediaOptions) -> str | None:
        """Connect the media socket for the start of streaming. Returns the error, or None."""
        form, settings = self._shared.forms(self._call).refused_media, self._shared.settings
        refused = await self._attempt(media)
        for _ in range(settings.media_redial_attempts if form == "redialed" else 0):
            if refused is None:
                break
            await asyncio.sleep(settings.media_redial_spacing_s)
            refused = await self._attempt(media)
        if refused is not None:
            self._call.media_state = "active" if form == "silent" else "inactive"
        return refused

    async def _attempt(self, media: MediaOptions) -> str | None:
        try:
            await self.open(media)
        except SocketRefusedError as error:
            return str(error)
        return None

    def report_start(self, refused: str | None, context: str | None = None, url: str | None = None) -> None:
        """Report in a callback that streaming started, or failed to start with the error `refused`."""
        if refused is not None and self._shared.forms(self._call).refused_media == "silent":
            return
        if refused is None:
            self._call.note("media_streaming_started")
            started = events.media_streaming(self._call, "Started", "subscriptionStarted", context)
            self._callbacks.put(started, url=url)
        else:
            self._call.note("media_streaming_failed", sub_code=8581)
            self._callbacks.put(events.stream_connect_failed(self._call, context), url=url)

    async def start(self, media: MediaOptions, context: str | None, url: str | None) -> None:
        self._start_context = context
        self.report_start(await self.begin(media), context, url)

    async def reopen(self) -> None:
        """Close the media socket and connect it again, as after a change of the call."""
        media = self._call.media
        await self.link.close()
        if media is None or self._call.ended.is_set():
            return
        try:
            await self.open(media)
        except SocketRefusedError:
            self._call.media_state = "inactive"
            self._failed("streamConnectionUnsuccessful")
        else:
            self._callbacks.put(events.media_streaming(self._call, "Started", "streamConnectionReestablished"))

    async def stop(self, context: str | None, url: str | None) -> None:
        self._call.media_state = "inactive"
        if self._redial is not None:
            self._redial.cancel()
        await self.link.close()
        self._stopped(context, url)

    def _stopped(self, context: str | None = None, url: str | None = None) -> None:
        self._call.note("media_streaming_stopped")
        self._callbacks.put(events.media_streaming(self._call, "Stopped", "subscriptionStopped", context), url=url)

    def _lost(self, code: int) -> None:
        call = self._call
        if call.ended.is_set():
            return
        if code == NORMAL_CLOSURE:
            call.media_state = "inactive"
            self._stopped()
        elif self._shared.settings.media_redial == "off":
            self._failed("streamConnectionInterrupted")
        else:
            self._redial = self._spawn(self._dial_again())

    async def _dial_again(self) -> None:
        call, settings = self._call, self._shared.settings
        assert call.media is not None
        for _ in range(1 if settings.media_redial == "once" else settings.media_redial_attempts):
            await asyncio.sleep(settings.media_redial_spacing_s)
            try:
                await self.open(call.media)
            except SocketRefusedError:
                continue
            call.note("media_streaming_started", reestablished=True)
            self._callbacks.put(events.media_streaming(call, "Started", "streamConnectionReestablished"))
            return
        self._failed("streamConnectionUnsuccessful")

    def _failed(self, details: str) -> None:
        call, settings = self._call, self._shared.settings
        call.note("media_given_up", callback=settings.media_loss_callback)
        if settings.media_loss_callback == "none":
            return
        call.media_state = "inactive"
        contexts = {"answer": None, "start": self._start_context, "none": ""}
        context = contexts[settings.media_loss_context]
        if settings.media_loss_callback == "stopped":
            self._stopped(context)
        else:
            call.note("media_streaming_failed", sub_code=8603)
            self._callbacks.put(events.stream_lost(call, details, context))
