"""Authentication of the agents' platform: an Entra token of an allowed identity, or a key."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from starlette.requests import Request

from bridge_common.auth.acs_jwt import JwtVerifier
from bridge_common.base.errors import AuthError
from call_control.http.authentication import ForbiddenError, number_among


class AgentGuard:
    """Authenticates the senders of tool calls. `identities`: allowed object ids (`oid`) or application ids (`appid`,
    `azp`). `keys`: accepted keys of project connections; two during a rotation.
    """

    def __init__(self, verifier: JwtVerifier | None, identities: Collection[str], keys: Sequence[str]) -> None:
        self._verifier = verifier
        self._identities = frozenset(identities)
        self._keys = keys

    @property
    def closed(self) -> bool:
        return self._verifier is None and not self._keys

    async def platform(self, request: Request) -> str:
        """Return the name of the authenticated sender. Raises `AuthError`, `ForbiddenError`, and `OutsideError` if the
        signing keys of Entra are unavailable.
        """
        if self.closed:
            raise ForbiddenError("agent tools are off; set AGENT_TOOLS_AUDIENCE or AGENT_TOOLS_KEYS")
        authorization = request.headers.get("authorization", "")
        given = request.headers.get("x-api-key") or authorization.partition(" ")[2]
        if number := number_among(given, self._keys):
            return f"key {number}"
        if self._verifier is None:
            raise AuthError("the key of the project connection is missing or wrong")
        claims = await self._verifier.check(authorization)
        identities = [str(claims.get(name, "")) for name in ("oid", "appid", "azp")]
        found = next((one for one in identities if one in self._identities), "")
        if not found:
            raise AuthError("the identity of the token is not in AGENT_TOOLS_IDENTITIES")
        return f"identity {found}"
