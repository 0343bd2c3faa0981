"""`lab replica` without a stack; tests/e2e/test_cli.py has it with one."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from lab.cli import main
from lab.kept_stack import add_process, load_stack, save_stack, stored_processes
from lab.ports import free_port
from lab.stack import Ports, Stack
from lab.stack_process import Process


def test_without_a_stack_nothing_is_started(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = ("--folder", str(tmp_path))
    assert main([*folder, "replica", "agent-relay"]) == 2
    assert f"No stack of {tmp_path} is running. Start one with `lab up`." in capsys.readouterr().err
    with pytest.raises(SystemExit) as caught:
        main([*folder, "replica", "acs"])
    assert caught.value.code == 2
    assert "'agent-relay'" in capsys.readouterr().err


def test_a_process_is_added_to_the_stored_stack(tmp_path: Path) -> None:
    with subprocess.Popen(["sleep", "60"]) as child:
        try:
            gone = subprocess.Popen(["true"])
            gone.wait()
            stack = Stack(Ports.free(), tmp_path, processes=[Process("agent-relay", 1, gone)])
            save_stack(stack)
            port = free_port()
            add_process(tmp_path, Process("agent-relay", port, child))
            add_process(tmp_path, Process("agent-relay-2", 2, child))
            stored = load_stack(tmp_path)
            assert stored is not None
            assert stored.url("agent-relay") == f"http://127.0.0.1:{port}"
            assert stored.ports == stack.ports
            assert stored_processes(tmp_path) == (["agent-relay", "agent-relay-2"], [])
        finally:
            child.kill()
