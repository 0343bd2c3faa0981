"""Access to the operator API: API keys, the rate limit for wrong keys, and the audit log."""

from __future__ import annotations

import asyncio
import logging
import re
import time
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from bridge_common.base.errors import AuthError, InputError
from bridge_common.base.log import fields
from bridge_common.service.pending_connections import network_of
from call_control.core.wrong_keys import PER_SOURCE, WINDOW_S, Verdict, WrongKeys
from call_control.http import audit
from call_control.http.audit import AuditEntry, audit_of
from call_control.http.authentication import OperatorGuard
from call_control.http.error_responses import BusyError, Endpoint, with_error_replies

log = logging.getLogger(__name__)

WRONG_KEY_DELAY_S: Final = 1.0
_NAME: Final = re.compile(r"[\w .@-]{1,64}")


class Operators:
    """Guards the operator API; one instance per process, because it counts wrong keys.

    `wrong_key_delay_s`: delay of the response to a wrong key.
    """

    def __init__(self, guard: OperatorGuard, *, wrong_key_delay_s: float = WRONG_KEY_DELAY_S) -> None:
        self._guard = guard
        self._wrong_key_delay_s = wrong_key_delay_s
        self._wrong_keys = WrongKeys()

    def route(self, method: str, path: str, endpoint: Endpoint, area: str) -> Route:
        """Return a route for operators only. `area`: label in metrics."""

        async def admitted(request: Request) -> Response:
            await self._admit(request)
            return await endpoint(request)

        answered = with_error_replies(admitted, area, logs=False)

        async def audited(request: Request) -> Response:
            source = request.client.host if request.client else ""
            request.state.audit = AuditEntry(f"{method} {path}", source)
            response = None
            try:
                response = await answered(request)
            finally:
                audit.write(request, response)
            return response

        return Route(path, audited, methods=[method])

    async def _admit(self, request: Request) -> None:
        """Check the API key and the operator's name. Raises `ForbiddenError`, `AuthError`, `BusyError`, and
        `InputError` for an invalid name.
        """
        if self._guard.closed:
            audit_of(request).logged = self._count(request) is Verdict.ANSWERED
        number = self._guard.number(request)
        if not number:
            await self._refuse(request)
        name = request.headers.get("x-operator", "")
        audit_of(request).by = f"operator (API key {number})"
        if name and not _NAME.fullmatch(name):
            raise InputError("X-Operator must have 1 to 64 characters: letters, digits, spaces and . @ _ -")
        audit_of(request).by = f"operator {name}".strip() + f" (API key {number})"

    async def _refuse(self, request: Request) -> None:
        entry = audit_of(request)
        verdict = self._count(request)
        if verdict is Verdict.ANSWERED:
            await asyncio.sleep(self._wrong_key_delay_s)
            raise AuthError("missing or wrong API key; send it as `Authorization: Bearer …` or `X-Api-Key: …`")
        entry.logged = False
        if verdict is Verdict.LIMITED:
            log.warning("too many wrong API keys; further ones are not logged", extra=fields(source=entry.source))
        raise BusyError("too many wrong API keys; retry later", retry_after_s=round(WINDOW_S / PER_SOURCE))

    def _count(self, request: Request) -> Verdict:
        return self._wrong_keys.count(network_of(audit_of(request).source), time.monotonic())


def operator_of(request: Request) -> str:
    """Return the operator as text: the name, if given, and the number of the API key."""
    return audit_of(request).by
