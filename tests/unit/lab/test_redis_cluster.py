"""Decoding of a cluster's replies. The tests of the services' Redis clients start a real cluster."""

from __future__ import annotations

import subprocess
from pathlib import Path
from unittest.mock import Mock

import pytest

from lab import redis_cluster
from lab.redis_cluster import RedisCluster


@pytest.mark.parametrize(("state", "known", "whole"), [("ok", 2, True), ("fail", 2, False), ("ok", 1, False)])
def test_it_is_complete_when_all_servers_know_each_other(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, state: str, known: int, whole: bool
) -> None:
    answer = f"cluster_enabled:1\r\ncluster_state:{state}\r\ncluster_known_nodes:{known}\r\n"
    monkeypatch.setattr(redis_cluster, "ask", lambda *_: answer)
    server = Mock(spec=subprocess.Popen)
    cluster = RedisCluster(tmp_path, ports=[1, 2], processes={1: server, 2: server})
    assert cluster.is_complete(1) is whole
    assert cluster.url == "redis://127.0.0.1:1/0"


def test_the_owner_of_a_key_is_read_from_the_slots(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    answers = {"KEYSLOT": 70, "SLOTS": [[0, 50, ["127.0.0.1", 1, "a"]], [51, 99, ["127.0.0.1", 2, "b"]]]}
    monkeypatch.setattr(redis_cluster, "ask", lambda _, __, what, *___: answers[what])
    assert RedisCluster(tmp_path, ports=[1, 2]).owner_of("key") == 2
