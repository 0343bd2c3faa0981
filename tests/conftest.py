"""Fixtures for all tests: one real Redis-compatible server for the session, emptied for each test that uses it."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Iterator

import pytest

from bridge_common.redis.clients import RedisClients, open_clients
from bridge_common.wire.keys import Keys
from lab.ports import free_port
from lab.redis_server import start_server


@pytest.fixture(scope="session")
def redis_server_url() -> Iterator[str]:
    """A server of our own, never the one in REDIS_URL: tests flush it."""
    port = free_port()
    process = start_server(port)
    yield f"redis://127.0.0.1:{port}/0"
    process.terminate()
    process.wait()


@pytest.fixture
async def clients(redis_server_url: str) -> AsyncIterator[RedisClients]:
    """The three clients on an empty database."""
    clients = open_clients(redis_server_url)
    await clients.control.flushall()
    yield clients
    await clients.aclose()


@pytest.fixture
async def redis_url(redis_server_url: str, clients: RedisClients) -> str:
    """The URL of the emptied server, for services that open their own clients."""
    return redis_server_url


@pytest.fixture
def keys() -> Keys:
    return Keys(shards=1)


@pytest.fixture
async def no_task_is_left() -> AsyncIterator[None]:
    """A test that leaves a task running has leaked it, and fails."""
    before = asyncio.all_tasks()
    yield
    left = [task for task in asyncio.all_tasks() - before if not task.done() and task is not asyncio.current_task()]
    assert not left, f"tasks left running: {left}"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Watch every coroutine test; first in line, so that its check runs after all other fixtures are gone."""
    for item in items:
        if isinstance(item, pytest.Function) and inspect.iscoroutinefunction(item.function):
            item.fixturenames.insert(0, no_task_is_left.__name__)
