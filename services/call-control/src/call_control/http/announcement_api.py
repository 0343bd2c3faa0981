"""`POST /api/calls/{call_id}/say`: text for the agent's voice, at once or while it is still being written.

The pieces go to the call's say stream as they come; the relay that holds the call speaks them. Described for people in
docs/api.md.
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

from bridge_common.base.errors import BridgeError, InputError, OutsideError, PayloadTooLargeError
from bridge_common.base.ids import is_call_id
from bridge_common.base.log import fields
from bridge_common.observability.telemetry import Label, counter
from bridge_common.store.announcement_store import Added, AnnouncementOutcome, AnnouncementStore
from bridge_common.wire.entries import Say
from call_control.core.announcement_text import JsonLinesText, PlainText, TextDecoder, read_fields
from call_control.http.audit import asked_of
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
"""A body that is still being written may pause for so long."""
_GATHER_S: Final = 0.05
"""Text that comes in crumbs is passed on this seldom."""
_PIECE: Final = 1000
"""Characters of one entry."""
_STREAMED: Final[dict[str, type[TextDecoder]]] = {"text/plain": PlainText, "application/x-ndjson": JsonLinesText}
_FLAGS: Final = {"": False, "false": False, "0": False, "true": True, "1": True}

_SAYS: Final = counter(
    "bridge_says", "Requests to say something, by how the text came", Label("form", ("application/json", *_STREAMED))
)


class AnnouncementApi:
    def __init__(
        self, store: AnnouncementStore, operators: Operators, *, most_characters: int, most_a_minute: int
    ) -> None:
        self._store = store
        self._operators = operators
        self._most_characters = most_characters
        self._most_a_minute = most_a_minute

    def routes(self) -> list[Route]:
        return [self._operators.route("POST", "/api/calls/{call_id}/say", self.say, "say")]

    async def say(self, request: Request) -> Response:
        """202 when all of the text is with the call; what was heard of it stands in the transcript."""
        call_id = request.path_params["call_id"]
        if not is_call_id(call_id):
            raise NotFoundError("no call has such an id")
        interrupt = _FLAGS.get(request.query_params.get("interrupt", "").lower())
        if interrupt is None:
            raise InputError("interrupt: true or false is needed")
        form, _, parameters = request.headers.get("content-type", "").lower().partition(";")
        if form.strip() == "application/json":
            text, wanted = read_fields(await read_body(request, 6 * self._most_characters + 4096))
            text_of_call = self._text(call_id, interrupt=interrupt or wanted)
            if len(text) > self._most_characters:
                raise self._too_long()
            await text_of_call.add(text, last=True)
        elif (decoder := _STREAMED.get(form.strip())) and _is_utf8(parameters):
            text_of_call = self._text(call_id, interrupt=interrupt)
            await self._pass_on(request, decoder(), text_of_call)
        else:
            raise UnsupportedMediaError(f"send {', '.join(['application/json', *_STREAMED])} in UTF-8")
        _SAYS.labels(form.strip()).inc()
        asked_of(request).more["say_id"] = text_of_call.say_id
        log.info(
            "say taken",
            extra=fields(call_id=call_id, say_id=text_of_call.say_id, form=form, characters=text_of_call.characters),
        )
        return JSONResponse(
            {"call_id": call_id, "say_id": text_of_call.say_id, "characters": text_of_call.characters}, 202
        )

    async def _pass_on(self, request: Request, decoder: TextDecoder, text: _Text) -> None:
        """Piece by piece. When the body breaks off, what came until then is the whole text."""
        try:
            async for part, last in _gathered(request):
                piece = decoder.feed(part, last=last)
                if text.characters + len(piece) > self._most_characters:
                    raise self._too_long()
                await text.add(piece, last=last)
        except BridgeError:
            await text.break_off()
            raise

    def _text(self, call_id: str, *, interrupt: bool) -> _Text:
        return _Text(self._store, call_id, self._most_a_minute, interrupt=interrupt)

    def _too_long(self) -> PayloadTooLargeError:
        return PayloadTooLargeError(f"the text has more than {self._most_characters} characters")


class _Text:
    """One text on its way into one call."""

    def __init__(self, store: AnnouncementStore, call_id: str, most_a_minute: int, *, interrupt: bool) -> None:
        self.say_id = f"say_{secrets.token_hex(8)}"
        self.characters = 0
        self._store = store
        self._call_id = call_id
        self._most_a_minute = most_a_minute
        self._interrupt = interrupt
        self._whole = False

    async def add(self, text: str, *, last: bool = False) -> None:
        """Raises what `_refusal` makes of the call's state, `InputError` when the whole text is empty."""
        text = text if self.characters else text.lstrip()
        if last and not text and not self.characters:
            raise InputError("text: there is none")
        pieces = [text[at : at + _PIECE] for at in range(0, len(text), _PIECE)] or ([""] if last else [])
        for number, piece in enumerate(pieces, 1):
            await self._put(piece, last=last and number == len(pieces))

    async def _put(self, piece: str, *, last: bool) -> None:
        entry = Say(self.say_id, self.characters, piece, last=last, interrupt=self._interrupt and not self.characters)
        added = await self._store.add(self._call_id, entry, most_a_minute=self._most_a_minute)
        if added.fate is not AnnouncementOutcome.ADDED:
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
            # The relay notices by itself that nothing comes any more.
            log.info("say not ended", extra=fields(call_id=self._call_id, say_id=self.say_id, reason=error.message))


def _refusal(added: Added) -> BridgeError:
    retry_s = math.ceil(added.retry_ms / 1000)
    match added.fate:
        case AnnouncementOutcome.UNKNOWN:
            return NotFoundError("there is no such call, or it ended too long ago")
        case AnnouncementOutcome.ENDED:
            return ConflictError("the call has ended already")
        case AnnouncementOutcome.INTERRUPTED:
            return InterruptedSayError("nothing more of this text is spoken: it was interrupted, or the voice failed")
        case AnnouncementOutcome.FULL:
            return BusyError("too much waits to be said in this call", retry_after_s=retry_s)
        case AnnouncementOutcome.OFTEN:
            return BusyError("too many texts for this call in this minute", retry_after_s=retry_s)
        case AnnouncementOutcome.ADDED:
            return OutsideError("refused without a reason", retry=True)


def _is_utf8(parameters: str) -> bool:
    _, _, charset = parameters.partition("charset=")
    return charset.strip().strip('"') in ("", "utf-8", "utf8", "us-ascii")


async def _gathered(request: Request) -> AsyncIterator[tuple[bytes, bool]]:
    """The body as it comes, and whether it is whole with that: at once after a pause, else what came meanwhile."""
    loop = asyncio.get_running_loop()
    parts = request.stream()

    async def next_part() -> bytes | None:
        return await anext(parts, None)

    gathered, due = b"", loop.time()
    coming = asyncio.create_task(next_part())
    try:
        while True:
            await asyncio.wait({coming}, timeout=max(due - loop.time(), 0) if gathered else SILENCE_S)
            if coming.done():
                part = coming.result()
                if part is None:
                    yield gathered, True
                    return
                gathered += part
                coming = asyncio.create_task(next_part())
            elif not gathered:
                raise SlowBodyError(f"nothing came for {SILENCE_S:.0f} s")
            if gathered and loop.time() >= due:
                yield gathered, False
                gathered, due = b"", loop.time() + _GATHER_S
    except ClientDisconnect as error:
        raise InputError("the sender went away before its text was complete") from error
    finally:
        coming.cancel()
