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
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from lab import exported
from lab.orphans import guard
from lab.ports import Ports as Ports
from lab.ports import can_be_had, free_port
from lab.redis_server import NoRedisError, start_server
from lab.stack_environment import AGENT_TOOLS_KEY as AGENT_TOOLS_KEY
from lab.stack_environment import API_KEY as API_KEY
from lab.stack_environment import EVENT_GRID_SECRET as EVENT_GRID_SECRET
from lab.stack_environment import IDENTITY_HEADER as IDENTITY_HEADER
from lab.stack_environment import MEDIA_TOKEN_KEY as MEDIA_TOKEN_KEY
from lab.stack_environment import environment_of
from lab.stack_process import SIMULATORS, Process, probe_of

PARTS: Final = ("identity", "voice-live", "acs", "call-control", "media-gateway", "agent-relay")
"""Process names in start order; Redis is started before them. `business` is started only for scenarios that use it."""
_READY_TIMEOUT_S: Final = 30.0
STOP_TIMEOUT_S: Final = 10.0
_HASTY_S: Final = 1.0
_ATTEMPTS: Final = 5
"""Number of times that a stack on free ports is started if another program takes one of its ports."""
_REFUSED: Final = 2
"""Exit code of a service that rejects its settings."""


class StackError(RuntimeError):
    """The stack failed to start or run. The message contains the name of the process, the reason and the log."""


class PortTakenError(StackError):
    """Another program uses a port of the stack."""


class RefusedSettingsError(StackError):
    """A service exited with code 2. `problems`: its lines, each with the name of the setting."""

    def __init__(self, message: str, problems: Sequence[str]) -> None:
        super().__init__(message)
        self.problems = problems


@dataclass(slots=True)
class Stack:
    """A running stack. `extra` adds or replaces environment variables by process name, e.g. {"agent-relay": {...}}.
    `parts`: the processes that `start` launches after Redis, in this order.
    """

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
    parts: Sequence[str] = PARTS

    def start(self) -> None:
        """Start all processes and return when they are ready. Raises `StackError`, `NoRedisError`."""
        _find_scripts()
        for name in ("redis", *self.parts):
            if name != "redis" or not _given_redis():
                self._refuse_taken(name, self.port_of(name))
        self.created = [one for one in (self.folder, *self.folder.parents) if not one.exists()]
        self.folder.mkdir(parents=True, exist_ok=True)
        self._start_redis()
        for name in self.parts:
            self.launch_part(name)
        self.await_ready()

    def await_ready(self) -> None:
        """Wait until every launched process is ready. Raises `StackError`. One error lists the settings that several
        services reject.
        """
        deadline = time.monotonic() + _READY_TIMEOUT_S
        refused: list[RefusedSettingsError] = []
        for process in self.processes:
            try:
                if process.probe:
                    self._await_ready(process, deadline)
            except RefusedSettingsError as error:
                refused.append(error)
            else:
                if self.progress is not None:
                    self.progress(process.name)
        if refused:
            problems = [problem for error in refused for problem in error.problems]
            raise RefusedSettingsError("\n".join(map(str, refused)), problems)

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
                process.await_exit(deadline)
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
        try:
            server = start_server(self.ports.redis, log_path=log_path)
        except NoRedisError:
            self._refuse_taken("redis", self.ports.redis)
            raise
        self.processes.append(Process("redis", self.ports.redis, server, log_path))

    def launch_part(self, name: str) -> None:
        scripts = Path(sys.executable).parent
        command = [str(scripts / "lab"), name] if name in SIMULATORS else [str(scripts / name)]
        self.launch(name, command, self.port_of(name), probe_of(name), self._environment(name))

    def launch_second(self, service: str, name: str = "") -> None:
        """Start another process of a service on a free port. `name`: `SERVICE-2` by default."""
        command = [str(Path(sys.executable).parent / service)]
        settings = {**self._environment(service), **self.extra.get(service, {})}
        self.launch(name or f"{service}-2", command, free_port(), probe_of(service), settings)

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
        raise PortTakenError(f"port {port}, which {name} needs, is in use by {self._user_of_ports()}")

    def _user_of_ports(self) -> str:
        """The program that uses the ports, and the remedy. Only `lab up` uses the documented ports."""
        there = stack_folder(self.ports)
        user = f"the stack of {there}" if there else "another program"
        stop = f"stop it with `lab --folder {there} down`" if there else "stop that program"
        if self.ports == Ports():
            return f"{user}; {stop}, or use other ports with `lab up --free-ports`"
        return f"{user}; run the command again: it then uses other ports"

    def _environment(self, name: str) -> dict[str, str]:
        return environment_of(name, self.ports, self.redis_url, self.folder)

    def _await_ready(self, process: Process, deadline: float) -> None:
        while True:
            status = process.status()
            if status == 200 and process.listens:
                return
            if process.popen and (code := process.popen.poll()) is not None:
                self._refuse_taken(process.name, process.port)
                message = f"{process.name} exited with code {code}:\n{process.log_tail()}"
                raise RefusedSettingsError(message, process.problems()) if code == _REFUSED else StackError(message)
            if time.monotonic() > deadline:
                raise StackError(f"{process.name} is not ready ({status or 'no answer'}):\n{process.log_tail()}")
            time.sleep(0.03)


SERVICES: Final = ("call-control", "media-gateway", "agent-relay")


def _given_redis() -> str:
    try:
        return exported.redis_url()
    except exported.RemoteRedisError as error:
        raise StackError(str(error)) from error


def _find_scripts() -> None:
    """Check that the services are installed as well as the simulators. Raises `StackError` if they are not."""
    scripts = Path(sys.executable).parent
    missing = [name for name in ("lab", *SERVICES) if not (scripts / name).exists()]
    if missing:
        raise StackError(
            f"{', '.join(missing)} not found in {scripts}; a stack needs the services as well. Run `make install` in"
            " the repository, or start only simulators: `lab acs`, `lab voice-live`, `lab identity`"
        )


def started(stack: Stack, again: Callable[[], Stack] | None = None) -> Stack:
    """Start the stack and return it. `again` returns one on other ports, in case another program takes a port between
    its choice and the start of its process. Raises `StackError`, `NoRedisError`; the stack is stopped then.
    """
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            stack.start()
            return stack
        except KeyboardInterrupt:
            stack.hurry()
            stack.stop()
            raise
        except PortTakenError:
            stack.stop()
            if again is None or attempt == _ATTEMPTS:
                raise
            stack = again()
        except BaseException:
            stack.stop()
            raise
    raise AssertionError


@contextlib.contextmanager
def running(stack: Stack, again: Callable[[], Stack] | None = None) -> Iterator[Stack]:
    """Run the stack for the duration of the context; `again`: as in `started`. After Ctrl-C the stack stops without
    waiting for calls.
    """
    stack = started(stack, again)
    try:
        yield stack
    except KeyboardInterrupt:
        stack.hurry()
        raise
    finally:
        stack.stop()


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
