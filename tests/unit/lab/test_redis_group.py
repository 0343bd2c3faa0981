"""URL and decoded replies of a group with sentinels. The tests of the services' Redis clients start a real group and
fail it over.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from lab import redis_group
from lab.redis_group import RedisGroup
from lab.redis_line import RedisRefusedError


def test_its_url_names_every_sentinel_and_the_service(tmp_path: Path) -> None:
    group = RedisGroup(tmp_path, sentinel_ports=[1, 2, 3])
    assert group.url == "redis+sentinel://127.0.0.1:1,127.0.0.1:2,127.0.0.1:3/lab/0"


@pytest.mark.parametrize(
    ("flags", "others", "replica_flags", "link", "whole"),
    [
        ("master", 2, "slave", "ok", True),
        ("master,s_down", 2, "slave", "ok", False),
        ("master", 1, "slave", "ok", False),
        ("master", 2, "s_down,slave", "ok", False),
        ("master", 2, "slave", "err", False),
    ],
)
def test_it_is_complete_when_another_failover_is_possible(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, flags: str, others: int, replica_flags: str, link: str, whole: bool
) -> None:
    def answer(port: int, *command: str | int) -> list[object]:
        if command[1] == "MASTER":
            return ["flags", flags, "num-other-sentinels", str(others)]
        return [["flags", replica_flags, "master-link-status", link]]

    monkeypatch.setattr(redis_group, "ask", answer)
    assert RedisGroup(tmp_path, sentinel_ports=[1, 2, 3]).is_complete(1) is whole


def test_waiting_ignores_refusals(tmp_path: Path) -> None:
    attempts = iter((RedisRefusedError("NOGOODSLAVE"), ConnectionRefusedError(), None))

    def fact() -> bool:
        if (error := next(attempts)) is not None:
            raise error
        return True

    RedisGroup(tmp_path).wait_until(fact, "never")
    assert next(attempts, "used up") == "used up"
