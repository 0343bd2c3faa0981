"""Authentication to Redis with Entra tokens: the user is the object id of the identity, the password is its token.

Azure Managed Redis requires this (Microsoft Learn, "Use Microsoft Entra for cache authentication with Azure Managed
Redis"). Why not the package `redis-entraid`: docs/adr/0036.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Final

import jwt
from azure.core.credentials_async import AsyncTokenCredential
from azure.identity.aio import DefaultAzureCredential
from redis.exceptions import ConnectionError as RedisConnectionError

from bridge_common.auth.entra_tokens import Tokens
from bridge_common.base.errors import OutsideError

_REDIS: Final = "redis"
_ANOTHER_AFTER_S: Final = 5.0
"""Minimum interval between replacements of rejected tokens: Redis rejects the token on all connections until the cause
is fixed.
"""


class EntraCredentials:
    """Credentials for new connections. `user`: if empty, the object id in the token. Tokens are renewed in the
    background after the first authentication.
    """

    def __init__(
        self,
        scope: str,
        user: str = "",
        make_credential: Callable[[], AsyncTokenCredential] = DefaultAzureCredential,
    ) -> None:
        self._tokens = Tokens({_REDIS: scope}, make_credential)
        self._user = user
        self._refused = ""
        self._replaced_at = float("-inf")
        self._renewing: asyncio.Task[None] | None = None

    @property
    def token(self) -> str:
        """The newest token; empty before the first one."""
        return self._tokens.stored(_REDIS)

    async def get(self) -> tuple[str, str]:
        """Return user and token. Raises `RedisConnectionError` if no token is available."""
        try:
            token = await self._valid_token()
        except OutsideError as error:
            raise RedisConnectionError(error.message) from error
        if self._renewing is None:
            self._renewing = asyncio.create_task(self._tokens.run(), name="tokens for Redis")
        return self._user or _object_id(token), token

    async def renew(self) -> str:
        """Fetch the next token now, before the current one is due."""
        return await self._tokens.fresh(_REDIS, self.token)

    def refused(self, token: str) -> None:
        """Mark the token as rejected by Redis, so that it is replaced before it expires."""
        self._refused = token

    async def aclose(self) -> None:
        """Stop renewing tokens."""
        if self._renewing is not None:
            self._renewing.cancel()
            await asyncio.gather(self._renewing, return_exceptions=True)
        await self._tokens.aclose()

    async def _valid_token(self) -> str:
        if self._refused and self._refused == self.token and time.monotonic() > self._replaced_at + _ANOTHER_AFTER_S:
            self._replaced_at = time.monotonic()
            return await self.renew()
        return await self._tokens.get(_REDIS)


def _object_id(token: str) -> str:
    """Return the `oid` claim of a token. The signature is not verified here, because Redis verifies it."""
    try:
        return str(jwt.decode(token, options={"verify_signature": False})["oid"])
    except (jwt.InvalidTokenError, KeyError):
        raise RedisConnectionError("the token has no `oid` claim; set the user in REDIS_URL") from None
