"""A JWKS endpoint on this machine, and tokens signed with its keys."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import jwt
import uvicorn
from cryptography.hazmat.primitives.asymmetric import rsa
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from tests.support.lab_server import running

ISSUER = "https://acscallautomation.communication.azure.com"
AUDIENCE = "6c5b0a52-93f2-4a0b-9c39-6f7a1d1b1a11"
KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
OTHER_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)


def jwk(key: rsa.RSAPrivateKey, kid: str) -> dict[str, Any]:
    public: dict[str, Any] = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key()))
    return {**public, "kid": kid, "use": "sig", "alg": "RS256"}


class KeyServer:
    """A JWKS endpoint that counts its requests and gives configured responses."""

    def __init__(self) -> None:
        self.url = ""
        self.asked = 0
        self.status = 200
        self.body = b""
        self.in_pieces = False
        self.go_on = asyncio.Event()
        self.go_on.set()
        self.offer({"k1": KEY})

    def offer(self, keys: dict[str, rsa.RSAPrivateKey], *others: object) -> None:
        self.body = json.dumps({"keys": [*others, *(jwk(key, kid) for kid, key in keys.items())]}).encode()

    async def answer(self, _: Request) -> Response:
        self.asked += 1
        await self.go_on.wait()
        if self.in_pieces:
            return StreamingResponse(self._pieces())
        return Response(self.body, self.status, media_type="application/json")

    async def _pieces(self) -> AsyncIterator[bytes]:
        for start in range(0, len(self.body), 100):
            yield self.body[start : start + 100]
            await asyncio.sleep(0.002)


@asynccontextmanager
async def key_server() -> AsyncIterator[KeyServer]:
    server = KeyServer()
    app = Starlette(routes=[Route("/calling/keys", server.answer)])
    async with running(uvicorn.Config(app, port=0, lifespan="off", log_config=None)) as address:
        server.url = f"http://{address}/calling/keys"
        yield server


def claims(**changes: object) -> dict[str, Any]:
    now = int(time.time())
    found = {"iss": ISSUER, "aud": AUDIENCE, "iat": now, "nbf": now, "exp": now + 300, **changes}
    return {name: value for name, value in found.items() if value is not None}


def bearer(key: rsa.RSAPrivateKey = KEY, kid: str = "k1", **changes: Any) -> str:
    return "Bearer " + jwt.encode(claims(**changes), key, algorithm="RS256", headers={"kid": kid})


def encoded(part: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()
