"""Child processes are terminated when their parent exits, even if the parent is killed."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import psutil
import pytest

from lab.orphans import watch_until_closed
from tests.support.eventually import eventually

PARENT = """
import subprocess, sys, time
from lab.orphans import Guard
guard = Guard(patience_s=0.3)
child = subprocess.Popen([sys.executable, "-c", {child!r}], stdout=subprocess.PIPE, start_new_session=True)
child.stdout.readline()
guard.watch(child.pid)
{then}
print(child.pid, flush=True)
time.sleep(60)
"""
CHILD = "import time; print('up', flush=True); time.sleep(60)"
STUBBORN = "import signal, time; signal.signal(15, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"


@contextmanager
def parent(child: str = CHILD, then: str = "") -> Iterator[tuple[subprocess.Popen[str], psutil.Process]]:
    command = [sys.executable, "-c", PARENT.format(child=child, then=then)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        process = psutil.Process(int(running.stdout.readline()))
        try:
            yield running, process
        finally:
            running.kill()
            if process.is_running():
                process.kill()


def gone(process: psutil.Process) -> bool:
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


@pytest.mark.parametrize("child", [CHILD, STUBBORN], ids=["obedient", "stubborn"])
async def test_a_child_ends_with_a_killed_parent(child: str) -> None:
    with parent(child) as (running, process):
        assert not gone(process)
        running.send_signal(signal.SIGKILL)
        await eventually(lambda: gone(process), within_s=20)


async def test_a_released_child_keeps_running() -> None:
    with parent(then="guard.release(); other = subprocess.Popen(['sleep', '60']); guard.watch(other.pid)") as (
        running,
        process,
    ):
        [other] = [one for one in psutil.Process(running.pid).children() if one.name() == "sleep"]
        running.send_signal(signal.SIGKILL)
        await eventually(lambda: gone(other), within_s=20)
        assert not gone(process)


def test_the_pid_of_an_exited_process_is_ignored() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as child:
        child.wait()
    watch_until_closed([f"{child.pid}\n"])
