"""On what a measurement was made: the machine, what else it did, and the versions that matter for speed."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Final

from lab.redis_server import NoRedisError, server_binary
from media_gateway.core import playout

PACKAGES: Final = (
    "uvloop",
    "picows",
    "uvicorn",
    "starlette",
    "websockets",
    "redis",
    "hiredis",
    "msgspec",
    "pybase64",
    "numpy",
)


def machine() -> dict[str, object]:
    return {
        "cpu": _cpu_model(),
        "cores": os.cpu_count() or 0,
        "load_average_before": [round(value, 2) for value in os.getloadavg()],
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "redis_server": _redis_version(),
        "packages": versions(),
        "compiled": compiled(),
    }


def compiled() -> bool:
    """Whether the services that are started here are those of the wheels, with what frames go through compiled."""
    return Path(playout.__file__).suffix != ".py"


def versions() -> dict[str, str]:
    """Of installed packages; `no` for one that is not there."""
    found: dict[str, str] = {}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "no"
    return found


def describe(facts: Mapping[str, object]) -> list[str]:
    """For people, a line each."""
    packages = facts.get("packages")
    listed = ", ".join(f"{name} {version}" for name, version in packages.items()) if isinstance(packages, dict) else ""
    return [
        f"{facts.get('cpu')}, {facts.get('cores')} cores, {facts.get('system')}",
        f"load average before {facts.get('load_average_before')}{_after(facts)}",
        f"Python {facts.get('python')}, {facts.get('redis_server')}",
        listed,
        "services as shipped, compiled" if facts.get("compiled") else "services from source, not compiled",
    ]


def _after(facts: Mapping[str, object]) -> str:
    return f", after {facts['load_average_after']}" if "load_average_after" in facts else ""


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    return model or platform.processor() or platform.machine()


def _redis_version() -> str:
    if os.environ.get("REDIS_URL"):
        return "Redis of REDIS_URL"
    try:
        told = subprocess.run([str(server_binary()), "--version"], capture_output=True, text=True, check=False).stdout
    except (NoRedisError, OSError):
        return "no Redis"
    words = told.split()
    version = next((word.removeprefix("v=") for word in words if word.startswith("v=")), "")
    return f"{words[0] if words else 'server'} {version}".strip()
