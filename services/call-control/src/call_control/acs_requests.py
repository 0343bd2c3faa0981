"""Requests to Call Automation: the official SDK with shorter deadlines, retries and typed errors.

The SDK waits up to 300 s for a connection and 300 s for a reply; a phone rings for 30 s. It also does not retry POSTs
that got no reply. Here they are retried: the Repeatability-Request-ID makes them idempotent.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from enum import StrEnum
from typing import Any, Final, TypeVar
from urllib.request import getproxies

from azure.communication.callautomation import CommunicationIdentifier

# The package does not export it.
from azure.communication.callautomation._shared.models import identifier_from_raw_id
from azure.communication.callautomation.aio import CallAutomationClient, CallConnectionClient
from azure.core.credentials import AccessToken, AccessTokenInfo, AzureKeyCredential, TokenRequestOptions
from azure.core.exceptions import (
    AzureError,
    ClientAuthenticationError,
    DeserializationError,
    HttpResponseError,
)
from azure.core.pipeline import PipelineRequest
from azure.core.pipeline.policies import SansIOHTTPPolicy
from azure.identity.aio import DefaultAzureCredential

from bridge_common.auth.entra_tokens import TOKEN_FAILURES
from bridge_common.base.errors import OutsideError
from bridge_common.base.log import fields
from bridge_common.base.redaction import redacted
from bridge_common.base.retry import Backoff, retry
from call_control.core.connection_string import AcsAddress

log = logging.getLogger(__name__)

T = TypeVar("T")

CONNECT_TIMEOUT_S: Final = 2.0
READ_TIMEOUT_S: Final = 5.0
DEADLINE_S: Final = 10.0
"""Limit for one command, all attempts included."""
_BACKOFF: Final = Backoff(0.2, most_s=3.2)
_STALE_CONTEXT: Final = "IDX23010"
_TERMINATED: Final = "8528"
_CODE: Final = re.compile(r"[0-9]{1,6}|[A-Za-z][A-Za-z]{0,63}")


class AcsRefusal(StrEnum):
    """Categories of failed requests to ACS."""

    STALE_CONTEXT = "stale_context"
    """The incoming-call context has expired."""
    GONE = "gone"
    """The call no longer exists."""
    AUTH = "auth"
    THROTTLED = "throttled"
    UNAVAILABLE = "unavailable"
    """No reply, or a server error. ACS may have executed the request."""
    REFUSED = "refused"


class AcsError(OutsideError):
    code = "acs"

    def __init__(self, message: str, refusal: AcsRefusal, *, acs_code: str = "", retry_after_s: float = 0.0) -> None:
        retry = refusal in (AcsRefusal.THROTTLED, AcsRefusal.UNAVAILABLE)
        super().__init__(message, retry=retry, retry_after_s=retry_after_s)
        self.refusal = refusal
        self.acs_code = acs_code

    @property
    def gone(self) -> bool:
        return self.refusal in (AcsRefusal.GONE, AcsRefusal.STALE_CONTEXT)


class _Identity(DefaultAzureCredential):
    """Counts the failures, which the SDK reports only as errors of its requests."""

    async def get_token(self, *scopes: str, **options: Any) -> AccessToken:
        with _counted():
            return await super().get_token(*scopes, **options)

    async def get_token_info(self, *scopes: str, options: TokenRequestOptions | None = None) -> AccessTokenInfo:
        with _counted():
            return await super().get_token_info(*scopes, options=options)


@contextmanager
def _counted() -> Iterator[None]:
    try:
        yield
    except (AzureError, asyncio.CancelledError):  # canceled at the deadline of the request
        TOKEN_FAILURES.labels("acs").inc()
        raise


class AcsRequests:
    """Sends requests with the SDK. Call `aclose` at the end."""

    def __init__(self, address: AcsAddress, *, deadline_s: float = DEADLINE_S) -> None:
        self._deadline_s = deadline_s
        self._identity = None if address.access_key else _Identity()
        self._client = CallAutomationClient(
            address.endpoint,
            self._identity or AzureKeyCredential(address.access_key),
            connection_timeout=CONNECT_TIMEOUT_S,
            read_timeout=READ_TIMEOUT_S,
            # With proxy settings, the client reads ~/.netrc in a thread before each request.
            use_env_settings=bool(set(getproxies()) - {"no"}),
            retry_total=0,
            per_call_policies=[_AllowHttp()] if self._identity and address.endpoint.startswith("http://") else [],
        )

    async def aclose(self) -> None:
        await self._client.close()
        if self._identity is not None:
            await self._identity.close()

    def _call(self, connection_id: str) -> CallConnectionClient:
        return self._client.get_call_connection(connection_id)

    async def _act(self, doing: str, request: Callable[[], Awaitable[T]]) -> T | None:
        """Send a request whose response body is not necessary: any 2xx means that ACS has accepted it. Return `None` if
        the SDK does not expect this status or cannot decode the body.
        """

        async def accepted() -> T | None:
            try:
                return await request()
            except (AttributeError, DeserializationError) as error:
                log.debug("ACS response could not be decoded", extra=fields(doing=doing, reason=redacted(str(error))))
            except HttpResponseError as error:
                if not 200 <= (error.status_code or 0) < 300:
                    raise
            return None

        return await self._ask(doing, accepted)

    async def _ask(self, doing: str, request: Callable[[], Awaitable[T]]) -> T:
        """Send a request; retry retryable errors until the deadline."""
        deadline = asyncio.get_running_loop().time() + self._deadline_s

        async def attempt() -> T:
            try:
                async with asyncio.timeout_at(deadline):
                    return await request()
            except TimeoutError as error:
                message = f"ACS request ({doing}) did not succeed within {self._deadline_s} s"
                raise AcsError(message, AcsRefusal.UNAVAILABLE) from error
            except (AzureError, ValueError) as error:
                # The SDK raises ValueError for a response that it cannot decode.
                raise refusal_of(error, doing) from error

        def report(error: AcsError, delay_s: float) -> None:
            log.warning(
                "ACS request failed; retrying", extra=fields(doing=doing, reason=error.message, delay_s=delay_s)
            )

        return await retry(attempt, replace(_BACKOFF, budget_s=self._deadline_s), AcsError, on_failure=report)


def refusal_of(error: AzureError | ValueError, doing: str) -> AcsError:
    """Map an SDK error to an `AcsError`."""
    if not isinstance(error, HttpResponseError) or error.status_code is None:
        no_token = isinstance(error, ClientAuthenticationError)
        refusal = AcsRefusal.AUTH if no_token else AcsRefusal.UNAVAILABLE
        return AcsError(f"ACS request ({doing}) failed: {redacted(str(error))}", refusal)
    status = error.status_code
    acs_code = _code(error.error.code if error.error else "")
    message = f"ACS rejected the request ({doing}): {status} {acs_code} {redacted(error.message or '')}".strip()
    headers: Mapping[str, str] = getattr(error.response, "headers", {})
    retry_after = headers.get("Retry-After", "")
    refusal = _refusal(status, acs_code, error.message or "")
    return AcsError(
        message,
        refusal,
        acs_code=acs_code or str(status),
        retry_after_s=float(retry_after) if retry_after.isdigit() else 0.0,
    )


def _code(given: object) -> str:
    """Return the ACS error code, empty if its format is unknown: it becomes part of the call's end reason."""
    return given if isinstance(given, str) and _CODE.fullmatch(given) else ""


