"""Call Automation client of call-control."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from azure.communication.callautomation import (
    AudioFormat,
    CallConnectionProperties,
    MediaStreamingAudioChannelType,
    MediaStreamingContentType,
    MediaStreamingOptions,
    StreamingTransportType,
)

from call_control.acs_people import AcsPeople
from call_control.acs_requests import DEADLINE_S, AcsError, AcsRefusal, party, repeatable
from call_control.core.connection_string import AcsAddress

__all__ = ["AcsClient", "AcsError", "AcsRefusal", "Connection", "MediaFormat"]

_FORMATS: Final = {"pcm16k": AudioFormat.PCM16_K_MONO, "pcm24k": AudioFormat.PCM24_K_MONO}


@dataclass(frozen=True, slots=True)
class MediaFormat:
    audio_format: str
    """`pcm16k` or `pcm24k`, both directions."""
    channels: str
    """`mixed` or `unmixed`."""


@dataclass(frozen=True, slots=True)
class Connection:
    """A call as ACS describes it; `state` is e.g. `connecting`, `connected`."""

    connection_id: str
    state: str


class AcsClient(AcsPeople):
    """Sends Call Automation requests; one instance per process. Methods raise `AcsError`. Call `aclose` at the end."""

    def __init__(self, address: AcsAddress, media: MediaFormat, *, deadline_s: float = DEADLINE_S) -> None:
        super().__init__(address, deadline_s=deadline_s)
        self._media = media

    async def answer(
        self, context: str, *, callback_url: str, media_url: str, operation_context: str, request_id: str
    ) -> Connection:
        media = MediaStreamingOptions(
            transport_url=media_url,
            transport_type=StreamingTransportType.WEBSOCKET,
            content_type=MediaStreamingContentType.AUDIO,
            audio_channel_type=MediaStreamingAudioChannelType(self._media.channels),
            start_media_streaming=True,
            enable_bidirectional=True,
            audio_format=_FORMATS[self._media.audio_format],
            enable_dtmf_tones=True,
        )
        headers = repeatable(request_id)
        properties = await self._ask(
            "answer",
            lambda: self._client.answer_call(
                context, callback_url, media_streaming=media, operation_context=operation_context, headers=headers
            ),
        )
        return _connection(properties)

    async def reject(self, context: str, reason: str, *, request_id: str) -> None:
        headers = repeatable(request_id)
        await self._ask("reject", lambda: self._client.reject_call(context, call_reject_reason=reason, headers=headers))

    async def redirect(self, context: str, target: str, *, request_id: str) -> None:
        """Redirect a ringing call to `target`, a raw id."""
        headers = repeatable(request_id)
        await self._ask("redirect", lambda: self._client.redirect_call(context, party(target), headers=headers))

    async def hang_up(self, connection_id: str, *, request_id: str) -> None:
        """End the call for all participants, the caller included."""
        headers = repeatable(request_id)
        call = self._call(connection_id)
        await self._ask("hang up", lambda: call.hang_up(True, headers=headers))

    async def leave(self, connection_id: str) -> None:
        """Leave the call. With one other participant the call ends; with more, ACS leaves open what happens to them."""
        call = self._call(connection_id)
        await self._act("leave", lambda: call.hang_up(False))

    async def start_media_streaming(self, connection_id: str, *, operation_context: str) -> None:
        """Ask ACS to connect to the media URL of the answer request."""
        call = self._call(connection_id)
        await self._ask(
            "start media streaming", lambda: call.start_media_streaming(operation_context=operation_context)
        )

    async def stop_media_streaming(self, connection_id: str, *, operation_context: str) -> None:
        call = self._call(connection_id)
        await self._ask("stop media streaming", lambda: call.stop_media_streaming(operation_context=operation_context))

    async def look_up(self, connection_id: str) -> Connection:
        call = self._call(connection_id)
        return _connection(await self._ask("look up", call.get_call_properties))


def _connection(properties: CallConnectionProperties) -> Connection:
    state = properties.call_connection_state
    return Connection(properties.call_connection_id or "", str(getattr(state, "value", state) or ""))
