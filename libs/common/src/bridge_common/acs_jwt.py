"""Checks the bearer tokens that ACS and Event Grid send: RS256, issuer, audience, lifetime, keys from a JWKS.

ACS: issuer `https://acscallautomation.communication.azure.com`, audience the resource's immutable id, keys at
`/calling/keys` (Microsoft Learn: secure webhook endpoint of Call Automation). Keys are cached; an unknown `kid` asks
for them again, at most once in `COOLDOWN_S`, so that made-up tokens cannot make us hammer the endpoint.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from enum import StrEnum
from typing import Any, Final

import aiohttp
import jwt

from bridge_common.errors import AuthError, OutsideError
from bridge_common.log import fields

log = logging.getLogger(__name__)

COOLDOWN_S: Final = 30.0
RETRY_S: Final = 1.0
"""The cooldown while no key was ever loaded."""
_FETCH_TIMEOUT_S: Final = 3.0
_MAX_JWKS_BYTES: Final = 256 * 1024


class JwtMode(StrEnum):
    """`log` checks and only reports; for the first days with a new resource."""

    OFF = "off"
    LOG = "log"
    ENFORCE = "enforce"


class JwtVerifier:
    """Checks tokens of one kind of sender. `fetch` keys early (at start) so that no caller waits for them."""

    def __init__(
        self, jwks_url: str, issuers: Sequence[str], audience: str, *, mode: JwtMode, leeway_s: int = 300
    ) -> None:
        self._jwks_url = jwks_url
        self._issuers = list(issuers)
        self._audience = audience
        self._mode = mode
        self._leeway_s = leeway_s
        self._keys: dict[str, jwt.PyJWK] = {}
        self._fetched_at = float("-inf")
        self._fetching = asyncio.Lock()

    async def check(self, authorization: str | None) -> dict[str, Any]:
        """The token's claims; empty when the mode is `off`, or `log` and the token is bad.

        Raises `AuthError` for a missing or wrong token and `OutsideError` when the keys cannot be had, both in mode
        `enforce` only.
        """
        if self._mode is JwtMode.OFF:
            return {}
        try:
            return await self._check(authorization)
        except (AuthError, OutsideError) as error:
            log.warning("bearer token refused", extra=fields(reason=error.message, mode=self._mode.value))
            if self._mode is JwtMode.ENFORCE:
                raise
            return {}

    async def fetch(self) -> None:
        """Load the keys unless they were loaded a moment ago. Raises `OutsideError`."""
        async with self._fetching:
            if time.monotonic() - self._fetched_at < COOLDOWN_S:
                return
            self._fetched_at = time.monotonic()
            timeout = aiohttp.ClientTimeout(total=_FETCH_TIMEOUT_S)
            try:
                async with aiohttp.ClientSession(timeout=timeout) as session, session.get(self._jwks_url) as reply:
                    reply.raise_for_status()
                    body = await reply.content.read(_MAX_JWKS_BYTES)
                self._keys = {key.key_id: key for key in jwt.PyJWKSet.from_json(body.decode()).keys if key.key_id}
            except (aiohttp.ClientError, TimeoutError, ValueError, jwt.PyJWTError) as error:
                if not self._keys:
                    self._fetched_at = float("-inf")
                raise OutsideError(
                    f"the signing keys at {self._jwks_url} cannot be had: {error}", retry=True
                ) from error

    async def _check(self, authorization: str | None) -> dict[str, Any]:
        scheme, _, token = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise AuthError("send the token as `Authorization: Bearer …`")
        try:
            kid = jwt.get_unverified_header(token).get("kid", "")
            if kid not in self._keys:
                await self.fetch()
            key = self._keys.get(kid)
            if key is None:
                raise AuthError("the token is signed with an unknown key")
            claims: dict[str, Any] = jwt.decode(
                token,
                key,
                algorithms=["RS256"],
                audience=self._audience,
                issuer=self._issuers,
                leeway=self._leeway_s,
                options={"require": ["exp", "iss", "aud"]},
            )
        except jwt.PyJWTError as error:
            raise AuthError(f"the token is not valid: {error}") from error
        return claims