def _refusal(status: int, acs_code: str, message: str) -> AcsRefusal:
    if status == 400 and _STALE_CONTEXT in message:
        return AcsRefusal.STALE_CONTEXT
    if status == 404 or acs_code == _TERMINATED:
        return AcsRefusal.GONE
    if status in (401, 403):
        return AcsRefusal.AUTH
    if 200 <= status < 300:
        return AcsRefusal.UNAVAILABLE  # the body of the response could not be decoded
    if status == 429:
        return AcsRefusal.THROTTLED
    return AcsRefusal.UNAVAILABLE if status == 408 or status >= 500 else AcsRefusal.REFUSED


def party(raw_id: str) -> CommunicationIdentifier:
    identifier: CommunicationIdentifier = identifier_from_raw_id(raw_id)
    return identifier


def repeatable(request_id: str) -> dict[str, str]:
    """Return the headers that make a request idempotent.

    The SDK adds Repeatability-First-Sent to this dict at the first attempt; retries send both headers.
    """
    return {"Repeatability-Request-ID": request_id}


class _AllowHttp(SansIOHTTPPolicy[object, object]):
    """Allows bearer tokens on an http endpoint, which only a simulator has: ACS itself has only https."""

    def on_request(self, request: PipelineRequest[object]) -> None:
        request.context.options["enforce_https"] = False
