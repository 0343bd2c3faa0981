"""One process of a stack, with its probe and its log."""

from __future__ import annotations

import subprocess
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil

SIMULATORS: Final = frozenset({"acs", "voice-live", "identity", "business"})


@dataclass(slots=True)
class Process:
    name: str
    port: int
    popen: subprocess.Popen[bytes] | None
    """The process handle; None if another program started the process."""
    log_path: Path | None = None
    probe: str = ""

    @property
    def pid(self) -> int:
        return self.popen.pid if self.popen else 0

    @property
    def listens(self) -> bool:
        """Whether this process listens on its port. If several stacks run, another process may answer the probe."""
        if self.popen is None:
            return True
        try:
            sockets = psutil.Process(self.popen.pid).net_connections(kind="tcp")
        except psutil.NoSuchProcess:
            return False
        except psutil.AccessDenied:
            return True
        return any(one.status == psutil.CONN_LISTEN and one.laddr.port == self.port for one in sockets)

    def status(self) -> int:
        """Return the HTTP status of the probe, 0 if there is no answer."""
        return probe_status(f"http://127.0.0.1:{self.port}{self.probe}")

    def log_tail(self, lines: int = 15) -> str:
        if self.log_path is None or not self.log_path.exists():
            return "(no log)"
        text = self.log_path.read_text(errors="replace").splitlines()[-lines:]
        return "\n".join(["  " + line for line in text] + [f"  (whole log: {self.log_path})"])


def probe_of(name: str) -> str:
    """Return the path that answers 200 when the process is ready; empty for Redis."""
    if name == "redis":
        return ""
    return "/healthz" if name in SIMULATORS else "/readyz"


def probe_status(url: str) -> int:
    """Return the HTTP status of a GET request, 0 if there is no answer."""
    try:
        with urllib.request.urlopen(url, timeout=1) as reply:
            return int(reply.status)
    except urllib.error.HTTPError as error:
        return error.code
    except (OSError, ValueError):
        return 0
