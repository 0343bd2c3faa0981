"""Several replicas of each service on one machine, behind an ingress; they can be killed, frozen and drained."""

from __future__ import annotations

import contextlib
import os
import random
import re
import signal
import socket
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any, Final

from lab.chaos.fleet_plan import CONTROL as CONTROL
from lab.chaos.fleet_plan import GATEWAY as GATEWAY
from lab.chaos.fleet_plan import PROFILES, ROUTING, with_files
from lab.chaos.fleet_plan import RELAY as RELAY
from lab.chaos.fleet_plan import FleetPlan as FleetPlan
from lab.chaos.fleet_plan import kind_of as kind_of
from lab.chaos.network import Network, Passage, network
from lab.redis_group import RedisGroup
from lab.redis_line import ask_map
from lab.redis_server import start_server
from lab.stack import Ports, Stack, StackError
from lab.stack_process import Process
from lab.wire import Json, call_json

OWNERS: Final = "{s00}:owners"
OWN_SCRIPTS: Final = Path(sys.executable).parent
"""Folder with the programs of this environment."""
_STEADY_PORTS: Final = range(20_000, 32_000)
_SIMULATORS: Final = ("identity", "voice-live", "acs")


class LocalFleet(Stack):
    """A stack whose services have replicas (`agent-relay-1`, …); the name of the service alone is its ingress."""

    def __init__(self, plan: FleetPlan, folder: Path, net: Network) -> None:
        ports = Ports(*(steady_port() for _ in fields(Ports)))
        super().__init__(ports, folder, with_files(plan, folder))
        self.plan = plan
        self.net = net
        self._ports = {name: steady_port() for name in plan.replicas()}
        self._latest = plan.counts()
        """The highest number that a replica of each service has had."""
        self.scripts = plan.scripts or OWN_SCRIPTS
        """Folder with the programs of the replicas that are started from now on."""
        self.links: dict[str, Passage] = {}
        self.ingresses: dict[str, Passage] = {}
        """The ingress of each service that has one."""
        self.group = RedisGroup(folder / "redis", steady_port) if plan.sentinel else None

    def start(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        if self.plan.profiles:
            address = f"http://127.0.0.1:{self.ports.business}"
            (self.folder / PROFILES).write_text(self.plan.profiles.replace("BUSINESS", address))
        if self.plan.routing:
            (self.folder / ROUTING).write_text(self.plan.routing)
        self._start_own_redis()
        for kind, port in ((CONTROL, self.ports.call_control), (GATEWAY, self.ports.media_gateway)):
            targets = [self._ports[name] for name in self._ports if kind_of(name) == kind]
            self.ingresses[kind] = self.net.passage(targets, probe="/readyz", port=port)
            self.processes.append(Process(kind, port, None))
        for name in self._simulators:
            self.launch_part(name)
        self.await_ready()
        # The faults apply before the first relay starts: it may open warm voice sessions.
        self.request("PUT", "voice-live", "/lab/agent", {"mode": "marks"})
        for name in self._ports:
            if self.plan.relay_links and kind_of(name) == RELAY:
                self.links[name] = self.net.passage([self.ports.redis])
            self.launch_replica(name)
        self.await_ready()

    # -- processes
    def launch_replica(self, name: str) -> None:
        kind = kind_of(name)
        environment = {**self._environment(kind), **self.extra.get(kind, {})}
        if name in self.links:
            environment["REDIS_URL"] = f"redis://127.0.0.1:{self.links[name].port}/0"
        if self.scripts != OWN_SCRIPTS:
            environment["PYTHONPATH"] = ""  # It contains the packages of this release.
        self._keep_log(name)
        self.launch(name, [str(self.scripts / kind)], self._ports[name], "/readyz", environment)

    def _keep_log(self, name: str) -> None:
        """Rename the log of the previous process so that it is not overwritten."""
        log_path = self.folder / f"{name}.log"
        if log_path.exists():
            log_path.rename(self.folder / f"{name}.{int(time.time() * 1000)}.log")

    def heal(self) -> None:
        """Restart all processes that are down, add those that were removed, and wait until they are ready. Raises
        `StackError`.
        """
        self.thaw_all()
        self.processes = [one for one in self.processes if one.popen is None or one.popen.poll() is None]
        there = {process.name for process in self.processes}
        if self.group is not None:
            self.group.heal()
        elif "redis" not in there:
            self._start_own_redis()
        for name in self._simulators:
            if name not in there:
                self.launch_part(name)
        for name in self._ports:
            if name not in there:
                self.launch_replica(name)
        for kind, count in self.plan.counts().items():
            for _ in range(count - sum(kind_of(name) == kind for name in self._ports)):
                self.add_replica(kind)
        self.await_ready()

    def add_replica(self, kind: str) -> str:
        """Start a further replica behind the ingress and return its name at once."""
        self._latest[kind] += 1
        name = f"{kind}-{self._latest[kind]}"
        self._ports[name] = steady_port()
        self.launch_replica(name)
        if kind in self.ingresses:
            self.net.run(self.ingresses[kind].add(self._ports[name]))
        return name

    def leave_ingress(self, name: str) -> None:
        """Send no new connections to the replica."""
        if (passage := self.ingresses.get(kind_of(name))) is not None:
            self.net.run(passage.remove(self._ports[name]))

    def remove_replica(self, name: str) -> None:
        """Remove a replica that has exited."""
        self.leave_ingress(name)
        self.processes.remove(self.process(name))
        del self._ports[name]

    def process(self, name: str) -> Process:
        """Return the running process with this name. Raises `StackError` if it is not running."""
        for process in self.processes:
            if process.name == name and process.popen is not None:
                return process
        raise StackError(f"{name} is not running")

    def replica_port(self, name: str) -> int:
        """Return the port of the replica itself, behind the ingress."""
        return self._ports[name]

    def running(self, kind: str) -> list[str]:
        """Return the running replicas of a service."""
        return [one.name for one in self.processes if one.popen is not None and kind_of(one.name) == kind]

    def kill(self, name: str) -> None:
        """Send SIGKILL."""
        process = self.process(name)
        assert process.popen is not None
        process.popen.kill()
        process.popen.wait()
        self.processes.remove(process)

    def freeze(self, name: str) -> None:
        os.kill(self.process(name).pid, signal.SIGSTOP)

    def thaw(self, name: str) -> None:
        os.kill(self.process(name).pid, signal.SIGCONT)

    def thaw_all(self) -> None:
        for process in self.processes:
            if process.popen is not None and process.popen.poll() is None:
                process.popen.send_signal(signal.SIGCONT)

    def drain(self, name: str, within_s: float = 40.0) -> float:
        """Send SIGTERM and return the seconds until the process has exited. Raises `StackError` if it does not exit in
        time.
        """
        process = self.process(name)
        assert process.popen is not None
        began = time.monotonic()
        process.popen.terminate()
        while process.popen.poll() is None:
            if time.monotonic() - began > within_s:
                raise StackError(f"{name} did not exit within {within_s} s after SIGTERM")
            time.sleep(0.01)
        self.processes.remove(process)
        return time.monotonic() - began

    # -- the simulators
    @property
    def _simulators(self) -> tuple[str, ...]:
        return (*_SIMULATORS, "business") if self.plan.business else _SIMULATORS

    def request(self, method: str, part: str, path: str, body: Json | None = None) -> Any:
        """Send a request to a simulator, or to the ingress of a service, and return the JSON response. Raises
        `WireError`.
        """
        return call_json(method, self.url(part) + path, body)

    def inject(self, simulator: str, faults: Json) -> None:
        """Replace the faults of a simulator."""
        self.request("PUT", simulator, "/lab/faults", faults)

    def clear_faults(self) -> None:
        for simulator in ("acs", "voice-live", *(("business",) if self.plan.business else ())):
            self.request("DELETE", simulator, "/lab/faults")

    # -- Redis
    def start_redis_again(self) -> None:
        self._start_own_redis()

    @property
    def redis_port(self) -> int:
        """Return the port of the current primary."""
        return self.group.primary() if self.group is not None else self.ports.redis

    def owners(self) -> dict[str, tuple[str, int]]:
        """Return the owner of each call: call id → (name of the process, epoch)."""
        rows = ask_map(self.redis_port, "HGETALL", OWNERS)
        return {
            call_id: (row.rpartition("|")[0], int(row.rpartition("|")[2]))
            for call_id, row in rows.items()
            if "|" in row and ":" not in call_id  # The table also has fields named `<call id>:<fact>`.
        }

    def owned_by_pid(self) -> dict[str, int]:
        """Return how many calls each relay owns, by the name of the replica."""
        counts = dict.fromkeys(self.running(RELAY), 0)
        by_pid = {str(self.process(name).pid): name for name in counts}
        for owner, _ in self.owners().values():
            pid = owner.rsplit("-", 2)[-2]
            if pid in by_pid:
                counts[by_pid[pid]] += 1
        return counts

    def active_calls(self, name: str) -> int:
        """Return the number of active calls that the replica reports."""
        return int(self.metric(name, "bridge_active_calls"))

    def metric(self, name: str, metric: str) -> float:
        """Return the value of a metric without labels at the replica, 0 if it is absent. Raises `OSError`."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self._ports[name]}/metrics", timeout=2) as reply:
            found = re.search(rf"^{metric} (\S+)", reply.read().decode(), re.MULTILINE)
        return float(found.group(1)) if found else 0.0

    def tasks(self) -> dict[str, float]:
        """Return the number of asyncio tasks of each replica."""
        there = [name for kind in (CONTROL, GATEWAY, RELAY) for name in self.running(kind)]
        return {name: self.metric(name, "bridge_tasks") for name in there}

    def stop(self) -> None:
        super().stop()
        if self.group is not None:
            self.group.stop()

    def _start_own_redis(self) -> None:
        """Start a Redis server for this fleet only. Faults must never affect the server of `REDIS_URL`."""
        if self.group is not None:
            self.group.start()
            self.redis_url = self.group.url
            return
        self.redis_url = f"redis://127.0.0.1:{self.ports.redis}/0"
        log_path = self.folder / "redis.log"
        self.processes.insert(0, Process("redis", self.ports.redis, start_server(self.ports.redis, log_path=log_path)))


def steady_port() -> int:
    """Return a free port outside of the system's ephemeral range, so that no other program gets it while its process is
    down.
    """
    while True:
        port = random.randrange(_STEADY_PORTS.start, _STEADY_PORTS.stop)
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            return port


@contextlib.contextmanager
def running_fleet(plan: FleetPlan, folder: Path) -> Iterator[LocalFleet]:
    """Start a fleet and yield it when it is ready. It is stopped when the context ends."""
    with network() as net:
        fleet = LocalFleet(plan, folder, net)
        try:
            fleet.start()
            yield fleet
        except KeyboardInterrupt:
            fleet.hurry()
            raise
        finally:
            fleet.thaw_all()
            fleet.stop()
