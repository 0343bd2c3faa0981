"""Entra tokens: one `DefaultAzureCredential` per process; each token is fetched before a call needs it.

The credential caches a token until shortly before it expires, even if the service has rejected it. So a token that must
differ from the rejected one comes from a new credential.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final, TypeVar

from azure.core.credentials_async import AsyncTokenCredential
from azure.core.exceptions import AzureError
from azure.identity.aio import DefaultAzureCredential

from bridge_common.base.errors import OutsideError, error_text
from bridge_common.base.log import fields
from bridge_common.base.outage_logger import OutageLogger
from bridge_common.base.retry import Backoff, repeat
from bridge_common.base.waiting import time_limit
from bridge_common.observability.telemetry import Label, counter

log = logging.getLogger(__name__)

K = TypeVar("K", bound=str)
"""Name of a token within the process."""

TOKEN_FAILURES: Final = counter(
    "bridge_token_failures",
    "Failed requests of Entra tokens, by scope",
    Label("scope", ("ai", "cognitive", "redis", "acs")),
)
_FETCH_TIMEOUT_S: Final = 10.0
_MARGIN_S: Final = 600.0
_RETRY_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class EntraToken:
    text: str
    expires_at_s: float
    refresh_at_s: float
    """Unix seconds of the next fetch: well before the expiry, but never in the first half of a short lifetime."""


class Tokens:
    """The Entra tokens of a process. `scopes`: scope of each token by name; `require` adds others. `run` renews the
    tokens before they expire.
    """

    def __init__(
        self,
        scopes: Mapping[K, str],
        make_credential: Callable[[], AsyncTokenCredential] = DefaultAzureCredential,
    ) -> None:
        self._scopes = dict[str, str](scopes.items())
        self._make_credential = make_credential
        self._credential: AsyncTokenCredential | None = None
        self._tokens: dict[str, EntraToken] = {}
        self._fetching = asyncio.Lock()
        self._more = asyncio.Event()

    def require(self, scopes: Mapping[K, str]) -> None:
        """Keep these tokens as well."""
        self._scopes.update(scopes.items())
        self._more.set()

    async def get(self, scope: str) -> str:
        """Return the cached token; fetch one if there is none or it has expired. Raises `OutsideError`."""
        token = self._tokens.get(scope)
        if token is None or token.expires_at_s <= time.time():
            token = await self._fetch(scope, instead_of=token)
        return token.text

    async def fresh(self, scope: str, rejected: str) -> str:
        """Return a token other than the rejected one. Concurrent callers share one request."""
        return (await self._fetch(scope, instead_of=EntraToken(rejected, 0, 0))).text

    def stored(self, scope: str) -> str:
        """Return the newest token, even if it has expired; empty before the first one."""
        token = self._tokens.get(scope)
        return "" if token is None else token.text

    @property
    def missing(self) -> list[str]:
        """Names of the tokens that are missing or have expired."""
        now = time.time()
        return [name for scope, name in self._scopes.items() if not self._valid(scope, now)]

    async def run(self) -> None:
        """Fetch every token, and each again before it expires, until canceled."""
        outage = OutageLogger(log, begun="failed to fetch tokens", over="token fetch recovered")
        renewed: set[str] = set()
        async with asyncio.TaskGroup() as tasks:
            while True:
                for scope, name in self._scopes.items():
                    if scope not in renewed:
                        refresh = partial(self._refresh, scope)
                        tasks.create_task(repeat(refresh, Backoff.constant(_RETRY_S), outage, task=scope, scope=name))
                renewed = set(self._scopes)
                self._more.clear()
                await self._more.wait()

    async def aclose(self) -> None:
        await self._replace_credential(None)

    async def _refresh(self, scope: str) -> float:
        """Fetch the token if it is due; returns the seconds until it is due again."""
        token = self._tokens.get(scope)
        if token is None or token.refresh_at_s <= time.time():
            token = await self._fetch(scope, instead_of=token)
        due_in_s = token.refresh_at_s - time.time()
        return due_in_s if due_in_s > 0 else _RETRY_S

    def _valid(self, scope: str, now: float) -> bool:
        token = self._tokens.get(scope)
        return token is not None and token.expires_at_s > now

    async def _fetch(self, scope: str, *, instead_of: EntraToken | None) -> EntraToken:
        async with self._fetching:
            known = self._tokens.get(scope)
            if known is not None and (instead_of is None or known.text != instead_of.text):
                return known
            token = await self._ask(scope)
            if instead_of is not None and token.text == instead_of.text:
                await self._replace_credential(self._make_credential())
                token = await self._ask(scope)
            self._tokens[scope] = token
            log.info("token fetched", extra=fields(scope=self._scopes[scope], expires_at_s=int(token.expires_at_s)))
            return token

    async def _ask(self, scope: str) -> EntraToken:
        if self._credential is None:
            self._credential = self._make_credential()
        now = time.time()
        try:
            async with time_limit(_FETCH_TIMEOUT_S, "a token from the identity endpoint"):
                access = await self._credential.get_token(self._scopes[scope])
        except (AzureError, TimeoutError, OSError) as error:
            TOKEN_FAILURES.labels(scope.removesuffix("_services")).inc()
            raise OutsideError(f"no token for {self._scopes[scope]}: {error_text(error)}", retry=True) from error
        lifetime_s = access.expires_on - now
        return EntraToken(access.token, access.expires_on, access.expires_on - min(_MARGIN_S, lifetime_s / 2))

    async def _replace_credential(self, new: AsyncTokenCredential | None) -> None:
        old, self._credential = self._credential, new
        if old is not None:
            await old.close()
