"""The media socket of one call: ACS connects it, sends 50 frames a second, and reconnects it after a loss."""

from __future__ import annotations

import asyncio
import base64
import binascii
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial

from lab.acs.acs_faults import MediaFault
from lab.acs.caller_uplink import Marks
from lab.acs.calls import MediaOptions, SimulatedCall
from lab.acs.media_codec import (
    AudioEncoder,
    AudioIn,
    Malformed,
    StopAudio,
    decode,
    encode_dtmf,
    encode_metadata,
    encode_timestamp,
    encode_unix_time,
    frame_bytes,
)
from lab.acs.media_socket_client import MediaSocketClient, SocketRefusedError, open_media_socket
from lab.acs.party_identifiers import Identifier
from lab.acs.shared_state import SharedState
from lab.acs.speaker_frames import SpeakerFrame, SpeakerFrames
from lab.simulator import log

NORMAL_CLOSURE = 1000


def media_headers(call: SimulatedCall, shared: SharedState) -> dict[str, str]:
    token = shared.tokens.acs_token(datetime.now(UTC), shared.settings.socket_token_s)
    return {
        "Authorization": f"Bearer {token}",
        "x-ms-call-connection-id": call.connection_id,
        "x-ms-call-correlation-id": call.correlation_id,
    }


