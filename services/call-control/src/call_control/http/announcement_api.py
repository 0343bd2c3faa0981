"""`POST /api/calls/{call_id}/say`: an announcement by the agent's voice, complete or while it is being written.

Pieces of the text are appended to the announcement stream of the call as they arrive; the relay of the call speaks
them. See docs/api.md.
"""

from __future__ import annotations

import asyncio
import logging
import math
import secrets
from collections.abc import AsyncIterator
from typing import Final

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from bridge_common.base.errors import BridgeError, InputError, PayloadTooLargeError
from bridge_common.base.ids import is_call_id
from bridge_common.base.log import fields
from bridge_common.observability.telemetry import Label, counter
from bridge_common.store.announcement_store import Added, AnnouncementOutcome, AnnouncementStore
from bridge_common.wire.entries import Say
from call_control.core.announcement_text import JsonLinesText, PlainText, TextDecoder, decode_announcement
from call_control.http.audit import audit_of
from call_control.http.error_responses import (
    BusyError,
    ConflictError,
    InterruptedSayError,
    NotFoundError,
    SlowBodyError,
    UnsupportedMediaError,
    read_body,
)
from call_control.http.operator_access import Operators

log = logging.getLogger(__name__)

SILENCE_S: Final = 15.0
"""Longest pause within the text of one request."""
_GATHER_S: Final = 0.05
"""Small pieces of text are collected for this time."""
_PIECE: Final = 1000
"""Maximum characters in one entry."""
_STREAMED: Final[dict[str, type[TextDecoder]]] = {"text/plain": PlainText, "application/x-ndjson": JsonLinesText}
_FLAGS: Final = {"": False, "false": False, "0": False, "true": True, "1": True}

_ANNOUNCEMENTS: Final = counter(
    "bridge_says", "Accepted announcements, by content type", Label("form", ("application/json", *_STREAMED))
)


class AnnouncementApi:
    def __init__(
        self,
        store: AnnouncementStore,
        operators: Operators,
        *,
        most_characters: int,
        most_a_minute: int,
        silence_s: float = SILENCE_S,
    ) -> None:
        self._store = store
        self._operators = operators
        self._silence_s = silence_s
        self._most_characters = most_characters
        self._most_a_minute = most_a_minute

    def routes(self) -> list[Route]:
        return [self._operators.route("POST", "/api/calls/{call_id}/say", self.say, "say")]

    async def say(self, request: Request) -> Response:
        """Accept an announcement. 202: the complete text is stored. The transcript shows how much of it was heard."""
        call_id = request.path_params["call_id"]
        if not is_call_id(call_id):
            raise NotFoundError("the path does not contain a valid call id")
        interrupt = _FLAGS.get(request.query_params.get("interrupt", "").lower())
        if interrupt is None:
            raise InputError("`interrupt` must be true or false")
        form, _, parameters = request.headers.get("content-type", "").lower().partition(";")
        if form.strip() == "application/json":
            body = decode_announcement(await read_body(request, 6 * self._most_characters + 4096))
            announcement = self._announcement(call_id, interrupt=interrupt or body.interrupt)
            if len(body.text) > self._most_characters:
                raise self._too_long()
            await announcement.add(body.text, last=True)
        elif (decoder := _STREAMED.get(form.strip())) and _is_utf8(parameters):
            announcement = self._announcement(call_id, interrupt=interrupt)
            await self._forward(request, decoder(), announcement)
        else:
            raise UnsupportedMediaError(
                f"unsupported content type; send {', '.join(['application/json', *_STREAMED])}, in UTF-8"
            )
        _ANNOUNCEMENTS.labels(form.strip()).inc()
        audit_of(request).more["say_id"] = announcement.say_id
        log.info(
            "announcement accepted",
            extra=fields(call_id=call_id, say_id=announcement.say_id, form=form, characters=announcement.characters),
        )
        return JSONResponse(
            {"call_id": call_id, "say_id": announcement.say_id, "characters": announcement.characters}, 202
        )

    async def _forward(self, request: Request, decoder: TextDecoder, text: _Announcement) -> None:
        """Append the text piece by piece. If the request is aborted, the announcement ends with the text so far."""
        try:
            async for part, last in _gathered(request, self._silence_s):
                piece = decoder.feed(part, last=last)
                if text.characters + len(piece) > self._most_characters:
                    raise self._too_long()
                await text.add(piece, last=last)
        except BridgeError:
            await text.break_off()
            raise

    def _announcement(self, call_id: str, *, interrupt: bool) -> _Announcement:
        return _Announcement(self._store, call_id, self._most_a_minute, interrupt=interrupt)

    def _too_long(self) -> PayloadTooLargeError:
        return PayloadTooLargeError(f"the text has more than {self._most_characters} characters; send a shorter one")


