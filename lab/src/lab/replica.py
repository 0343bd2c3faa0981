"""`lab replica SERVICE`: starts another process of a service on a stack of `lab up`, or one that has exited."""

from __future__ import annotations

import sys
from pathlib import Path

from lab import exported
from lab.kept_stack import add_process, lab_command, load_stack, stored_processes
from lab.stack import Stack, StackError
from lab.stack_process import Process


def replica(folder: Path, service: str) -> int:
    """Start the process with the settings that are exported now. Return exit code 0 once it is ready."""
    stack, (running, gone) = load_stack(folder), stored_processes(folder)
    if stack is None or not running:
        print(f"No stack of {folder} is running. Start one with `lab up`.", file=sys.stderr)
        return 2
    name = service if service in gone else _free_name(service, running)
    try:
        process = _started(stack, service, name)
    except (StackError, exported.RemoteRedisError) as error:
        print(f"{name} could not start: {error}", file=sys.stderr)
        return 1
    add_process(folder, process)
    stack.keep()
    print(f"{name} is ready: http://127.0.0.1:{process.port}, pid {process.pid}, log {process.log_path}")
    print(f"`{lab_command(folder)} down` stops it with the stack.")
    return 0


def _free_name(service: str, running: list[str]) -> str:
    return next(name for number in range(2, 1000) if (name := f"{service}-{number}") not in running)


def _started(stack: Stack, service: str, name: str) -> Process:
    """Start the process and wait until it is ready. It is stopped if that fails."""
    own_redis = any(process.name == "redis" for process in stack.processes)
    stack.redis_url = f"redis://127.0.0.1:{stack.ports.redis}/0" if own_redis else exported.redis_url()
    stack.processes = []
    try:
        if name == service:
            stack.launch_part(service)
        else:
            stack.launch_second(service, name)
        stack.await_ready()
    except BaseException:
        stack.stop()
        raise
    return stack.processes[0]
