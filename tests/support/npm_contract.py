"""Runs the Node.js scripts of tests/contract/node: the official npm clients, unmodified, against the simulators."""

from __future__ import annotations

import asyncio
import fcntl
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import pytest

FOLDER: Final = Path(__file__).resolve().parents[1] / "contract/node"
OLDEST_NODE: Final = 20
_RUN_S: Final = 90


def why_not() -> str:
    """Return the reason why these tests cannot run on this machine; empty if they can."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        return "Node.js with npm is not installed"
    version = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True).stdout.strip()
    if int(version.removeprefix("v").split(".")[0]) < OLDEST_NODE:
        return f"Node.js {OLDEST_NODE} or newer is needed, this is {version}"
    return ""


def install(folder: Path = FOLDER) -> None:
    """Install the locked packages with their hashes, unless the installation is newer than the lock. If two test
    processes call this at the same time, the second one waits.
    """
    with (folder / ".installing").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        installed = folder / "node_modules/.package-lock.json"
        if installed.exists() and installed.stat().st_mtime >= (folder / "package-lock.json").stat().st_mtime:
            return
        command = ["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts"]
        answer = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        if answer.returncode:
            pytest.fail(f"npm ci failed:\n{answer.stderr[-2000:]}", pytrace=False)
        installed.touch()


async def run(script: str, environment: Mapping[str, str]) -> str:
    """Run the tests of one script. Return their output, or fail with it."""
    process = await asyncio.create_subprocess_exec(
        "node",
        "--test",
        "--test-force-exit",
        "--test-reporter=spec",
        script,
        cwd=FOLDER,
        env={**os.environ, **environment, "NO_COLOR": "1", "NO_PROXY": "127.0.0.1,localhost"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        output, _ = await asyncio.wait_for(process.communicate(), _RUN_S)
    except TimeoutError:
        pytest.fail(f"{script} did not end within {_RUN_S} s", pytrace=False)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    printed = output.decode(errors="replace")
    if process.returncode:
        pytest.fail(f"{script}:\n{printed[-6000:]}", pytrace=False)
    return printed
