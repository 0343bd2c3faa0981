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

from lab.acs import rest
from lab.acs.exchange import Exchange
from lab.acs.lab_api import LabApi
from lab.acs.settings import AcsSettings
from lab.acs.shared_state import SharedState
from lab.acs.tokens import KEYS_PATH, OPENID_PATH, TokenIssuer
from lab.control_errors import HTTP_ERRORS
from lab.simulator import http_server, log, run_simulator
from lab.tls import Tls


def create_app(settings: AcsSettings) -> Starlette:
    current: list[Exchange] = []

    def exchange() -> Exchange:
        return current[0]

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(connector=connector) as http, asyncio.TaskGroup() as tasks:
            tokens = TokenIssuer(settings.issuer, settings.acs_resource_id)
            current[:] = [Exchange(SharedState(settings, http, tokens), tasks)]
            facts = {"url": settings.base_url, "webhook": settings.webhook_url, "schema": settings.event_schema}
            log.info("simulator started", extra=facts)
            try:
                yield
            finally:
                exchange().stop()

    async def openid_configuration(request: Request) -> Response:
        here = str(request.base_url).rstrip("/")
        return JSONResponse(exchange().shared.tokens.openid_configuration(here))

    async def keys(_: Request) -> Response:
        return JSONResponse(exchange().shared.tokens.jwks())

    return Starlette(
        routes=[
            Route(OPENID_PATH, openid_configuration),
            Route(KEYS_PATH, keys),
            *LabApi(exchange).routes(),
            *rest.routes(exchange),
        ],
        exception_handlers=HTTP_ERRORS,
        lifespan=lifespan,
    )


def server_config(settings: AcsSettings, tls: Tls | None = None) -> uvicorn.Config:
    return http_server(
        create_app(replace(settings, scheme="https" if tls else "http")), settings.host, settings.port, tls
    )


def main(argv: Sequence[str] = ()) -> int:
    return run_simulator("acs", "A simulated ACS resource.", AcsSettings, server_config, argv)