class _Announcement:
    """The announcement of one request."""

    def __init__(self, store: AnnouncementStore, call_id: str, most_a_minute: int, *, interrupt: bool) -> None:
        self.say_id = f"say_{secrets.token_hex(8)}"
        self.characters = 0
        self._store = store
        self._call_id = call_id
        self._most_a_minute = most_a_minute
        self._interrupt = interrupt
        self._whole = False

    async def add(self, text: str, *, last: bool = False) -> None:
        """Append a piece of text. Raises `NotFoundError`, `ConflictError`, `InterruptedSayError` or `BusyError` if the
        call does not accept it, and `InputError` if the whole text is empty.
        """
        text = text if self.characters else text.lstrip()
        if last and not text and not self.characters:
            raise InputError("the text is empty")
        pieces = [text[at : at + _PIECE] for at in range(0, len(text), _PIECE)] or ([""] if last else [])
        for number, piece in enumerate(pieces, 1):
            await self._put(piece, last=last and number == len(pieces))

    async def _put(self, piece: str, *, last: bool) -> None:
        entry = Say(self.say_id, self.characters, piece, last=last, interrupt=self._interrupt and not self.characters)
        added = await self._store.add(self._call_id, entry, most_a_minute=self._most_a_minute)
        if added.outcome is not AnnouncementOutcome.ADDED:
            self._whole = True
            raise _refusal(added)
        self.characters += len(piece)
        self._whole = last

    async def break_off(self) -> None:
        if not self.characters or self._whole:
            return
        try:
            await self._put("", last=True)
        except BridgeError as error:
            # The relay ends the announcement after a pause.
            log.info(
                "failed to store end of announcement",
                extra=fields(call_id=self._call_id, say_id=self.say_id, reason=error.message),
            )


def _refusal(added: Added) -> BridgeError:
    retry_s = math.ceil(added.retry_ms / 1000)
    match added.outcome:
        case AnnouncementOutcome.UNKNOWN:
            return NotFoundError("unknown call, or its record has expired")
        case AnnouncementOutcome.ENDED:
            return ConflictError("the call has already ended")
        case AnnouncementOutcome.INTERRUPTED:
            return InterruptedSayError(
                "the rest of the announcement will not be spoken: it was interrupted, or the voice service failed"
            )
        case AnnouncementOutcome.FULL:
            return BusyError("too much announcement text is pending in this call; retry later", retry_after_s=retry_s)
        case _:
            return BusyError("too many announcements in this call within a minute; retry later", retry_after_s=retry_s)


def _is_utf8(parameters: str) -> bool:
    _, _, charset = parameters.partition("charset=")
    return charset.strip().strip('"') in ("", "utf-8", "utf8", "us-ascii")


async def _gathered(request: Request, silence_s: float) -> AsyncIterator[tuple[bytes, bool]]:
    """Yield the body as it arrives, collected for `_GATHER_S`, and whether it is complete."""
    loop = asyncio.get_running_loop()
    parts = request.stream()

    async def next_part() -> bytes | None:
        return await anext(parts, None)

    gathered, due = b"", loop.time()
    coming = asyncio.create_task(next_part())
    try:
        while True:
            await asyncio.wait({coming}, timeout=max(due - loop.time(), 0) if gathered else silence_s)
            if coming.done():
                part = coming.result()
                if part is None:
                    yield gathered, True
                    return
                gathered += part
                coming = asyncio.create_task(next_part())
            elif not gathered:
                raise SlowBodyError(f"no text arrived for {silence_s:.0f} s")
            if gathered and loop.time() >= due:
                yield gathered, False
                gathered, due = b"", loop.time() + _GATHER_S
    except ClientDisconnect as error:
        raise InputError("the client disconnected before the text was complete") from error
    finally:
        coming.cancel()
