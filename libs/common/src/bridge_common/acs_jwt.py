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
from bridge_common.outage import Outage

log = logging.getLogger(__name__)

LEEWAY_S: Final = 300
"""Accepted difference between the clock of ACS and ours."""
COOLDOWN_S: Final = 30.0
RETRY_S: Final = 0.25
"""The cooldown after an attempt that failed."""
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
        self, jwks_url: str, issuers: Sequence[str], audience: str, *, mode: JwtMode, leeway_s: int = LEEWAY_S
    ) -> None:
        self._jwks_url = jwks_url
        self._issuers = list(issuers)
        self._audience = audience
        self._mode = mode
        self._leeway_s = leeway_s
        self._keys: dict[str, jwt.PyJWK] = {}
        self._ask_again_at = float("-inf")
        self._failure = ""
        """Why the last fetch failed; empty when it did not."""
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
        """Load the keys, unless that was tried a moment ago. Raises `OutsideError` when that or this attempt failed."""
        async with self._fetching:
            if time.monotonic() >= self._ask_again_at:
                try:
                    self._keys = _decode_jwks(await self._download())
                    self._failure = ""
                    self._ask_again_at = time.monotonic() + COOLDOWN_S
                except (aiohttp.ClientError, TimeoutError, ValueError) as error:
                    self._failure = str(error) or type(error).__name__
                    self._ask_again_at = time.monotonic() + RETRY_S
            if self._failure:
                raise OutsideError(f"the signing keys at {self._jwks_url} cannot be had: {self._failure}", retry=True)

    async def warm_up(self) -> None:
        """Load the keys before anyone needs them, trying until they are there; the task of a service that starts."""
        fetching = Outage(log, "fetching signing keys")
        while self._mode is not JwtMode.OFF and not self._keys:
            try:
                await self.fetch()
                fetching.worked()
            except OutsideError as error:
                fetching.failed(error=error.message)
                await asyncio.sleep(4 * RETRY_S)

    async def _download(self) -> bytes:
        body = b""
        timeout = aiohttp.ClientTimeout(total=_FETCH_TIMEOUT_S)
        async with aiohttp.ClientSession(timeout=timeout) as session, session.get(self._jwks_url) as reply:
            reply.raise_for_status()
            async for piece in reply.content.iter_any():
                body += piece
                if len(body) > _MAX_JWKS_BYTES:
                    raise ValueError(f"more than {_MAX_JWKS_BYTES} bytes")
        return body

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
        except (jwt.PyJWTError, ValueError, TypeError, OverflowError, RecursionError) as error:
            # Beside its own errors PyJWT lets through what json and int() raise, for example at 1,000 nested brackets.
            raise AuthError(f"the token is not valid: {error}") from error
        return claims


def _decode_jwks(body: bytes) -> dict[str, jwt.PyJWK]:
    """The keys by their id, without those we cannot use. Raises `ValueError` when there is none."""
    try:
        key_set = jwt.PyJWKSet.from_json(body.decode())
    except (jwt.PyJWTError, AttributeError, TypeError, RecursionError) as error:
        raise ValueError(f"this is no JWKS: {error}") from error
    return {key.key_id: key for key in key_set.keys if key.key_id}
