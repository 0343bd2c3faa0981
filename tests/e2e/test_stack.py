"""The stack of processes, and its errors when a process cannot start."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from lab.ports import free_port
from lab.stack import Ports, Stack, StackError, running
from lab.stack_process import Process, probe_status


def test_every_process_is_running_and_found_by_its_name(stack: Stack) -> None:
    assert [process.name for process in stack.processes] == [
        *("redis", "identity", "voice-live", "acs", "call-control", "media-gateway", "agent-relay")
    ]
    stack.await_ready()
    assert stack.dead() == []


def test_a_part_that_cannot_start_is_named_with_its_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REDIS_URL", raising=False)
    stack = Stack(Ports.free(), tmp_path, extra={"agent-relay": {"AGENT_NAME": "", "AZURE_VOICE_LIVE_ENDPOINT": "x"}})
    message = r"agent-relay exited with code 2(.|\n)*AZURE_VOICE_LIVE_ENDPOINT(.|\n)*whole log"
    with pytest.raises(StackError, match=message), running(stack):
        pytest.fail("the stack must not start")
    assert len(stack.dead()) == len(stack.processes)


def test_an_exported_setting_reaches_its_service(stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The test exports an invalid value for two services. Their errors prove that they have read it."""
    monkeypatch.delenv("REDIS_URL", raising=False)
    monkeypatch.setenv("RELAY_CAPACITY", "none")
    monkeypatch.setenv("AGENT_PROFILES_FILE", str(tmp_path / "missing.yaml"))
    with pytest.raises(StackError) as caught, running(Stack(Ports.free(), tmp_path)):
        pytest.fail("the stack must not start")
    assert "missing.yaml" in str(caught.value)
    assert "RELAY_CAPACITY" in str(caught.value)


def test_a_taken_port_is_named_with_the_stack_that_has_it(stack: Stack, tmp_path: Path) -> None:
    """Without this check, the other stack would answer the readiness probes while the new processes exit."""
    beside = Stack(replace(Ports.free(), acs=stack.ports.acs), tmp_path / "beside")
    with pytest.raises(StackError, match=f"port {stack.ports.acs}, which acs needs(.|\n)*{stack.folder}"):
        beside.start()
    assert beside.processes == []
    assert not beside.folder.exists(), "the folder must not remain"


def test_an_answer_of_another_process_does_not_count(stack: Stack, tmp_path: Path) -> None:
    [acs] = [process for process in stack.processes if process.name == "acs"]
    assert acs.listens
    with subprocess.Popen(["sleep", "60"]) as idle:
        assert not Process("acs", acs.port, idle).listens
        idle.kill()


def test_the_simulators_alone_are_no_stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "lab").touch()
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    stack = Stack(Ports.free(), tmp_path / "stack")
    with pytest.raises(StackError, match=r"call-control, media-gateway, agent-relay not found(.|\n)*lab acs"):
        stack.start()
    assert not stack.folder.exists()


def test_a_redis_of_another_machine_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", "rediss://prod.example.com:10000/0")
    with pytest.raises(StackError, match="remote host"):
        Stack(Ports.free(), tmp_path).start()


def test_an_unreachable_port_has_status_0_and_no_log_is_named(tmp_path: Path) -> None:
    assert probe_status(f"http://127.0.0.1:{free_port()}/x") == 0
    assert "no log" in Process("acs", 1, None).log_tail()
