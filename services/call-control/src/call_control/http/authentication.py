"""Who may post to the webhooks and who may use the operator API."""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Sequence
from typing import Final

from starlette.requests import Request

from bridge_common.auth.acs_jwt import MAX_AGE_S, JwtMode, JwtVerifier
from bridge_common.base.errors import AuthError

EVENT_GRID_ROLE: Final = "AzureEventGridSecureWebhookSubscriber"
"""The app role that Event Grid's own application holds (Event Grid docs, "Secure webhook delivery")."""


class ForbiddenError(AuthError):
    """Nobody may, as things are set up; becomes 403."""

    code = "forbidden"


class EventGridGuard:
    """The secret in the webhook's URL, Event Grid's Entra token, both, or nothing: as the settings ask."""

    def __init__(self, secrets: Sequence[str], verifier: JwtVerifier | None) -> None:
        self._secrets = secrets
        self._verifier = verifier

    def check_secret(self, request: Request) -> None:
        """Raises `AuthError`. Enough for the OPTIONS handshake, which carries no token."""
        if self._secrets and not is_one_of(request.query_params.get("code", ""), self._secrets):
            raise AuthError("the code in the webhook's URL is missing or wrong")

    async def check(self, request: Request) -> None:
        """Raises `AuthError`; `OutsideError` when Entra's keys cannot be had."""
        self.check_secret(request)
        if self._verifier is None:
            return
        claims = await self._verifier.check(request.headers.get("authorization"))
        roles = claims.get("roles")
        if not isinstance(roles, list) or EVENT_GRID_ROLE not in roles:
            raise AuthError(f"the token lacks the role {EVENT_GRID_ROLE}")


class OperatorGuard:
    """API keys, as `Authorization: Bearer <key>` or `X-Api-Key: <key>`."""

    def __init__(self, keys: Sequence[str]) -> None:
        self._keys = keys

    @property
    def closed(self) -> bool:
        """No key is set up: `number` refuses everybody."""
        return not self._keys

    def number(self, request: Request) -> int:
        """Which of the keys was given, from 1; 0 for a missing or wrong one. Raises `ForbiddenError` if none is set."""
        if self.closed:
            raise ForbiddenError("the operator API is closed: set API_KEYS to one key or more to open it")
        scheme, _, bearer = request.headers.get("authorization", "").partition(" ")
        given = request.headers.get("x-api-key") or (bearer if scheme.lower() == "bearer" else "")
        return number_among(given, self._keys)


def is_one_of(given: str, good: Iterable[str]) -> bool:
    return number_among(given, good) > 0


def number_among(given: str, good: Iterable[str]) -> int:
    """Which of the good ones it is, from 1, or 0; in a time that tells nothing about them."""
    found = 0
    for number, one in enumerate(good, 1):
        found = max(found, number * hmac.compare_digest(given.encode(), one.encode()))
    return found


def entra_verifier(tenant_id: str, audience: str, jwks_url: str = "", *, max_age_s: float = MAX_AGE_S) -> JwtVerifier:
    """For tokens of a tenant, version 1 or 2, as Event Grid's subscription asks for them."""
    return JwtVerifier(
        jwks_url or f"https://login.microsoftonline.com/{tenant_id}/discovery/v2.0/keys",
        [f"https://sts.windows.net/{tenant_id}/", f"https://login.microsoftonline.com/{tenant_id}/v2.0"],
        audience,
        mode=JwtMode.ENFORCE,
        max_age_s=max_age_s,
    )
