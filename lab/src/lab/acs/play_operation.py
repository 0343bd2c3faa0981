"""The Play operation: ACS itself plays a WAV file or speaks text to everyone in the call, or to named participants.

The ACS docs do not state how Play combines with bidirectional streaming; the simulator mixes both.
"""

from __future__ import annotations

import asyncio
import io
import time
import wave
from collections.abc import Mapping

import aiohttp

from lab.acs import callback_events as events
from lab.acs.acs_errors import AcsApiError, NotSimulatedError, invalid_field
from lab.acs.caller import decode_wav
from lab.acs.caller_line import CallerLine
from lab.acs.leg import Leg
from lab.acs.operation import AnswerOperation, Request, decode_url
from lab.acs.party_identifiers import decode_identifier
from lab.speech import synthesize

FILE_RATE_HZ = 16_000
MAX_FILE_BYTES = 20 << 20
_TIMEOUT = aiohttp.ClientTimeout(total=10)


class PlayError(Exception):
    """The prompt could not be played. `sub_code` is reported in PlayFailed."""

    def __init__(self, sub_code: int, message: str) -> None:
        super().__init__(message)
        self.sub_code = sub_code


async def play(request: Request) -> AnswerOperation:
    leg = request.connected_leg()
    sources = request.body.get("playSources")
    if not isinstance(sources, list) or not sources or not all(isinstance(source, Mapping) for source in sources):
        raise invalid_field("playSources")
    for source in sources:
        check_source(source)
        if source.get("playSourceCacheId"):
            request.pretend("play.playSources.playSourceCacheId")
        if source["kind"] == "text":
            request.pretend("play.playSources.text")
    named = request.body.get("playTo") or []
    if not isinstance(named, list):
        raise invalid_field("playTo")
    targets = [leg.participant(decode_identifier(one, "playTo")).identifier.raw_id for one in named]
    if targets and leg.targeted_prompt is not None and not leg.targeted_prompt.done():
        raise AcsApiError("A media operation to a participant is in progress.", status=412, code="8583")
    if request.body.get("interruptCallMediaOperation") is True:
        _stop(leg)
    context, url = request.context, request.operation_callback_url
    listeners = _listeners(leg, targets)
    leg.prompt = leg.spawn(_play(leg, sources, listeners, context, url))
    if targets:
        leg.targeted_prompt = leg.prompt
    return AnswerOperation(202)


def _listeners(leg: Leg, targets: list[str]) -> list[CallerLine]:
    lines = leg.call.lines
    if not targets or leg.shared.forms(leg.call).play_to == "everyone":
        return [*lines.values()]
    return [lines[raw_id] for raw_id in targets if raw_id in lines]


def _stop(leg: Leg) -> None:
    if leg.prompt is not None:
        leg.prompt.cancel()
    for line in leg.call.lines.values():
        line.prompts.clear(time.monotonic())


async def cancel_all_media_operations(request: Request) -> AnswerOperation:
    leg = request.connected_leg()
    _stop(leg)
    return AnswerOperation(202)


def check_source(source: Mapping[str, object]) -> None:
    """Raises `InvalidArgumentError` or `NotSimulatedError` for a play source that cannot be played."""
    kind, body = source.get("kind"), source.get(str(source.get("kind")))
    if not isinstance(body, Mapping) or kind not in {"file", "text", "ssml"}:
        raise invalid_field("playSources")
    if kind == "ssml":
        raise NotSimulatedError("SSML prompts are not simulated.")
    if kind == "file":
        decode_url(body.get("uri"), "playSources.file.uri", ("https", "http"))


async def _play(
    leg: Leg,
    sources: list[Mapping[str, object]],
    listeners: list[CallerLine],
    context: str | None,
    url: str | None,
) -> None:
    rate_hz = listeners[0].rate_hz if listeners else FILE_RATE_HZ
    paused = [audio for audio in leg.held.values() if audio.line in listeners]
    try:
        for index, source in enumerate(sources):
            try:
                pcm = await render_source(leg, source, rate_hz)
            except PlayError as error:
                failed = events.failed(
                    leg.call, "PlayFailed", context, 400, error.sub_code, str(error), failedPlaySourceIndex=index
                )
                leg.callbacks.put(failed, url=url)
                return
            if index == 0:
                for audio in paused:
                    audio.pause()
                leg.call.note("play_started")
                leg.callbacks.put(events.completed(leg.call, "PlayStarted", context), url=url)
            for line in listeners:
                line.prompts.add(pcm, time.monotonic())
        await asyncio.sleep(max((line.prompts.queued_ms for line in listeners), default=0.0) / 1000)
        for audio in paused:
            audio.resume()
        leg.call.note("play_completed")
        leg.callbacks.put(events.completed(leg.call, "PlayCompleted", context), url=url)
    except asyncio.CancelledError:
        for audio in paused:
            audio.resume()
        if not leg.call.ended.is_set():
            canceled = events.failed(leg.call, "PlayCanceled", context, 400, 8508, "Action was canceled.")
            leg.callbacks.put(canceled, url=url)
        raise


async def render_source(leg: Leg, source: Mapping[str, object], rate_hz: int) -> bytes:
    """Return the audio of a checked source as PCM16LE. Raises `PlayError`."""
    body = source[str(source["kind"])]
    assert isinstance(body, Mapping)
    if source["kind"] == "text":
        return await asyncio.to_thread(synthesize, str(body.get("text") or ""), rate_hz)
    try:
        async with leg.shared.http.get(str(body["uri"]), timeout=_TIMEOUT) as response:
            response.raise_for_status()
            if (response.content_length or 0) > MAX_FILE_BYTES:
                raise PlayError(8535, "Action failed, the file is too large.")
            content = await response.read()
    except (aiohttp.ClientError, TimeoutError) as error:
        raise PlayError(
            8536, f"Action failed, file could not be downloaded: {str(error) or type(error).__name__}"
        ) from error
    return decode_prompt(content, rate_hz)


def decode_prompt(content: bytes, rate_hz: int) -> bytes:
    """Decode a WAV prompt. Like ACS, it accepts only mono 16-bit WAV at 16 kHz. Raises `PlayError`."""
    try:
        with wave.open(io.BytesIO(content)) as reader:
            form = (reader.getnchannels(), reader.getsampwidth(), reader.getframerate())
        if form != (1, 2, FILE_RATE_HZ):
            raise ValueError(f"{form[0]} channels, {form[1] * 8} bits, {form[2]} Hz")
        return decode_wav(content, rate_hz)
    except (wave.Error, EOFError, ValueError) as error:
        raise PlayError(8535, f"Action failed, file format is invalid: {error}") from error
