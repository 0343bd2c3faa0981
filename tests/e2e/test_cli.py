"""The `lab` command as people call it."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest

from lab.cli import main
from lab.stack import Ports, bring_down, probe_status, recall


@pytest.mark.timeout(90)
def test_up_keeps_the_stack_up_and_down_stops_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ports = Ports.free()
    monkeypatch.delenv("REDIS_URL", raising=False)
    monkeypatch.setattr("lab.cli.Ports", lambda: ports)
    assert main(["--folder", str(tmp_path), "up"]) == 0
    try:
        assert str(ports.acs) in capsys.readouterr().out
        assert probe_status(f"http://127.0.0.1:{ports.call_control}/readyz") == 200
        assert main(["--folder", str(tmp_path), "up"]) == 1
        assert recall(tmp_path) is not None
    finally:
        assert main(["--folder", str(tmp_path), "down"]) == 0
    assert "Stopped agent-relay" in capsys.readouterr().out
    assert probe_status(f"http://127.0.0.1:{ports.call_control}/readyz") == 0
    assert main(["--folder", str(tmp_path), "down"]) == 0
    assert "Nothing was up" in capsys.readouterr().out


def test_a_pid_that_is_gone_does_not_stop_down(tmp_path: Path) -> None:
    child = os.spawnlp(os.P_NOWAIT, "sleep", "sleep", "60")
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    row = {"name": "acs", "port": 1, "pid": child}
    (tmp_path / "stack.json").write_text(json.dumps({"processes": [row], "ports": {}}))
    assert bring_down(tmp_path) == []


def test_a_wrong_command_line_ends_with_2() -> None:
    with pytest.raises(SystemExit) as caught:
        main(["sing"])
    assert caught.value.code == 2


def test_call_without_a_stack_says_what_to_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--folder", str(tmp_path), "call"]) == 2
    assert "make up" in capsys.readouterr().err
