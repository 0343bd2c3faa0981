"""The start of a stack: ports that another program takes, and services that reject their settings."""

from __future__ import annotations

import socket
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from lab.ports import free_port
from lab.redis_server import NoRedisError
from lab.stack import Ports, PortTakenError, RefusedSettingsError, Stack, StackError, running
from lab.stack_process import Process


@dataclass(slots=True)
class Contested(Stack):
    """A stack whose ports are taken while it starts."""

    error: StackError | None = None
    done: list[str] = field(default_factory=list)

    def start(self) -> None:
        if self.error is not None:
            raise self.error
        self.done.append("started")

    def stop(self) -> None:
        self.done.append("stopped")


def test_a_stack_that_loses_a_port_starts_on_others(tmp_path: Path) -> None:
    stacks = [Contested(Ports.free(), tmp_path, error=PortTakenError("taken")) for _ in range(3)]
    last = Contested(Ports.free(), tmp_path)
    waiting = iter([*stacks[1:], last])
    with running(stacks[0], lambda: next(waiting)) as stack:
        assert stack is last
    assert [stack.done for stack in stacks] == [["stopped"]] * 3
    assert last.done == ["started", "stopped"]


def test_it_does_not_try_for_ever(tmp_path: Path) -> None:
    made: list[Contested] = []

    def make() -> Stack:
        made.append(Contested(Ports.free(), tmp_path, error=PortTakenError("taken")))
        return made[-1]

    with pytest.raises(PortTakenError), running(make(), make):
        pytest.fail("the stack must not start")
    assert len(made) == 5
    assert all(stack.done == ["stopped"] for stack in made)


def test_other_errors_and_documented_ports_are_not_tried_again(tmp_path: Path) -> None:
    for error, again in ((StackError("broken"), lambda: pytest.fail("once")), (PortTakenError("taken"), None)):
        stack = Contested(Ports(), tmp_path, error=error)
        with pytest.raises(StackError), running(stack, again):
            pytest.fail("the stack must not start")
        assert stack.done == ["stopped"]


@pytest.mark.parametrize("documented", [True, False])
def test_the_advice_fits_the_command(documented: bool, tmp_path: Path) -> None:
    """Only `lab up` uses the documented ports; the others use free ones already."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", free_port()))
        listener.listen()
        stack = Stack(Ports() if documented else Ports.free(), tmp_path)
        with pytest.raises(PortTakenError, match=f"port {listener.getsockname()[1]}, which acs needs") as caught:
            stack.launch("acs", ["false"], listener.getsockname()[1], "", {})
    assert ("`lab up --free-ports`" in str(caught.value)) is documented
    assert ("run the command again" in str(caught.value)) is not documented


def test_a_redis_that_finds_its_port_taken_is_not_broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REDIS_URL", raising=False)
    with socket.socket() as listener:

        def lose_the_port(port: int, **_: object) -> None:
            listener.bind(("127.0.0.1", port))
            listener.listen()
            raise NoRedisError("did not start")

        monkeypatch.setattr("lab.stack.start_server", lose_the_port)
        with pytest.raises(PortTakenError, match="which redis needs"), running(Stack(Ports.free(), tmp_path)):
            pytest.fail("the stack must not start")


def exited(tmp_path: Path, code: int, port: int, log: str = "") -> Stack:
    popen = subprocess.Popen([sys.executable, "-c", f"raise SystemExit({code})"])
    popen.wait()
    path = tmp_path / "agent-relay.log"
    path.write_text(log, encoding="utf-8")
    return Stack(Ports.free(), tmp_path, processes=[Process("agent-relay", port, popen, path, "/readyz")])


def test_a_process_that_finds_its_port_taken_is_not_broken(tmp_path: Path) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", free_port()))
        listener.listen()
        with pytest.raises(PortTakenError):
            exited(tmp_path, 1, listener.getsockname()[1]).await_ready()


REFUSAL = """\
{"message": "starting"}
These settings are missing, invalid or insecure; set them in the environment (see .env.example):
  MAX_CALL_S: must be 10 or more
  AGENT_PROFILES_FILE: /x/profiles.yaml: default.language: must be a string
"""


def test_the_problems_of_a_service_are_part_of_the_error(tmp_path: Path) -> None:
    with pytest.raises(RefusedSettingsError, match="exited with code 2") as caught:
        exited(tmp_path, 2, free_port(), REFUSAL).await_ready()
    assert caught.value.problems == [
        "MAX_CALL_S: must be 10 or more",
        "AGENT_PROFILES_FILE: /x/profiles.yaml: default.language: must be a string",
    ]


def test_the_problems_of_all_services_are_one_error(tmp_path: Path) -> None:
    stack = exited(tmp_path, 2, free_port(), REFUSAL)
    stack.processes = stack.processes * 2
    with pytest.raises(RefusedSettingsError) as caught:
        stack.await_ready()
    assert len(caught.value.problems) == 4


def test_another_exit_has_no_problems(tmp_path: Path) -> None:
    with pytest.raises(StackError, match="exited with code 1") as caught:
        exited(tmp_path, 1, free_port()).await_ready()
    assert not isinstance(caught.value, RefusedSettingsError)
    with pytest.raises(RefusedSettingsError) as refused:
        exited(tmp_path, 2, free_port()).await_ready()
    assert refused.value.problems == []
