"""Stores a stack that continues to run after `lab up`, so that `lab call` and `lab down` find it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import psutil

from lab.stack import API_KEY, PARTS, STOP_TIMEOUT_S, Ports, Stack, stack_folder
from lab.stack_process import Process, probe_of

_FILE: Final = "stack.json"
_SAME_START_S: Final = 1.0
"""Maximum difference between two start times of one process; if it is larger, another process has the same pid."""


def save_stack(stack: Stack) -> None:
    rows = [_row(process) for process in stack.processes]
    _write(stack.folder, {"processes": rows, "ports": asdict(stack.ports)})


def add_process(folder: Path, process: Process) -> None:
    """Add a process to the stored stack. It replaces an exited one of the same name."""
    stored = _stored(folder)
    kept = [row for row in stored["processes"] if row["name"] != process.name]
    _write(folder, stored | {"processes": [*kept, _row(process)]})


def _row(process: Process) -> dict[str, Any]:
    return {"name": process.name, "port": process.port, "pid": process.pid, "started": _started(process.pid)}


def _write(folder: Path, content: Any) -> None:
    (folder / _FILE).write_text(json.dumps(content, indent=1))


def load_stack(folder: Path) -> Stack | None:
    """Return the stack stored by `save_stack`, without process handles, or None."""
    stored = _stored(folder)
    if stored is None:
        return None
    stack = Stack(Ports(**stored["ports"]), folder)
    stack.processes = [
        Process(row["name"], row["port"], None, folder / f"{row['name']}.log", probe_of(row["name"]))
        for row in stored["processes"]
    ]
    return stack


def stored_processes(folder: Path) -> tuple[list[str], list[str]]:
    """Return the names of the stored stack's processes: those that are running, and those that have exited."""
    rows = (_stored(folder) or {"processes": []})["processes"]
    rows = [row for row in rows if row["pid"]]
    running = [row["name"] for row in rows if _alive(row)]
    return running, [row["name"] for row in rows if row["name"] not in running]


def delete_state(folder: Path) -> None:
    (folder / _FILE).unlink(missing_ok=True)


def find_stack(folder: Path, ports: Ports) -> Stack | None:
    """Find the stack to call: the one of this folder, or else a stack of another folder or of Docker Compose on these
    ports.
    """
    if (stack := load_stack(folder)) is not None:
        return stack
    there = stack_folder(ports)
    if there is not None and there != folder.absolute() and (stack := load_stack(there)) is not None:
        return stack
    return stack_on_ports(folder, ports)


def lab_command(folder: Path | None) -> str:
    """Return the `lab` command in a form that can be pasted into a shell."""
    lab = str(Path(sys.executable).parent / "lab")
    return lab if folder is None else f"{lab} --folder {folder}"


def addresses(stack: Stack) -> list[str]:
    rows = {
        "call-control": "operator API (X-Api-Key: " + API_KEY + "), webhooks",
        "media-gateway": "media socket /ws",
        "agent-relay": "probes and metrics",
        "acs": "simulated ACS, /lab/calls, /lab/faults",
        "voice-live": "simulated Voice Live, /lab/agent, /lab/faults",
        "identity": "simulated managed identity, /lab/faults",
    }
    lines = [f"{name:<14} http://127.0.0.1:{stack.port_of(name):<6} {about}" for name, about in rows.items()]
    own = any(process.name == "redis" for process in stack.processes)
    redis = f"redis://127.0.0.1:{stack.ports.redis}/0" if own else "the server of REDIS_URL"
    return [*lines, f"{'redis':<14} {redis}"]


def stack_on_ports(folder: Path, ports: Ports) -> Stack | None:
    """Return a stack that runs on these ports but was not started from this folder, such as Docker Compose; None unless
    it is ready for calls.
    """
    stack = Stack(ports, folder)
    for name in PARTS:
        if name == "identity":  # Compose does not publish the port of Redis.
            continue
        process = Process(name, stack.port_of(name), None, None, probe_of(name))
        if process.status() != 200:
            return None
        stack.processes.append(process)
    return stack


def not_ready(stack: Stack) -> list[str]:
    """Return the names of the processes whose probe does not answer 200, each with the status."""
    statuses = [(one.name, one.status()) for one in stack.processes if one.probe]
    return [f"{name} ({status or 'no answer'})" for name, status in statuses if status != 200]


def stop_stored_stack(folder: Path) -> list[str]:
    """Stop the stored stack and return the names of the processes that were running."""
    stored = _stored(folder)
    if stored is None:
        return []
    running_ones = [row for row in reversed(stored["processes"]) if row["pid"] and _alive(row)]
    for row in running_ones:
        with contextlib.suppress(ProcessLookupError):
            os.kill(row["pid"], signal.SIGTERM)
    deadline = time.monotonic() + STOP_TIMEOUT_S
    for row in running_ones:
        while _alive(row) and time.monotonic() < deadline:
            time.sleep(0.05)
        if _alive(row):
            os.kill(row["pid"], signal.SIGKILL)
    delete_state(folder)
    return [row["name"] for row in running_ones]


def _stored(folder: Path) -> Any:
    try:
        return json.loads((folder / _FILE).read_text())
    except FileNotFoundError:
        return None


def _started(pid: int) -> float:
    try:
        return float(psutil.Process(pid).create_time()) if pid else 0.0
    except psutil.Error:
        return 0.0


def _alive(row: dict[str, Any]) -> bool:
    """Whether the process still runs. Start times are compared because after a reboot another program may have
    the pid.
    """
    try:
        process = psutil.Process(row["pid"])
        same = abs(process.create_time() - row.get("started", process.create_time())) < _SAME_START_S
        return same and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False
