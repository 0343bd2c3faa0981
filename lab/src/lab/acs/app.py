"""The simulated Azure Communication Services as a Starlette application: `lab acs`."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

import aiohttp
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from lab.acs import acs_log, rest
from lab.acs.equipment import Equipment
from lab.acs.exchange import Exchange
from lab.acs.lab_api import LabApi, RefusedRequestError, refused
from lab.acs.settings import AcsSettings
from lab.acs.tokens import KEYS_PATH, OPENID_PATH, TokenIssuer
from lab.control_errors import HTTP_ERRORS
from lab.keep_alive import KEEP_ALIVE_S
from lab.simulator_options import simulator_parser
from lab.tls import Tls, tls_from


def create_app(settings: AcsSettings) -> Starlette:
    """Everything that lives is made in the lifespan: the HTTP session, the keys, the calls."""
    current: list[Exchange] = []

    def exchange() -> Exchange:
        return current[0]

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(connector=connector) as http, asyncio.TaskGroup() as tasks:
            tokens = TokenIssuer(settings.issuer, settings.acs_resource_id)
            current[:] = [Exchange(Equipment(settings, http, tokens), tasks)]
            try:
                yield
            finally:
                exchange().stop()

    async def openid_configuration(request: Request) -> Response:
        here = str(request.base_url).rstrip("/")
        return JSONResponse(exchange().equipment.tokens.openid_configuration(here))

    async def keys(_: Request) -> Response:
        return JSONResponse(exchange().equipment.tokens.jwks())

    return Starlette(
        routes=[
            Route(OPENID_PATH, openid_configuration),
            Route(KEYS_PATH, keys),
            *LabApi(exchange).routes(),
            *rest.routes(exchange),
        ],
        exception_handlers={**HTTP_ERRORS, RefusedRequestError: refused},
        lifespan=lifespan,
    )


async def serve(settings: AcsSettings, tls: Tls | None = None) -> None:
    """Serve until SIGINT or SIGTERM."""
    acs_log.configure(settings.log_level)
    config = uvicorn.Config(
        create_app(settings),
        host=settings.host,
        port=settings.port,
        log_level="warning",
        access_log=False,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=2,
        ssl_context_factory=tls.context_factory if tls else None,
    )
    acs_log.log("acs simulator", url=settings.base_url, webhook=settings.webhook_url, schema=settings.event_schema)
    await uvicorn.Server(config).serve()


def main(argv: Sequence[str] = ()) -> int:
    """Run from the environment; 2 when a setting is wrong."""
    parser = simulator_parser("acs", "A simulated ACS resource.", AcsSettings)
    parser.add_argument("--strict", action="store_true", help="as LAB_STRICT=1")
    options = parser.parse_args(argv)
    try:
        given = AcsSettings.from_env()
        scheme, strict = "https" if options.tls else "http", given.lab_strict or options.strict
        settings = replace(given, scheme=scheme, lab_strict=strict)
        tls = tls_from(options)
    except (ValueError, OSError) as error:
        acs_log.configure("INFO")
        acs_log.log("settings are wrong", reason=str(error))
        return 2
    asyncio.run(serve(settings, tls))
    return 0
