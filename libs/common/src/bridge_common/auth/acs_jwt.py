"""Verifies the bearer tokens that ACS and Event Grid send: RS256, issuer, audience, lifetime, keys from a JWKS.

ACS: issuer `https://acscallautomation.communication.azure.com`, audience the resource's immutable id, keys at
`/calling/keys` (Microsoft Learn: secure webhook endpoint of Call Automation). Keys are cached. For an unknown `kid`
they are fetched again, at most once per `COOLDOWN_S`, so that forged tokens cannot overload the endpoint. Keys that
their endpoint has not confirmed for `max_age_s` are not trusted any more, because a revoked key may be stolen.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

import aiohttp
import jwt

from bridge_common.base.errors import AuthError, OutsideError, error_text
from bridge_common.base.log import fields
from bridge_common.base.log_limit import LineLimit
from bridge_common.base.outage_logger import OutageLogger
from bridge_common.base.retry import Backoff, repeat
from bridge_common.observability.telemetry import Label, counter

log = logging.getLogger(__name__)
log.addFilter(LineLimit(per_s=5, burst=20))

_FAILURES: Final = counter(
    "bridge_signing_key_failures",
    "Failed fetches of signing keys, by issuer of the tokens",
    Label("issuer", ("acs", "event_grid", "agent_tools")),
)
LEEWAY_S: Final = 300
"""Accepted difference between the clock of ACS and that of this host."""
COOLDOWN_S: Final = 30.0
MAX_AGE_S: Final = 24 * 3600.0
_REFRESHES: Final = 4
"""Fetches per maximum age: after this many failed fetches in a row, no key is trusted any more."""
_LONGEST_REFRESH_S: Final = 3600.0
_MAX_JWKS_BYTES: Final = 256 * 1024


class JwtMode(StrEnum):
    """Handling of an invalid token. `log`: log it and accept the request; for the first days with a new resource."""

    OFF = "off"
    LOG = "log"
    ENFORCE = "enforce"


@dataclass(frozen=True, slots=True)
class JwksTiming:
    cooldown_s: float = COOLDOWN_S
    retry_s: float = 0.25
    """Minimum time between a failed fetch and the next one."""
    fetch_timeout_s: float = 3.0


@dataclass(frozen=True, slots=True)
class SettingNames:
    """Environment variables of a verifier, for its error messages. `issuer_label`: label of the issuer in metrics."""

    jwks_url: str = "ACS_JWKS_URL"
    audience: str = "ACS_JWT_AUDIENCE"
    issuer: str = "ACS_JWT_ISSUER"
    issuer_label: str = "acs"


class JwtVerifier:
    """Checks tokens of one kind of sender. Run `keep_fresh` in the background, so that no request waits for keys.

    `max_age_s`: maximum age of keys that `jwks_url` does not contain any more, or that could not be fetched again.
    `claims`: values of further claims; a token with another value is not valid.
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
        timing: JwksTiming | None = None,
        names: SettingNames | None = None,
        claims: Mapping[str, str] | None = None,
    ) -> None:
        self._jwks_url = jwks_url
        self._issuers = list(issuers)
        self._audience = audience
        self._mode = mode
        self._leeway_s = leeway_s
        self._max_age_s = max_age_s
        self._clock = clock
        self._timing = timing or JwksTiming()
        self._names = names or SettingNames()
        self._claims = claims or {}
        self._fetched_at = float("-inf")
        self._keys: dict[str, jwt.PyJWK] = {}
        self._ask_again_at = float("-inf")
        self._failure = ""
        """Reason if the last fetch failed, otherwise empty."""
        self._fetching = asyncio.Lock()

    async def check(self, authorization: str | None) -> dict[str, Any]:
        """Return the token's claims; empty in mode `off`, and in mode `log` for an invalid token.

        Raises `AuthError` for a missing or invalid token and `OutsideError` if the keys are unavailable, both in mode
        `enforce` only.
        """
        if self._mode is JwtMode.OFF:
            return {}
        try:
            return await self._check(authorization)
        except (AuthError, OutsideError) as error:
            if self._mode is JwtMode.ENFORCE:
                raise  # logged by the code that rejects the request
            log.warning("invalid bearer token accepted", extra=fields(reason=error.message, mode=self._mode.value))
            return {}

    async def fetch(self) -> None:
        """Fetch the keys, at most once per cooldown. Raises `OutsideError` if the last attempt failed."""
        async with self._fetching:
            if self._clock() >= self._ask_again_at:
                try:
                    asked_at = self._clock()
                    self._keys = _decode_jwks(await self._download())
                    self._fetched_at, self._failure = asked_at, ""
                    self._ask_again_at = self._clock() + self._cooldown_s
                except (aiohttp.ClientError, TimeoutError, ValueError) as error:
                    self._failure = error_text(error)
                    _FAILURES.labels(self._names.issuer_label).inc()
                    self._ask_again_at = self._clock() + self._timing.retry_s
            if self._failure:
                raise OutsideError(f"the signing keys at {self._jwks_url} are unavailable: {self._failure}", retry=True)

    async def keep_fresh(self) -> None:
        """Fetch the keys before a request needs them, and again well before they expire. Runs in the background."""
        if self._mode is JwtMode.OFF:
            return
        first_s = 4 * self._timing.retry_s
        backoff = Backoff(first_s=first_s, most_s=max(first_s, self._cooldown_s))
        # A logger of its own, because the other one limits its lines.
        keys_log = logging.getLogger(f"{__name__}.keys")
        outage = OutageLogger(keys_log, begun="failed to fetch signing keys", over="signing key fetch recovered")
        await repeat(self._refresh, backoff, outage)

    async def _refresh(self) -> float:
        await self.fetch()
        return min(self._max_age_s / _REFRESHES, _LONGEST_REFRESH_S)

    @property
    def _cooldown_s(self) -> float:
        return min(self._timing.cooldown_s, self._max_age_s / _REFRESHES)

    async def _download(self) -> bytes:
        body = b""
        timeout = aiohttp.ClientTimeout(total=self._timing.fetch_timeout_s)
        async with aiohttp.ClientSession(timeout=timeout) as session, session.get(self._jwks_url) as reply:
            reply.raise_for_status()
            async for piece in reply.content.iter_any():
                body += piece
                if len(body) > _MAX_JWKS_BYTES:
                    raise ValueError(f"the JWKS has more than {_MAX_JWKS_BYTES} bytes")
        return body

    async def _check(self, authorization: str | None) -> dict[str, Any]:
        scheme, _, token = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise AuthError("the bearer token is missing; send it as `Authorization: Bearer …`")
        try:
            kid = jwt.get_unverified_header(token).get("kid", "")
            if kid not in self._keys or self._clock() >= self._fetched_at + self._max_age_s:
                await self.fetch()
            key = self._keys.get(kid)
            if key is None:
                raise AuthError(
                    f"the token is signed with an unknown key, which is not in the JWKS at {self._jwks_url}; "
                    f"check {self._names.jwks_url}"
                )
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
            # PyJWT does not catch the errors of json and int(), for example for 1,000 nested brackets.
            raise AuthError(f"the token is not valid: {error}{self._remedy(error)}") from error
        for name, value in self._claims.items():
            if claims.get(name, value) != value:
                raise AuthError(f"the token is not valid: its `{name}` claim has another value than the settings")
        return claims

    def _remedy(self, error: Exception) -> str:
        if isinstance(error, jwt.InvalidAudienceError):
            return f"; compare its `aud` claim with {self._names.audience}"
        if isinstance(error, jwt.InvalidIssuerError):
            return f"; compare its `iss` claim with {self._names.issuer}"
        return ""


def _decode_jwks(body: bytes) -> dict[str, jwt.PyJWK]:
    """Return the usable keys by their id. Raises `ValueError` if there is none."""
    try:
        key_set = jwt.PyJWKSet.from_json(body.decode())
    except (jwt.PyJWTError, AttributeError, TypeError, RecursionError) as error:
        raise ValueError(f"the response is not a valid JWKS: {error}") from error
    return {key.key_id: key for key in key_set.keys if key.key_id}
