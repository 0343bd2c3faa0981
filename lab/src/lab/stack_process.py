"""One process of a stack, with its probe and its log."""

from __future__ import annotations

import subprocess
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil

_REFUSAL: Final = "These settings are missing, invalid or insecure"
"""Begin of the output of a service that rejects its settings; a line for each of them follows."""
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

    def problems(self) -> list[str]:
        """Return the lines with which a service rejects its settings, from the end of its log."""
        text = self.log_path.read_text(errors="replace") if self.log_path and self.log_path.exists() else ""
        return [line.strip() for line in text.rpartition(_REFUSAL)[2].splitlines()[1:]] if _REFUSAL in text else []

    def await_exit(self, deadline: float) -> None:
        """Wait until the process has exited; kill it after `deadline` (monotonic, s)."""
        if self.popen is None:
            return
        try:
            self.popen.wait(max(0.5, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            self.popen.kill()
            self.popen.wait()


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
