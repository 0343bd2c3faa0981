"""Real servers: every message that is measured came back."""

from __future__ import annotations

import pytest

from bench import sockets


@pytest.mark.parametrize("server", list(sockets.SERVERS))
def test_each_server_answers_what_it_is_measured_with(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sockets, "SECONDS", 0.2)
    monkeypatch.setattr(sockets, "SERVERS", {server: sockets.SERVERS[server]})
    (table,) = sockets.measure(repeats=1)
    assert [row[0] for row in table.rows] == [server]
