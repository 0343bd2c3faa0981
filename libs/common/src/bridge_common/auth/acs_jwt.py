"""Checks the bearer tokens that ACS and Event Grid send: RS256, issuer, audience, lifetime, keys from a JWKS.

ACS: issuer `https://acscallautomation.communication.azure.com`, audience the resource's immutable id, keys at
`/calling/keys` (Microsoft Learn: secure webhook endpoint of Call Automation). Keys are cached; an unknown `kid`
fetches them again, at most once per `COOLDOWN_S`, so that forged tokens cannot overload the endpoint. Keys that their
endpoint has not confirmed for `max_age_s` are not trusted any more: a revoked key may be stolen.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Any, Final

import aiohttp
import jwt

from bridge_common.base.errors import AuthError, OutsideError
from bridge_common.base.log import fields
from bridge_common.base.log_limit import LineLimit
from bridge_common.base.outage_logger import OutageLogger

log = logging.getLogger(__name__)
log.addFilter(LineLimit(per_s=5, burst=20))

LEEWAY_S: Final = 300
"""Accepted difference between the clock of ACS and ours."""
COOLDOWN_S: Final = 30.0
RETRY_S: Final = 0.25
"""The cooldown after an attempt that failed."""
MAX_AGE_S: Final = 24 * 3600.0
_REFRESHES: Final = 4
"""Fetches per maximum age: so many in a row must fail until no key is trusted."""
_LONGEST_REFRESH_S: Final = 3600.0
_FETCH_TIMEOUT_S: Final = 3.0
_MAX_JWKS_BYTES: Final = 256 * 1024


class JwtMode(StrEnum):
    """`log` checks and only reports; for the first days with a new resource."""

    OFF = "off"
    LOG = "log"
    ENFORCE = "enforce"


class JwtVerifier:
    """Checks tokens of one kind of sender. Run `keep_fresh` beside it, so that no caller waits for keys.

    `max_age_s`: how long a key is trusted that is no longer at `jwks_url`, or that cannot be
    confirmed there.
    """

    def __init__(
        self,
        jwks_url: str,
        issuers: Sequence[str],
        audience: str,
        *,
        mode: JwtMode,
        leeway_s: int = LEEWAY_S,
        max_age_s: float = MAX_AGE_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._jwks_url = jwks_url
        self._issuers = list(issuers)
        self._audience = audience
        self._mode = mode
        self._leeway_s = leeway_s
        self._max_age_s = max_age_s
        self._clock = clock
        self._fetched_at = float("-inf")
        self._keys: dict[str, jwt.PyJWK] = {}
        self._ask_again_at = float("-inf")
        self._failure = ""
        """Why the last fetch failed; empty when it did not."""
        self._fetching = asyncio.Lock()

    async def check(self, authorization: str | None) -> dict[str, Any]:
        """The token's claims; empty when the mode is `off`, or `log` and the token is bad.

        Raises `AuthError` for a missing or invalid token and `OutsideError` when the keys are unavailable, both in mode
        `enforce` only.
        """
        if self._mode is JwtMode.OFF:
            return {}
        try:
            return await self._check(authorization)
        except (AuthError, OutsideError) as error:
            if self._mode is JwtMode.ENFORCE:
                raise  # logged by the code that refuses the request
            log.warning("bearer token not valid; accepted", extra=fields(reason=error.message, mode=self._mode.value))
            return {}

    async def fetch(self) -> None:
        """Fetch the keys, at most once per cooldown. Raises `OutsideError` when the last attempt failed."""
        async with self._fetching:
            if self._clock() >= self._ask_again_at:
                try:
                    asked_at = self._clock()
                    self._keys = _decode_jwks(await self._download())
                    self._fetched_at, self._failure = asked_at, ""
                    self._ask_again_at = self._clock() + min(COOLDOWN_S, self._max_age_s / _REFRESHES)
                except (aiohttp.ClientError, TimeoutError, ValueError) as error:
                    self._failure = str(error) or type(error).__name__
                    self._ask_again_at = self._clock() + RETRY_S
            if self._failure:
                raise OutsideError(f"the signing keys at {self._jwks_url} cannot be had: {self._failure}", retry=True)

    async def keep_fresh(self) -> None:
        """Fetch the keys before anyone needs them, and again long before they are too old. A background task."""
        fetching = OutageLogger(logging.getLogger(f"{__name__}.keys"), "fetching signing keys")  # has no limit of lines
        while self._mode is not JwtMode.OFF:
            try:
                await self.fetch()
                fetching.worked()
                pause_s = min(self._max_age_s / _REFRESHES, _LONGEST_REFRESH_S)
            except OutsideError as error:
                fetching.failed(error=error.message)
                pause_s = min(COOLDOWN_S, self._max_age_s / _REFRESHES) if self._keys else 4 * RETRY_S
            await asyncio.sleep(pause_s)

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
            if kid not in self._keys or self._clock() >= self._fetched_at + self._max_age_s:
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
        raise ValueError(f"not a valid JWKS: {error}") from error
    return {key.key_id: key for key in key_set.keys if key.key_id}
