"""User and password of a process: the object id in its token, the token, and another token when one is refused."""

from __future__ import annotations

import time

import jwt
import pytest
from azure.core.credentials import AccessToken
from azure.core.credentials_async import AsyncTokenCredential
from azure.core.exceptions import ClientAuthenticationError
from redis.exceptions import ConnectionError as RedisConnectionError

from bridge_common.redis.credentials import EntraCredentials

SCOPE = "https://redis.azure.com/.default"
KEY = "a key that only this test knows, long enough for HS256"


class Identity(AsyncTokenCredential):
    """A credential without a cache: each request gets a new token with `claims`."""

    minted = 0

    def __init__(self, claims: dict[str, str], broken: bool = False) -> None:
        self._claims = claims
        self._broken = broken

    async def get_token(self, *scopes: str, **_: object) -> AccessToken:
        assert scopes == (SCOPE,)
        if self._broken:
            raise ClientAuthenticationError("no identity here")
        Identity.minted += 1
        token = jwt.encode({**self._claims, "jti": str(Identity.minted)}, KEY, algorithm="HS256")
        return AccessToken(token, int(time.time() + 3600))

    async def close(self) -> None: ...

    async def __aexit__(self, *_: object) -> None: ...


async def test_the_object_id_is_the_user() -> None:
    credentials = EntraCredentials(SCOPE, make_credential=lambda: Identity({"oid": "some-principal"}))
    assert credentials.token == ""
    user, token = await credentials.get()
    assert (user, token) == ("some-principal", credentials.token)
    assert await credentials.get() == (user, token)
    await credentials.aclose()


async def test_a_user_in_the_url_has_precedence() -> None:
    credentials = EntraCredentials(SCOPE, "named", lambda: Identity({}))
    assert (await credentials.get())[0] == "named"
    await credentials.aclose()


async def test_a_token_without_object_id_is_an_error() -> None:
    credentials = EntraCredentials(SCOPE, make_credential=lambda: Identity({}))
    with pytest.raises(RedisConnectionError, match="set the user in REDIS_URL"):
        await credentials.get()
    await credentials.aclose()


async def test_no_token_is_an_error_of_redis_py() -> None:
    credentials = EntraCredentials(SCOPE, make_credential=lambda: Identity({}, broken=True))
    with pytest.raises(RedisConnectionError, match="no token for https://redis"):
        await credentials.get()
    await credentials.aclose()


async def test_a_refused_token_is_replaced_at_intervals() -> None:
    """A process without access to Redis must not overload the identity service."""
    credentials = EntraCredentials(SCOPE, make_credential=lambda: Identity({"oid": "some-principal"}))
    _, first = await credentials.get()
    credentials.refused(first)
    _, second = await credentials.get()
    assert second != first
    credentials.refused(first)
    assert (await credentials.get())[1] == second, "the refusal of an older token does not count"
    credentials.refused(second)
    assert (await credentials.get())[1] == second
    await credentials.aclose()
