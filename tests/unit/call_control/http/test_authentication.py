from __future__ import annotations

import pytest
from starlette.requests import Request

from bridge_common.base.errors import AuthError
from call_control.http.authentication import EventGridGuard, ForbiddenError, OperatorGuard, entra_verifier, is_one_of


def request_with(query: str = "", **headers: str) -> Request:
    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return Request({"type": "http", "query_string": query.encode(), "headers": raw})


def test_one_of_several_and_never_the_empty_one() -> None:
    assert is_one_of("b", ["a", "b"])
    assert is_one_of("ü", ["ü"])
    for bad in ("", "c", "a,b", "ab"):
        assert not is_one_of(bad, ["a", "b"])
    assert not is_one_of("", [])


def test_operators_need_a_key_that_is_set_up() -> None:
    guard = OperatorGuard(["k1", "k2"])
    assert guard.number(request_with(authorization="Bearer k1")) == 1
    assert guard.number(request_with(x_api_key="k2")) == 2
    assert guard.number(request_with(authorization="Bearer k1 ")) == 0
    assert guard.number(request_with()) == 0
    with pytest.raises(ForbiddenError, match="API_KEYS"):
        OperatorGuard([]).number(request_with(x_api_key=""))


async def test_without_secret_and_token_the_webhook_is_open() -> None:
    """Accepts all requests; without a secret and a token check the service starts only with ALLOW_INSECURE."""
    await EventGridGuard([], None).check(request_with())


async def test_secret_and_token_are_both_needed_when_both_are_set() -> None:
    verifier = entra_verifier("tenant", "audience", "http://127.0.0.1:1/keys")
    guard = EventGridGuard(["s"], verifier)
    with pytest.raises(AuthError, match="code"):
        await guard.check(request_with("code=x", authorization="Bearer t"))
    with pytest.raises(AuthError, match="Authorization"):
        await guard.check(request_with("code=s"))
    guard.check_secret(request_with("code=s"))
