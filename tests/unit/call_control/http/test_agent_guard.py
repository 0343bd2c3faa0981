"""Access to the agent tools; tokens are checked against real keys in tests/integration."""

from __future__ import annotations

import pytest
from starlette.requests import Request

from bridge_common.base.errors import AuthError
from call_control.http.agent_guard import AgentGuard
from call_control.http.authentication import ForbiddenError


def _request(**headers: str) -> Request:
    return Request({"type": "http", "headers": [(name.encode(), value.encode()) for name, value in headers.items()]})


@pytest.mark.parametrize(
    ("headers", "platform"),
    [({"x-api-key": "new"}, "key 1"), ({"authorization": "Bearer old"}, "key 2"), ({"x-api-key": "old"}, "key 2")],
)
async def test_keys_of_connections(headers: dict[str, str], platform: str) -> None:
    assert await AgentGuard(None, (), ("new", "old")).platform(_request(**headers)) == platform


@pytest.mark.parametrize("headers", [{}, {"x-api-key": "other"}, {"authorization": "new"}, {"authorization": "Bearer"}])
async def test_wrong_keys(headers: dict[str, str]) -> None:
    with pytest.raises(AuthError, match="missing or wrong"):
        await AgentGuard(None, (), ("new",)).platform(_request(**headers))


async def test_nobody_may_by_default() -> None:
    guard = AgentGuard(None, (), ())
    assert guard.closed
    with pytest.raises(ForbiddenError, match="AGENT_TOOLS_KEYS"):
        await guard.platform(_request(**{"x-api-key": ""}))
