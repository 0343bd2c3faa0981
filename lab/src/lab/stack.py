"""The whole system on one machine: a Redis, the simulators and the three services, each as a process of its own.

The services are started by their console scripts and configured through their environment, as anywhere else. Logs go
to one file a process.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final

from lab.acs.settings import LAB_ACCESS_KEY, LAB_RESOURCE_ID
from lab.ports import free_port
from lab.redis_server import start_server

API_KEY: Final = "lab-operator-key"
"""The operator API's key on the lab's stack; a documented value, not a secret."""
MEDIA_TOKEN_KEY: Final = "lab-media-token-key-lab-media-token-key"
EVENT_GRID_SECRET: Final = "lab-event-grid-secret"
IDENTITY_HEADER: Final = "lab-identity-header"
_READY_TIMEOUT_S: Final = 30.0
_STOP_TIMEOUT_S: Final = 10.0


class StackError(RuntimeError):
    """The stack does not stand; the message says which part, why, and where its log is."""


@dataclass(frozen=True, slots=True)
class Ports:
    """The documented ports; `Ports.free()` for a stack beside others."""

    redis: int = 6390
    acs: int = 8090
    voice_live: int = 8091
    identity: int = 8093
    call_control: int = 8080
    media_gateway: int = 8081
    agent_relay: int = 8082

    @classmethod
    def free(cls) -> Ports:
        chosen: set[int] = set()
        while len(chosen) < 7:
            chosen.add(free_port())
        return cls(*chosen)


@dataclass(slots=True)
class Process:
    name: str
    port: int
    popen: subprocess.Popen[bytes] | None
    """None for what was not started by us."""
    log_path: Path | None = None
    probe: str = ""

    @property
    def pid(self) -> int:
        return self.popen.pid if self.popen else 0


@dataclass(slots=True)
class Stack:
    """`extra` adds to or replaces environment variables of a process by its name, e.g. {"agent-relay": {...}}."""

    ports: Ports
    folder: Path
    extra: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    processes: list[Process] = field(default_factory=list)
    redis_url: str = ""

    def start(self) -> None:
        """Start everything and return when all are ready. Raises `StackError`, `NoRedisError`."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._start_redis()
        for name in ("identity", "voice-live", "acs", "call-control", "media-gateway", "agent-relay"):
            self.launch_part(name)
        self.await_ready()

    def await_ready(self) -> None:
        """Until every process that was launched is ready for work. Raises `StackError`."""
        deadline = time.monotonic() + _READY_TIMEOUT_S
        for process in self.processes:
            if process.probe:
                self._await_ready(process, deadline)

    def stop(self) -> None:
        """Stop everything, services first, so that they can say goodbye to Redis."""
        for process in reversed(self.processes):
            if process.popen and process.popen.poll() is None:
                process.popen.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + _STOP_TIMEOUT_S
        for process in reversed(self.processes):
            if process.popen:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.popen.wait(max(0.1, deadline - time.monotonic()))
                if process.popen.poll() is None:
                    process.popen.kill()
                    process.popen.wait()

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{next(p.port for p in self.processes if p.name == name)}"

    def dead(self) -> list[Process]:
        return [process for process in self.processes if process.popen and process.popen.poll() is not None]

    # -- one process ---------------------------------------------------------------------------------------------
    def _start_redis(self) -> None:
        self.redis_url = os.environ.get("REDIS_URL", "")
        if self.redis_url:
            return
        log_path = self.folder / "redis.log"
        self.redis_url = f"redis://127.0.0.1:{self.ports.redis}/0"
        server = start_server(self.ports.redis, log_path=log_path)
        self.processes.append(Process("redis", self.ports.redis, server, log_path))

    def launch_part(self, name: str) -> None:
        """Start one of the simulators or services."""
        scripts = Path(sys.executable).parent
        command = [str(scripts / "lab"), name] if name in _SIMULATORS else [str(scripts / name)]
        self.launch(name, command, self.port_of(name), _probe_of(name), self._environment(name))

    def port_of(self, name: str) -> int:
        port: int = getattr(self.ports, name.replace("-", "_"))
        return port

    def launch(self, name: str, command: list[str], port: int, probe: str, environment: Mapping[str, str]) -> None:
        """Start a process that serves on `PORT`; `probe` is the path that answers 200 once it is ready."""
        log_path = self.folder / f"{name}.log"
        own = {"HOST": "127.0.0.1", "PORT": str(port), **environment, **self.extra.get(name, {})}
        with log_path.open("wb") as log:
            popen = subprocess.Popen(
                command,
                env={**_inherited(), **own},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.processes.append(Process(name, port, popen, log_path, probe))

    def _environment(self, name: str) -> dict[str, str]:
        ports = self.ports
        acs, identity = f"http://127.0.0.1:{ports.acs}", f"http://127.0.0.1:{ports.identity}/msi/token"
        jwt = {"ACS_JWT_AUDIENCE": LAB_RESOURCE_ID, "ACS_JWT_ISSUER": acs, "ACS_JWKS_URL": f"{acs}/calling/keys"}
        service = {"REDIS_URL": self.redis_url, "NO_PROXY": "127.0.0.1,localhost", "ALLOW_INSECURE": _allowed()}
        webhook = f"http://127.0.0.1:{ports.call_control}/api/incomingCall"
        return {
            "identity": {"IDENTITY_HEADER": IDENTITY_HEADER},
            "voice-live": {},
            "acs": {"WEBHOOK_URL": webhook, "EVENT_GRID_SECRET": EVENT_GRID_SECRET},
            "call-control": {
                **service,
                **jwt,
                "BASE_URL": f"http://127.0.0.1:{ports.call_control}",
                "MEDIA_BASE_URL": f"ws://127.0.0.1:{ports.media_gateway}",
                "MEDIA_TOKEN_KEYS": MEDIA_TOKEN_KEY,
                "ACS_CONNECTION_STRING": f"endpoint={acs};accesskey={LAB_ACCESS_KEY}",
                "EVENT_GRID_SECRETS": EVENT_GRID_SECRET,
                "API_KEYS": API_KEY,
                "CALLS_PER_CALLER_PER_MIN": "0",
                "ALLOWED_TARGETS": "+1*",
            },
            "media-gateway": {**service, **jwt, "MEDIA_TOKEN_KEYS": MEDIA_TOKEN_KEY},
            "agent-relay": {
                **service,
                "AZURE_VOICE_LIVE_ENDPOINT": f"http://127.0.0.1:{ports.voice_live}",
                "VOICE_LIVE_CONNECTIONS_PER_MIN": "0",
                "AGENT_NAME": "lab-agent",
                "AGENT_PROJECT_NAME": "lab-project",
                "IDENTITY_ENDPOINT": identity,
                "IDENTITY_HEADER": IDENTITY_HEADER,
            },
        }[name]

    def _await_ready(self, process: Process, deadline: float) -> None:
        while True:
            status = probe_status(f"http://127.0.0.1:{process.port}{process.probe}")
            if status == 200:
                return
            if process.popen and process.popen.poll() is not None:
                raise StackError(f"{process.name} ended with {process.popen.returncode}:\n{log_tail(process)}")
            if time.monotonic() > deadline:
                raise StackError(f"{process.name} is not ready ({status or 'no answer'}):\n{log_tail(process)}")
            time.sleep(0.03)


_SIMULATORS: Final = frozenset({"acs", "voice-live", "identity"})
_SERVICES: Final = ("call-control", "media-gateway", "agent-relay")


def _probe_of(name: str) -> str:
    return "/healthz" if name in _SIMULATORS else "/readyz"


def _allowed() -> str:
    """The keys above are published. Anything else, such as an unencrypted Redis, is for the environment to allow."""
    return ",".join(filter(None, ("known-keys", os.environ.get("ALLOW_INSECURE"))))


def _inherited() -> dict[str, str]:
    """Our environment without what is meant for real services: a stray key must not reach a simulated call."""
    ours = (
        "ACS_",
        "AZURE_",
        "AGENT_",
        "VOICE_LIVE_",
        "EVENT_GRID_",
        "API_KEYS",
        "BASE_URL",
        "MEDIA_",
        "IDENTITY_",
        "ROUTING_",
        "APPLICATIONINSIGHTS_",
    )
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)}


