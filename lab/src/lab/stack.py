"""The whole system on one machine: Redis, the simulators and the three services, each in its own process.

The services are started by their console scripts and configured through their environment, as in production. Each
process logs to its own file. All processes end with the process that started them, unless `Stack.keep` was called.
"""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Final

from lab import exported
from lab.acs.settings import LAB_ACCESS_KEY, LAB_RESOURCE_ID
from lab.orphans import guard
from lab.ports import can_be_had, free_port
from lab.redis_server import start_server
from lab.stack_process import SIMULATORS, Process, probe_of

API_KEY: Final = "lab-operator-key"
"""Operator API key of the simulated stack. It is public, not a secret."""
MEDIA_TOKEN_KEY: Final = "lab-media-token-key-lab-media-token-key"
AGENT_TOOLS_KEY: Final = "lab-agent-tools-key-of-the-platform"
"""Key that the simulated agent platform sends to the tools of call-control; a documented value, not a secret."""
EVENT_GRID_SECRET: Final = "lab-event-grid-secret"
IDENTITY_HEADER: Final = "lab-identity-header"
PARTS: Final = ("identity", "voice-live", "acs", "call-control", "media-gateway", "agent-relay")
"""Process names in start order; Redis is started before them. `business` is started only for scenarios that use it."""
_READY_TIMEOUT_S: Final = 30.0
STOP_TIMEOUT_S: Final = 10.0
_HASTY_S: Final = 1.0


class StackError(RuntimeError):
    """The stack failed to start or run. The message contains the name of the process, the reason and the log."""


@dataclass(frozen=True, slots=True)
class Ports:
    """The ports of a stack, by default the documented ones. `Ports.free()` allows several stacks on one machine."""

    redis: int = 6390
    acs: int = 8090
    voice_live: int = 8091
    identity: int = 8093
    call_control: int = 8080
    media_gateway: int = 8081
    agent_relay: int = 8082
    business: int = 8094

    @classmethod
    def free(cls) -> Ports:
        chosen: set[int] = set()
        while len(chosen) < len(fields(cls)):
            chosen.add(free_port())
        return cls(*chosen)


