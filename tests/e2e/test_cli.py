"""The `lab` command, run as a program."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from lab.cli import main
from lab.kept_stack import load_stack, not_ready, stored_processes
from lab.stack import PARTS, Ports, Stack
from lab.stack_process import probe_status
from tests.support.eventually import eventually

LAB = str(Path(sys.executable).parent / "lab")


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name != "REDIS_URL"}


def _lab(*arguments: str, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [LAB, *arguments]
    return subprocess.run(
        command, env=_environment(), capture_output=True, text=True, timeout=60, check=False, cwd=folder
    )


@contextmanager
def _demo(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """A running demo in a separate folder."""
    command = [LAB, "--folder", str(folder), "demo", "--out", str(folder / "out")]
    # A shell that starts the tests in the background makes them ignore Ctrl-C, and a child would inherit that.
    ignored = signal.signal(signal.SIGINT, signal.default_int_handler)
    with subprocess.Popen(
        command, env=_environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=folder
    ) as demo:
        signal.signal(signal.SIGINT, ignored)
        try:
            yield demo
        finally:
            demo.kill()


def _of_folder(folder: Path) -> list[psutil.Process]:
    """Return the processes whose logs are in this folder."""
    mine: list[psutil.Process] = []
    for process in psutil.process_iter():
        try:
            if process.status() != psutil.STATUS_ZOMBIE and str(folder) in str(process.environ().get("PWD_OF_TEST")):
                mine.append(process)
        except psutil.Error:
            continue
    return mine


@pytest.mark.timeout(90)
def test_up_starts_the_stack_and_down_stops_it(tmp_path: Path) -> None:
    folder = ("--folder", str(tmp_path))
    up = _lab(*folder, "up", "--free-ports")
    assert up.returncode == 0, up.stderr
    try:
        stack = load_stack(tmp_path)
        assert stack is not None
        for name in ("redis", *PARTS):
            assert f"127.0.0.1:{stack.port_of(name)}" in up.stdout
        ready = f"http://127.0.0.1:{stack.ports.call_control}/readyz"
        assert probe_status(ready) == 200
        again = _lab(*folder, "up", "--free-ports")
        assert (again.returncode, "is already running" in again.stderr) == (1, True)
        _kill(stack, "media-gateway")
        again = _lab(*folder, "up", "--free-ports")
        assert (again.returncode, "media-gateway exited unexpectedly" in again.stderr) == (1, True)
        call = _lab(*folder, "call")
        assert (call.returncode, "media-gateway (no answer)" in call.stderr) == (1, True)
        _check_replicas(tmp_path, stack)
    finally:
        down = _lab(*folder, "down")
    assert "Stopped agent-relay-2, media-gateway, agent-relay" in down.stdout
    assert probe_status(ready) == 0
    assert "No stack was running" in _lab(*folder, "down").stdout


def _check_replicas(folder: Path, stack: Stack) -> None:
    """A service that has exited is started again on its port, one that is running gets a second process."""
    again = _lab("--folder", str(folder), "replica", "media-gateway")
    assert (again.returncode, f"media-gateway is ready: {stack.url('media-gateway')}" in again.stdout) == (0, True)
    second = _lab("--folder", str(folder), "replica", "agent-relay")
    assert (second.returncode, "agent-relay-2 is ready" in second.stdout) == (0, True), second.stderr
    stored = load_stack(folder)
    assert stored is not None
    assert not_ready(stored) == []
    assert stored.url("agent-relay-2") in second.stdout
    assert stored_processes(folder)[1] == []


def _kill(stack: Stack, name: str) -> None:
    port = stack.port_of(name)
    for process in psutil.process_iter():
        try:
            if any(one.status == psutil.CONN_LISTEN and one.laddr.port == port for one in process.net_connections()):
                process.kill()
                process.wait()
        except psutil.Error:
            continue


@pytest.mark.timeout(90)
async def test_ctrl_c_ends_the_demo_at_once_and_without_a_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PWD_OF_TEST", str(tmp_path))
    with _demo(tmp_path) as demo:
        assert demo.stdout is not None
        while "hears the agent" not in (line := demo.stdout.readline()):
            assert line, "the demo exited before it was interrupted"
        demo.send_signal(signal.SIGINT)
        began = time.monotonic()
        rest = demo.stdout.read()
        assert demo.wait() == 130
        assert time.monotonic() - began < 8
    assert "Interrupted; stopping" in rest
    assert "Traceback" not in rest
    await eventually(lambda: _of_folder(tmp_path) == [], within_s=10)


@pytest.mark.timeout(90)
async def test_a_demo_that_is_killed_leaves_no_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PWD_OF_TEST", str(tmp_path))
    with _demo(tmp_path) as demo:
        assert demo.stdout is not None
        while "phone" not in (line := demo.stdout.readline()):
            assert line, "the demo exited before it was interrupted"
        assert len(_of_folder(tmp_path)) > 7
        demo.send_signal(signal.SIGKILL)
    await eventually(lambda: _of_folder(tmp_path) == [], within_s=20)


def test_a_wrong_command_line_ends_with_2() -> None:
    with pytest.raises(SystemExit) as caught:
        main(["sing"])
    assert caught.value.code == 2


def test_call_without_a_stack_prints_the_remedy(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # A stack that runs on the documented ports would receive the call.
    monkeypatch.setattr("lab.demo.Ports", Ports.free)
    assert main(["--folder", str(tmp_path), "call"]) == 2
    assert "make up" in capsys.readouterr().err


def test_down_names_the_stack_of_another_folder(
    stack: Stack, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lab.cli.Ports", lambda: stack.ports)
    assert main(["--folder", str(tmp_path), "down"]) == 1
    assert f"--folder {stack.folder} down" in capsys.readouterr().err
