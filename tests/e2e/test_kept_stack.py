"""A stack started by `lab up` is found by commands from its own folder and from other folders."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from dataclasses import replace
from pathlib import Path
from threading import Thread

import psutil

from lab.kept_stack import (
    find_stack,
    load_stack,
    not_ready,
    save_stack,
    stack_on_ports,
    stop_stored_stack,
    stored_processes,
)
from lab.ports import free_port
from lab.stack import Ports, Stack, stack_folder
from lab.stack_process import Process


def test_a_stored_stack_is_read_again(tmp_path: Path) -> None:
    assert load_stack(tmp_path) is None
    stack = Stack(Ports(), tmp_path)
    stack.processes.append(Process("acs", 8090, None))
    save_stack(stack)
    recalled = load_stack(tmp_path)
    assert recalled is not None
    assert (recalled.ports, recalled.url("acs")) == (Ports(), "http://127.0.0.1:8090")


def test_a_stack_that_others_started_is_found_when_all_of_it_is_ready(stack: Stack, tmp_path: Path) -> None:
    there = stack_on_ports(tmp_path, stack.ports)
    assert there is not None
    assert there.url("agent-relay") == stack.url("agent-relay")
    assert there.dead() == []
    assert stack_on_ports(tmp_path, replace(stack.ports, agent_relay=free_port())) is None


def test_a_stack_of_another_folder_is_found_with_its_logs(stack: Stack, tmp_path: Path) -> None:
    save_stack(stack)
    assert stack_folder(stack.ports) == stack.folder
    there = find_stack(tmp_path, stack.ports)
    assert there is not None
    assert there.folder == stack.folder
    assert not_ready(there) == []
    assert stack_folder(Ports.free()) is None


def test_a_process_that_ended_by_itself_is_noticed(tmp_path: Path) -> None:
    stack = Stack(Ports.free(), tmp_path)
    children = [subprocess.Popen(["sleep", "60"]) for _ in range(2)]
    stack.processes = [
        Process(name, port, child, None, "/readyz")
        for name, port, child in zip(("acs", "media-gateway"), (free_port(), free_port()), children, strict=True)
    ]
    save_stack(stack)
    assert stored_processes(tmp_path) == (["acs", "media-gateway"], [])
    children[1].kill()
    children[1].wait()
    assert stored_processes(tmp_path) == (["acs"], ["media-gateway"])
    recalled = load_stack(tmp_path)
    assert recalled is not None
    assert not_ready(recalled) == ["acs (no answer)", "media-gateway (no answer)"]
    reaper = Thread(target=children[0].wait)
    reaper.start()
    assert stop_stored_stack(tmp_path) == ["acs"]
    reaper.join(timeout=10)
    assert children[0].returncode == -signal.SIGTERM


def test_a_pid_that_another_program_has_by_now_is_left_alone(tmp_path: Path) -> None:
    started = psutil.Process().create_time() - 3600
    row = {"name": "acs", "port": 1, "pid": os.getpid(), "started": started}
    (tmp_path / "stack.json").write_text(json.dumps({"processes": [row], "ports": {}}))
    assert stored_processes(tmp_path) == ([], ["acs"])
    assert stop_stored_stack(tmp_path) == []


def test_a_pid_that_is_gone_does_not_stop_down(tmp_path: Path) -> None:
    with subprocess.Popen(["sleep", "60"]) as child:
        child.kill()
    row = {"name": "acs", "port": 1, "pid": child.pid}
    (tmp_path / "stack.json").write_text(json.dumps({"processes": [row], "ports": {}}))
    assert stop_stored_stack(tmp_path) == []
