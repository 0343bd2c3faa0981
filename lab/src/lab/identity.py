"""A managed-identity endpoint for one machine, so that `DefaultAzureCredential` runs unmodified.

It answers what Azure App Service answers (`IDENTITY_ENDPOINT` + `IDENTITY_HEADER`, api-version 2019-08-01; Microsoft
Learn, "How to use managed identities for App Service"). Its tokens are JWTs signed with a secret that the simulated
Voice Live knows as well: so the audience and the expiry of a bearer token can be checked, as Azure does.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
import time
import uuid
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import jwt
import uvicorn
from jwt.types import Options
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from lab.control_errors import HTTP_ERRORS, bad_body
from lab.environment import read_settings
from lab.keep_alive import KEEP_ALIVE_S
from lab.simulator_options import simulator_parser
from lab.tls import Tls, tls_from

log = logging.getLogger("lab.identity")

DEFAULT_SECRET = "lab-identity-secret-for-one-machine-only"
DEFAULT_HEADER = "lab-identity-header"
ISSUER = "https://lab-identity.invalid/"
SYSTEM_ASSIGNED = "00000000-0000-0000-0000-000000000001"
_API_VERSION = "2019-08-01"
_ALGORITHM = "HS256"


class TokenError(ValueError):
    """The bearer token was not minted here, or its time is over. The caller's fault; a fresh token mends it."""


@dataclass(frozen=True)
class IssuedToken:
    """What a token of this endpoint says. `audience` has no `/.default`; `expires_on` is in Unix seconds."""

    audience: str
    client_id: str
    expires_on: int


@dataclass(frozen=True)
class IdentitySettings:
    """Each field is set by the environment variable of the same name in capitals."""

    host: str = "127.0.0.1"
    port: int = 8093
    lab_identity_secret: str = DEFAULT_SECRET
    """Signs the tokens; the simulated Voice Live needs the same one."""
    identity_header: str = DEFAULT_HEADER
    """The value of `X-IDENTITY-HEADER` that clients must send."""
    token_lifetime_s: int = 24 * 3600

    @classmethod
    def from_env(cls) -> IdentitySettings:
        """Raises `ValueError` that names every variable with a value of the wrong type."""
        return read_settings(cls)


def mint_token(token: IssuedToken, secret: str, now_s: float) -> str:
    """Sign a token; `now_s` in Unix seconds."""
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
    """The principal behind a client id: what Azure Managed Redis takes as the name of its user."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"{ISSUER}{client_id}"))


def read_token(encoded: str, secret: str, now_s: float) -> IssuedToken:
    """Check a bearer token and say what it holds; `now_s` in Unix seconds. Raises `TokenError`.

    Which audience is right is for the caller to decide.
    """
    own_checks: Options = {"verify_aud": False, "verify_exp": False, "verify_iat": False, "require": ["aud", "exp"]}
    try:
        claims = jwt.decode(encoded, secret, algorithms=[_ALGORITHM], issuer=ISSUER, options=own_checks)
        token = IssuedToken(str(claims["aud"]).rstrip("/"), str(claims.get("appid", "")), int(claims["exp"]))
    except (jwt.InvalidTokenError, ValueError, TypeError) as error:
        raise TokenError(f"not a token of the lab's identity endpoint: {error}") from None
    if token.expires_on <= now_s:
        raise TokenError(f"the token expired {now_s - token.expires_on:.0f} s ago")
    return token


class IdentityFaults(BaseModel):
    """`PUT /lab/faults`: answer `status` instead of a token `times` times (null: until told otherwise), wait `delay_s`
    before any answer, let tokens live `token_lifetime_s` seconds only (negative: already expired)."""

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
            return self._refuse(401, "X-IDENTITY-HEADER is missing or wrong")
        if request.query_params.get("api-version") != _API_VERSION:
            return self._refuse(400, f"api-version must be {_API_VERSION}")
        resource = request.query_params.get("resource", "").rstrip("/")
        if not resource.startswith("https://"):
            return self._refuse(400, "resource is missing or no https URI")
        return self._issue(resource, request.query_params.get("client_id", SYSTEM_ASSIGNED))

    def _injected_status(self) -> int | None:
        status, times = self.faults.status, self.faults.times
        if status is not None and times is not None:
            left = {"times": times - 1} if times > 1 else {"times": None, "status": None}
            self.faults = self.faults.model_copy(update=left)
        return status

    def _issue(self, resource: str, client_id: str) -> Response:
        now_s = time.time()
        asked = self.faults.token_lifetime_s
        lifetime_s = self.settings.token_lifetime_s if asked is None else asked
        token = IssuedToken(resource, client_id, int(now_s) + lifetime_s)
        self.minted[resource, client_id] += 1
        log.info("token minted", extra={"resource": resource, "client_id": client_id})
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
        log.warning("token refused", extra={"status": status, "reason": reason})
        return JSONResponse({"statusCode": status, "message": reason}, status_code=status)

    async def counts(self, _request: Request) -> Response:
        minted = [
            {"resource": resource, "client_id": client, "count": n} for (resource, client), n in self.minted.items()
        ]
        return JSONResponse({"minted": minted, "refused": dict(self.refused)})

    async def set_faults(self, request: Request) -> Response:
        try:
            self.faults = IdentityFaults.model_validate_json(await request.body())
        except ValidationError as error:
            return bad_body(error, IdentityFaults)
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
    return uvicorn.Config(
        create_app(settings),
        host=settings.host,
        port=settings.port,
        log_level="warning",
        timeout_keep_alive=KEEP_ALIVE_S,
        ssl_context_factory=tls.context_factory if tls else None,
    )


async def serve(settings: IdentitySettings, tls: Tls | None = None) -> None:
    """Run until SIGINT or SIGTERM."""
    await uvicorn.Server(server_config(settings, tls)).serve()


def main(argv: Sequence[str] = ()) -> int:
    """Settings come from the environment; 2 when one of them is wrong."""
    options = simulator_parser("identity", "A managed identity for one machine.", IdentitySettings).parse_args(argv)
    try:
        settings = IdentitySettings.from_env()
        tls = tls_from(options)
    except (ValueError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve(settings, tls))
    return 0
