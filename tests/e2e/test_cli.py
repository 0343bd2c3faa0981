"""The `lab` command as people call it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from lab.cli import main
from lab.stack import Ports, bring_down, probe_status, recall


def _lab(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).parent / "lab"), *arguments]
    environment = {name: value for name, value in os.environ.items() if name != "REDIS_URL"}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.timeout(90)
def test_up_keeps_the_stack_up_and_down_stops_it(tmp_path: Path) -> None:
    folder = ("--folder", str(tmp_path))
    up = _lab(*folder, "up", "--free-ports")
    assert up.returncode == 0, up.stderr
    try:
        stack = recall(tmp_path)
        assert stack is not None
        assert str(stack.ports.acs) in up.stdout
        ready = f"http://127.0.0.1:{stack.ports.call_control}/readyz"
        assert probe_status(ready) == 200
        assert "up already" in _lab(*folder, "up", "--free-ports").stderr
    finally:
        down = _lab(*folder, "down")
    assert "Stopped agent-relay" in down.stdout
    assert probe_status(ready) == 0
    assert "Nothing was up" in _lab(*folder, "down").stdout


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


def test_call_without_a_stack_says_what_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # On the documented ports somebody's stack may be up, and would get a call.
    monkeypatch.setattr("lab.demo.Ports", Ports.free)
    assert main(["--folder", str(tmp_path), "call"]) == 2
    assert "make up" in capsys.readouterr().err
