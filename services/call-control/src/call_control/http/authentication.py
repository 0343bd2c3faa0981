"""Authentication of the webhooks (secret, Entra token) and of the operator API (API keys)."""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Sequence
from typing import Final

from starlette.requests import Request

from bridge_common.auth.acs_jwt import MAX_AGE_S, JwtMode, JwtVerifier, SettingNames
from bridge_common.base.errors import AuthError

EVENT_GRID_ROLE: Final = "AzureEventGridSecureWebhookSubscriber"
"""The app role of Event Grid's own application (Event Grid docs, "Secure webhook delivery")."""


class ForbiddenError(AuthError):
    """The settings allow no client; becomes 403."""

    code = "forbidden"


class EventGridGuard:
    """Checks the secret in the webhook's URL, the Entra token of Event Grid, both or neither, as configured."""

    def __init__(self, secrets: Sequence[str], verifier: JwtVerifier | None) -> None:
        self._secrets = secrets
        self._verifier = verifier

    def check_secret(self, request: Request) -> None:
        """Check only the secret: the OPTIONS handshake has no token. Raises `AuthError`."""
        if self._secrets and not is_one_of(request.query_params.get("code", ""), self._secrets):
            raise AuthError("missing or wrong `code` in the webhook URL; use one of EVENT_GRID_SECRETS")

    async def check(self, request: Request) -> None:
        """Check secret and token. Raises `AuthError`, and `OutsideError` if the keys of Entra are unavailable."""
        self.check_secret(request)
        if self._verifier is None:
            return
        claims = await self._verifier.check(request.headers.get("authorization"))
        roles = claims.get("roles")
        if not isinstance(roles, list) or EVENT_GRID_ROLE not in roles:
            raise AuthError(f"the token has no role {EVENT_GRID_ROLE}; assign it to the application of Event Grid")


class OperatorGuard:
    """Checks API keys, which clients send as `Authorization: Bearer <key>` or `X-Api-Key: <key>`."""

    def __init__(self, keys: Sequence[str]) -> None:
        self._keys = keys

    @property
    def closed(self) -> bool:
        """Whether no key is configured, so that all requests are forbidden."""
        return not self._keys

    def number(self, request: Request) -> int:
        """Return the number of the request's key, from 1; 0 if it is missing or wrong.

        Raises `ForbiddenError` if no key is configured.
        """
        if self.closed:
            raise ForbiddenError("the operator API is closed; set API_KEYS to open it")
        scheme, _, bearer = request.headers.get("authorization", "").partition(" ")
        given = request.headers.get("x-api-key") or (bearer if scheme.lower() == "bearer" else "")
        return number_among(given, self._keys)


def is_one_of(given: str, good: Iterable[str]) -> bool:
    return number_among(given, good) > 0


def number_among(given: str, good: Iterable[str]) -> int:
    """Return the position of `given` in `good`, from 1; 0 if absent. Compares in constant time."""
    found = 0
    for number, one in enumerate(good, 1):
        found = max(found, number * hmac.compare_digest(given.encode(), one.encode()))
    return found


def entra_verifier(
    tenant_id: str,
    audience: str,
    jwks_url: str = "",
    *,
    max_age_s: float = MAX_AGE_S,
    prefix: str = "EVENT_GRID",
) -> JwtVerifier:
    """Return a verifier for Entra tokens of a tenant, version 1 or 2. `prefix`: of the settings in its errors."""
    return JwtVerifier(
        jwks_url or f"https://login.microsoftonline.com/{tenant_id}/discovery/v2.0/keys",
        [f"https://sts.windows.net/{tenant_id}/", f"https://login.microsoftonline.com/{tenant_id}/v2.0"],
        audience,
        mode=JwtMode.ENFORCE,
        max_age_s=max_age_s,
        names=SettingNames(f"{prefix}_JWKS_URL", f"{prefix}_AUDIENCE", f"{prefix}_TENANT_ID", prefix.lower()),
        claims={"tid": tenant_id},
    )
