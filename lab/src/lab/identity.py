"""A managed identity endpoint for one machine, so that `DefaultAzureCredential` runs unmodified.

It implements the endpoint of Azure App Service (`IDENTITY_ENDPOINT` and `IDENTITY_HEADER`, api-version 2019-08-01;
Microsoft Learn, "How to use managed identities for App Service"). The simulated Voice Live shares the secret that signs
the tokens, so that it checks audience and expiry like Azure.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import jwt
import uvicorn
from jwt.types import Options
from pydantic import BaseModel, ConfigDict, Field
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from lab.control_errors import HTTP_ERRORS, decode_body
from lab.environment import Count, Port, SimulatorSettings
from lab.simulator import http_server, log, run_simulator
from lab.tls import Tls

DEFAULT_SECRET = "lab-identity-secret-for-one-machine-only"
DEFAULT_HEADER = "lab-identity-header"
ISSUER = "https://lab-identity.invalid/"
SYSTEM_ASSIGNED = "00000000-0000-0000-0000-000000000001"
_API_VERSION = "2019-08-01"
_ALGORITHM = "HS256"


class TokenError(ValueError):
    """The bearer token has expired or was not issued by this endpoint. The client must request a new one."""


@dataclass(frozen=True)
class IssuedToken:
    """The claims of a token. `audience` has no `/.default`; `expires_on` is in Unix seconds."""

    audience: str
    client_id: str
    expires_on: int


@dataclass(frozen=True)
class IdentitySettings(SimulatorSettings):
    host: str = "127.0.0.1"
    port: Port = 8093
    lab_identity_secret: str = DEFAULT_SECRET
    """Secret that signs the tokens; the simulated Voice Live needs the same value."""
    identity_header: str = DEFAULT_HEADER
    """Required value of the header `X-IDENTITY-HEADER`."""
    token_lifetime_s: Count = 24 * 3600


def mint_token(token: IssuedToken, secret: str, now_s: float) -> str:
    """Return a signed token. `now_s` in Unix seconds."""
    claims = {
        "iss": ISSUER,
        "aud": token.audience,
        "appid": token.client_id,
        "oid": object_id(token.client_id),
        "iat": int(now_s),
        "exp": token.expires_on,
        "jti": uuid.uuid4().hex,
    }
    return jwt.encode(claims, secret, algorithm=_ALGORITHM)


def object_id(client_id: str) -> str:
    """Return the object id of the identity with this client id. Azure Managed Redis uses it as the user name."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"{ISSUER}{client_id}"))


def read_token(encoded: str, secret: str, now_s: float) -> IssuedToken:
    """Verify signature and expiry of a bearer token, but not its audience; `now_s` in Unix seconds. Raises
    `TokenError`.
    """
    own_checks: Options = {"verify_aud": False, "verify_exp": False, "verify_iat": False, "require": ["aud", "exp"]}
    try:
        claims = jwt.decode(encoded, secret, algorithms=[_ALGORITHM], issuer=ISSUER, options=own_checks)
        token = IssuedToken(str(claims["aud"]).rstrip("/"), str(claims.get("appid", "")), int(claims["exp"]))
    except (jwt.InvalidTokenError, ValueError, TypeError) as error:
        raise TokenError(f"the token was not issued by the simulated identity: {error}") from None
    if token.expires_on <= now_s:
        raise TokenError(f"the token expired {now_s - token.expires_on:.0f} s ago")
    return token


class IdentityFaults(BaseModel):
    """Body of `PUT /lab/faults`.

    `status`: respond with it instead of a token, `times` times (null: until removed). `delay_s`: before each response.
    `token_lifetime_s`: lifetime of new tokens (negative: already expired).
    """

    model_config = ConfigDict(extra="forbid")
    status: int | None = Field(default=None, ge=400, le=599)
    times: int | None = Field(default=None, ge=1)
    delay_s: float = Field(default=0.0, ge=0, le=60)
    token_lifetime_s: int | None = None


@dataclass
class _Endpoint:
    settings: IdentitySettings
    faults: IdentityFaults = field(default_factory=IdentityFaults)
    minted: Counter[tuple[str, str]] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)

    async def token(self, request: Request) -> Response:
        if self.faults.delay_s:
            await asyncio.sleep(self.faults.delay_s)
        if (status := self._injected_status()) is not None:
            return self._refuse(status, "injected fault")
        if request.headers.get("X-IDENTITY-HEADER") != self.settings.identity_header:
            return self._refuse(401, "X-IDENTITY-HEADER is missing or wrong; send the value of IDENTITY_HEADER")
        if request.query_params.get("api-version") != _API_VERSION:
            return self._refuse(400, f"api-version must be {_API_VERSION}")
        resource = request.query_params.get("resource", "").rstrip("/")
        if not resource.startswith("https://"):
            return self._refuse(400, "resource must be an https URI")
        return self._issue(resource, request.query_params.get("client_id", SYSTEM_ASSIGNED))

    def _injected_status(self) -> int | None:
        status, times = self.faults.status, self.faults.times
        if status is not None and times is not None:
            left = {"times": times - 1} if times > 1 else {"times": None, "status": None}
            self.faults = self.faults.model_copy(update=left)
        return status

    def _issue(self, resource: str, client_id: str) -> Response:
        now_s = time.time()
        injected = self.faults.token_lifetime_s
        lifetime_s = self.settings.token_lifetime_s if injected is None else injected
        token = IssuedToken(resource, client_id, int(now_s) + lifetime_s)
        self.minted[resource, client_id] += 1
        log.info("token issued", extra={"resource": resource, "client_id": client_id})
        return JSONResponse(
            {
                "access_token": mint_token(token, self.settings.lab_identity_secret, now_s),
                "expires_on": str(token.expires_on),
                "resource": resource,
                "token_type": "Bearer",
                "client_id": client_id,
            }
        )

    def _refuse(self, status: int, reason: str) -> Response:
        self.refused[reason] += 1
        log.warning("token request rejected", extra={"status": status, "reason": reason})
        return JSONResponse({"statusCode": status, "message": reason}, status_code=status)

    async def counts(self, _request: Request) -> Response:
        minted = [
            {"resource": resource, "client_id": client, "count": n} for (resource, client), n in self.minted.items()
        ]
        return JSONResponse({"minted": minted, "refused": dict(self.refused)})

    async def set_faults(self, request: Request) -> Response:
        self.faults = await decode_body(request, IdentityFaults)
        return JSONResponse(self.faults.model_dump())

    async def clear_faults(self, _request: Request) -> Response:
        self.faults = IdentityFaults()
        return Response(status_code=204)


async def _healthz(_request: Request) -> Response:
    return JSONResponse({"status": "ok"})


def create_app(settings: IdentitySettings) -> Starlette:
    endpoint = _Endpoint(settings)
    return Starlette(
        routes=[
            Route("/msi/token", endpoint.token),
            Route("/lab/tokens", endpoint.counts),
            Route("/lab/faults", endpoint.set_faults, methods=["PUT"]),
            Route("/lab/faults", endpoint.clear_faults, methods=["DELETE"]),
            Route("/healthz", _healthz),
        ],
        exception_handlers=HTTP_ERRORS,
    )


def server_config(settings: IdentitySettings, tls: Tls | None = None) -> uvicorn.Config:
    return http_server(create_app(settings), settings.host, settings.port, tls)


def main(argv: Sequence[str] = ()) -> int:
    return run_simulator("identity", "A managed identity for one machine.", IdentitySettings, server_config, argv)
