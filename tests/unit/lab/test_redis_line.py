"""Single commands sent to a real server."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from lab.ports import free_port
from lab.redis_line import RedisRefusedError, ask, ask_map, becomes_true
from lab.redis_server import redis_server


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with redis_server() as url:
        yield int(urlsplit(url).port or 0)


def test_each_kind_of_answer_is_read(port: int) -> None:
    assert ask(port, "PING") == "PONG"
    assert ask(port, "DEL", "chaos:line") in (0, 1)
    assert ask(port, "GET", "chaos:line") is None
    assert ask(port, "HSET", "chaos:line", "a", 1, "b", "ü\r\n") == 2
    assert ask_map(port, "HGETALL", "chaos:line") == {"a": "1", "b": "ü\r\n"}
    assert ask(port, "HMGET", "chaos:line", "a", "c") == ["1", None]
    ask(port, "DEL", "chaos:line")


def test_a_refusal_and_a_missing_server_are_errors(port: int) -> None:
    with pytest.raises(RedisRefusedError, match="unknown command"):
        ask(port, "NONSENSE")
    with pytest.raises(OSError, match="refused"):
        ask(free_port(), "PING")


def test_waiting_tolerates_a_late_server_and_a_late_fact() -> None:
    answers: Iterator[Exception | bool] = iter(
        [ConnectionRefusedError(), RedisRefusedError("LOADING"), KeyError("flags"), False, True]
    )

    def fact() -> bool:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    assert becomes_true(fact, 5.0)
    assert not becomes_true(lambda: False, 0.0)