@contextlib.contextmanager
def running(stack: Stack) -> Iterator[Stack]:
    """The stack, ready, for the time of the context."""
    try:
        stack.start()
        yield stack
    finally:
        stack.stop()


def probe_status(url: str) -> int:
    """HTTP status of a GET, 0 when nobody answers."""
    try:
        with urllib.request.urlopen(url, timeout=1) as reply:
            return int(reply.status)
    except urllib.error.HTTPError as error:
        return error.code
    except (OSError, ValueError):
        return 0


def log_tail(process: Process, lines: int = 15) -> str:
    if process.log_path is None or not process.log_path.exists():
        return "(no log)"
    text = process.log_path.read_text(errors="replace").splitlines()[-lines:]
    return "\n".join(["  " + line for line in text] + [f"  (whole log: {process.log_path})"])


# -- a stack that stays up ---------------------------------------------------------------------------------------
def remember(stack: Stack) -> None:
    """Write down what runs, for `lab down` and `lab call`."""
    rows = [{"name": p.name, "port": p.port, "pid": p.pid} for p in stack.processes]
    (stack.folder / "stack.json").write_text(json.dumps({"processes": rows, "ports": asdict(stack.ports)}, indent=1))


def recall(folder: Path) -> Stack | None:
    """The stack that `remember` wrote down, without its processes' handles; None when there is none."""
    try:
        stored = json.loads((folder / "stack.json").read_text())
    except FileNotFoundError:
        return None
    stack = Stack(Ports(**stored["ports"]), folder)
    stack.processes = [Process(row["name"], row["port"], None) for row in stored["processes"]]
    return stack


def standing(folder: Path, ports: Ports) -> Stack | None:
    """A stack that others started on these ports, such as Docker Compose; None unless what a call needs is ready."""
    stack = Stack(ports, folder)
    for name in (*sorted(_SIMULATORS - {"identity"}), *_SERVICES):
        process = Process(name, stack.port_of(name), None, None, _probe_of(name))
        if probe_status(f"http://127.0.0.1:{process.port}{process.probe}") != 200:
            return None
        stack.processes.append(process)
    return stack


def bring_down(folder: Path) -> list[str]:
    """Stop what `remember` wrote down; returns the names of the processes that were running."""
    try:
        stored = json.loads((folder / "stack.json").read_text())
    except FileNotFoundError:
        return []
    running_ones = [row for row in reversed(stored["processes"]) if row["pid"] and _alive(row["pid"])]
    for row in running_ones:
        with contextlib.suppress(ProcessLookupError):
            os.kill(row["pid"], signal.SIGTERM)
    deadline = time.monotonic() + _STOP_TIMEOUT_S
    for row in running_ones:
        while _alive(row["pid"]) and time.monotonic() < deadline:
            time.sleep(0.05)
        if _alive(row["pid"]):
            os.kill(row["pid"], signal.SIGKILL)
    (folder / "stack.json").unlink()
    return [row["name"] for row in running_ones]


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return False
    return True