@dataclass(slots=True)
class Stack:
    """A running stack. `extra` adds or replaces environment variables by process name, e.g. {"agent-relay": {...}}."""

    ports: Ports
    folder: Path
    extra: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    processes: list[Process] = field(default_factory=list)
    redis_url: str = ""
    progress: Callable[[str], None] | None = None
    """Called with the name of each process when it is ready."""
    created: list[Path] = field(default_factory=list)
    """Folders created by `start`, innermost first."""
    stop_within_s: float = STOP_TIMEOUT_S
    """Time until processes that have not exited are killed."""

    def start(self) -> None:
        """Start all processes and return when they are ready. Raises `StackError`, `NoRedisError`."""
        _find_scripts()
        for name in ("redis", *PARTS):
            if name != "redis" or not _given_redis():
                self._refuse_taken(name, self.port_of(name))
        self.created = [one for one in (self.folder, *self.folder.parents) if not one.exists()]
        self.folder.mkdir(parents=True, exist_ok=True)
        self._start_redis()
        for name in PARTS:
            self.launch_part(name)
        self.await_ready()

    def await_ready(self) -> None:
        """Wait until every launched process is ready. Raises `StackError`."""
        deadline = time.monotonic() + _READY_TIMEOUT_S
        for process in self.processes:
            if process.probe:
                self._await_ready(process, deadline)
            if self.progress is not None:
                self.progress(process.name)

    def keep(self) -> None:
        guard().release()

    def hurry(self) -> None:
        """Shorten the timeout of `stop`, after Ctrl-C: it no longer waits for calls to end."""
        print("\nInterrupted; stopping.", file=sys.stderr, flush=True)
        self.stop_within_s = _HASTY_S

    def stop(self) -> None:
        """Stop all processes, Redis last, because the services write to it while they stop."""
        deadline = time.monotonic() + self.stop_within_s
        redis = [process for process in self.processes if process.name == "redis"]
        others = [process for process in reversed(self.processes) if process.name != "redis"]
        for group in (others, redis):
            for process in group:
                if process.popen and process.popen.poll() is None:
                    process.popen.send_signal(signal.SIGTERM)
            for process in group:
                _await_exit(process, deadline)
        with contextlib.suppress(OSError):  # A folder that is not empty is not removed.
            for folder in self.created:
                folder.rmdir()

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{next(p.port for p in self.processes if p.name == name)}"

    def dead(self) -> list[Process]:
        return [process for process in self.processes if process.popen and process.popen.poll() is not None]

    # -- one process ---------------------------------------------------------------------------------------------
    def _start_redis(self) -> None:
        self.redis_url = _given_redis()
        if self.redis_url:
            return
        log_path = self.folder / "redis.log"
        self.redis_url = f"redis://127.0.0.1:{self.ports.redis}/0"
        server = start_server(self.ports.redis, log_path=log_path)
        self.processes.append(Process("redis", self.ports.redis, server, log_path))

    def launch_part(self, name: str) -> None:
        scripts = Path(sys.executable).parent
        command = [str(scripts / "lab"), name] if name in SIMULATORS else [str(scripts / name)]
        self.launch(name, command, self.port_of(name), probe_of(name), self._environment(name))

    def launch_second(self, service: str) -> None:
        """Start another process of a service on a free port, named `SERVICE-2`."""
        command = [str(Path(sys.executable).parent / service)]
        settings = {**self._environment(service), **self.extra.get(service, {})}
        self.launch(f"{service}-2", command, free_port(), probe_of(service), settings)

    def port_of(self, name: str) -> int:
        port: int = getattr(self.ports, name.replace("-", "_"))
        return port

    def launch(self, name: str, command: list[str], port: int, probe: str, settings: Mapping[str, str]) -> None:
        """Start a process that listens on `PORT`; `probe` is the path that answers 200 once it is ready."""
        self._refuse_taken(name, port)
        log_path = self.folder / f"{name}.log"
        own = {"HOST": "127.0.0.1", "PORT": str(port), **settings, **self.extra.get(name, {})}
        with log_path.open("wb") as log:
            popen = subprocess.Popen(
                command,
                env={**exported.passed(), **own},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        guard().watch(popen.pid)
        self.processes.append(Process(name, port, popen, log_path, probe))

    def _refuse_taken(self, name: str, port: int) -> None:
        if can_be_had(port):
            return
        there = stack_folder(self.ports)
        used_by, remedy = (
            (f"the stack of {there}", f"stop it with `lab --folder {there} down`")
            if there
            else ("another program", "stop that program")
        )
        raise StackError(
            f"port {port}, which {name} needs, is in use by {used_by}; {remedy}, or use other ports with"
            " `lab up --free-ports`"
        )

    def _environment(self, name: str) -> dict[str, str]:
        ports = self.ports
        acs, identity = f"http://127.0.0.1:{ports.acs}", f"http://127.0.0.1:{ports.identity}/msi/token"
        jwt = {"ACS_JWT_AUDIENCE": LAB_RESOURCE_ID, "ACS_JWT_ISSUER": acs, "ACS_JWKS_URL": f"{acs}/calling/keys"}
        service = {
            "REDIS_URL": self.redis_url,
            "NO_PROXY": "127.0.0.1,localhost",
            "ALLOW_INSECURE": exported.allow_insecure(),
        }
        webhook = f"http://127.0.0.1:{ports.call_control}/api/incomingCall"
        folder = str(self.folder.absolute())
        values = {
            "identity": {"IDENTITY_HEADER": IDENTITY_HEADER},
            "business": {},
            "voice-live": {
                "AGENT_TOOLS_URL": f"http://127.0.0.1:{ports.call_control}/agent",
                "AGENT_TOOLS_KEY": AGENT_TOOLS_KEY,
            },
            "acs": {"WEBHOOK_URL": webhook, "EVENT_GRID_SECRET": EVENT_GRID_SECRET, "STACK_FOLDER": folder},
            "call-control": {
                **service,
                **jwt,
                "BASE_URL": f"http://127.0.0.1:{ports.call_control}",
                "MEDIA_BASE_URL": f"ws://127.0.0.1:{ports.media_gateway}",
                "MEDIA_TOKEN_KEYS": MEDIA_TOKEN_KEY,
                "ACS_CONNECTION_STRING": f"endpoint={acs};accesskey={LAB_ACCESS_KEY}",
                "EVENT_GRID_SECRETS": EVENT_GRID_SECRET,
                "API_KEYS": API_KEY,
                "AGENT_TOOLS_KEYS": AGENT_TOOLS_KEY,
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
        return exported.defaults(values)

    def _await_ready(self, process: Process, deadline: float) -> None:
        while True:
            status = process.status()
            if status == 200 and process.listens:
                return
            if process.popen and process.popen.poll() is not None:
                raise StackError(f"{process.name} exited with code {process.popen.returncode}:\n{process.log_tail()}")
            if time.monotonic() > deadline:
                raise StackError(f"{process.name} is not ready ({status or 'no answer'}):\n{process.log_tail()}")
            time.sleep(0.03)


_SERVICES: Final = ("call-control", "media-gateway", "agent-relay")


def _given_redis() -> str:
    try:
        return exported.redis_url()
    except exported.RemoteRedisError as error:
        raise StackError(str(error)) from error


def _find_scripts() -> None:
    """Check that the services are installed as well as the simulators. Raises `StackError` if they are not."""
    scripts = Path(sys.executable).parent
    missing = [name for name in ("lab", *_SERVICES) if not (scripts / name).exists()]
    if missing:
        raise StackError(
            f"{', '.join(missing)} not found in {scripts}; a stack needs the services as well. Run `make install` in"
            " the repository, or start only simulators: `lab acs`, `lab voice-live`, `lab identity`"
        )


@contextlib.contextmanager
def running(stack: Stack) -> Iterator[Stack]:
    """Run the stack for the duration of the context. After Ctrl-C the stack stops without waiting for calls."""
    try:
        stack.start()
        yield stack
    except KeyboardInterrupt:
        stack.hurry()
        raise
    finally:
        stack.stop()


def _await_exit(process: Process, deadline: float) -> None:
    """Wait until the process has exited; kill it after `deadline` (monotonic, s)."""
    if process.popen is None:
        return
    try:
        process.popen.wait(max(0.5, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        process.popen.kill()
        process.popen.wait()


def show_ready(name: str) -> None:
    print(f" {name}", end="", flush=True)


def stack_folder(ports: Ports) -> Path | None:
    """Return the folder of the stack that runs on these ports, as its simulated ACS reports it, or None."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{ports.acs}/healthz", timeout=1) as reply:
            folder = json.loads(reply.read()).get("stack")
    except (OSError, ValueError, AttributeError):
        return None
    return Path(folder) if isinstance(folder, str) and folder else None