class MediaLink:
    """The media socket of one call. Calls `on_lost(code)` when an open socket is closed by anything but `close`."""

    def __init__(self, call: SimulatedCall, shared: SharedState, on_lost: Callable[[int], None]) -> None:
        self._call = call
        self._shared = shared
        self._on_lost = on_lost
        self._socket: MediaSocketClient | None = None
        self._dials = 0
        self._settled = False
        """True from a successful `dial` until `close`. Only in this state is a closed socket reported as lost."""
        self._drop_timer: asyncio.TimerHandle | None = None
        self._encoders: dict[str | None, AudioEncoder] = {}
        self._speakers = SpeakerFrames()
        self._silence = b""
        self.key_sound = False
        """Whether the sound of pressed keys is in the caller's audio."""

    @property
    def is_open(self) -> bool:
        return self._socket is not None and self._socket.is_open

    async def dial(self, options: MediaOptions) -> None:
        """Open the socket and send AudioMetadata. Raises `SocketRefusedError` if the upgrade fails or takes too
        long.
        """
        self._call.note("media_dialling")
        fault = self._shared.faults.media()
        if fault is not None and fault.refuse:
            raise SocketRefusedError("refused by an injected fault")
        self._dials += 1
        # A previous socket may close late; its messages and its close frame are ignored.
        receive, closed = partial(self._receive, self._dials), partial(self._closed, self._dials)
        headers = media_headers(self._call, self._shared)
        timeout_s = self._shared.settings.media_connect_timeout_s
        socket = await open_media_socket(options.transport_url, headers, receive, closed, timeout_s)
        if not socket.is_open:
            raise SocketRefusedError("the server closed the connection right after the upgrade")
        self._silence = bytes(frame_bytes(options.rate_hz))
        self._call.subscription_id = str(uuid.uuid4())
        self._call.counters["media_connects"] += 1
        self._call.note("media_open", attempt=self._call.counters["media_connects"])
        log.info("media socket open", extra={"call": self._call.id})
        socket.send_text(encode_metadata(self._call.subscription_id, options.rate_hz))
        self._socket = socket
        self._settled = True
        if fault is not None:
            self._apply(fault, socket)

    def send_frames(self, now: float) -> None:
        """Send the last frame of each person in the call, or one of all. If the socket is not open, count the frames as
        lost.
        """
        call, forms = self._call, self._shared.forms(self._call)
        if call.media is not None and not call.media.unmixed:
            self._send(self._speakers.mixed(call.lines, forms))
            return
        own = self._speakers.own(call.lines, forms, call.app.raw_id)
        for frame in (*self._speakers.unmixed(call.lines, forms, now, caller=call.caller.raw_id), *own):
            self._send(frame)

    def _send(self, frame: SpeakerFrame) -> None:
        if self._socket is None or not self._socket.is_open:
            self._call.counters["frames_lost"] += 1
            return
        pcm = None if self._call.media_suspended == "silent" else frame.pcm
        flagged = pcm is None and self._shared.settings.silent_flag
        timestamp = encode_timestamp(datetime.now(UTC) - timedelta(milliseconds=frame.lag_ms))
        message = self._encoder(frame.raw_id).encode(pcm or self._silence, timestamp, silent=flagged)
        self._socket.send_text(message)
        self._call.counters["frames_sent"] += 1

    def _encoder(self, raw_id: str | None) -> AudioEncoder:
        encoder = self._encoders.get(raw_id)
        if encoder is None:
            encoder = self._encoders[raw_id] = AudioEncoder(raw_id)
        return encoder

    def send_mark(self, marks: Marks) -> None:
        """Send the next numbered frame (mark) and record the time of the write to the socket."""
        socket = self._socket
        if socket is None or not socket.is_open:
            self._call.counters["frames_lost"] += 1
            return
        media = self._call.media
        encoder = self._encoder(self._call.caller.raw_id if media is None or media.unmixed else "")
        message = encoder.encode_base64(marks.next_base64(), encode_unix_time(time.time()))
        now = time.monotonic()
        if socket.send_text(message):
            marks.was_sent(now)
            self._call.counters["frames_sent"] += 1

    def send_dtmf(self, tone: str, party: Identifier) -> None:
        if self._socket is not None:
            named = self._shared.forms(self._call).dtmf_id == "present"
            self._socket.send_text(encode_dtmf(tone, party.raw_id if named else ""))

    def cut(self) -> None:
        socket, self._socket = self._socket, None
        self._settled = False
        self._stop_drop_timer()
        if socket is not None:
            socket.cut()

    async def close(self) -> None:
        socket, self._socket = self._socket, None
        self._settled = False
        self._stop_drop_timer()
        if socket is not None:
            await socket.close(NORMAL_CLOSURE)

    def _receive(self, dial: int, message: bytes, now: float) -> None:
        call = self._call
        if dial != self._dials:
            return
        if call.media is None or not call.media.bidirectional:
            call.counters["messages_ignored"] += 1
            return
        match decode(message):
            case AudioIn(pcm):
                if call.first_audio_at is None:
                    call.first_audio_at = now
                call.counters["frames_heard"] += 1
                call.counters["bytes_heard"] += len(pcm)
                for line in call.lines.values() if call.media_suspended != "silent" else ():
                    line.play(pcm, now)
            case StopAudio():
                call.counters["stop_audio"] += 1
                cleared = max((line.clear(now) for line in call.lines.values()), default=0.0)
                call.note("stop_audio", t=now, cleared_ms=round(cleared, 1))
            case Malformed(reason):
                call.counters["malformed"] += 1
                if call.counters["malformed"] == 1:
                    call.note("malformed_message", t=now, reason=reason)
            case _:
                call.counters["unknown_kinds"] += 1

    def _closed(self, dial: int, code: int) -> None:
        log.info("media socket closed", extra={"call": self._call.id, "code": code})
        if dial != self._dials:
            self._call.note("old_media_closed", code=code)
            return
        self._call.note("media_closed", code=code, by="server" if self._settled else "acs")
        if not self._settled:
            return
        self._stop_drop_timer()
        self._settled = False
        self._socket = None
        for line in self._call.lines.values():
            line.clear(time.monotonic())
        self._on_lost(code)

    def _apply(self, fault: MediaFault, socket: MediaSocketClient) -> None:
        self.key_sound = fault.key_sound
        for odd in fault.odd_frames:
            if odd.text is not None:
                socket.send_text(odd.text.encode())
            if odd.binary_base64 is not None:
                try:
                    socket.send_binary(base64.b64decode(odd.binary_base64))
                except binascii.Error:
                    self._call.note("odd_frame_not_sent", reason="`binary_base64` is not valid base64")
        if fault.drop_after_s is not None:
            self._drop_timer = asyncio.get_running_loop().call_later(fault.drop_after_s, socket.cut)

    def _stop_drop_timer(self) -> None:
        if self._drop_timer is not None:
            self._drop_timer.cancel()
            self._drop_timer = None
