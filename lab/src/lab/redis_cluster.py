"""Servers that form a cluster, all on this machine. Each has a third of the slots; replicas only where asked for."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from lab.ports import free_port
from lab.redis_line import RedisRefusedError, ask, becomes_true
from lab.redis_server import NoRedisError, start_server

_SLOTS: Final = 16384
_NODE_TIMEOUT_MS: Final = 1000
_PATIENCE_S: Final = 30.0


@dataclass(slots=True)
class RedisCluster:
    folder: Path
    ports: list[int] = field(default_factory=list)
    """Of the servers with slots, in the order of the slots."""
    replica_ports: list[int] = field(default_factory=list)
    """Each of the server at the same place in `ports`."""
    _bus_ports: dict[int, int] = field(default_factory=dict)
    _running: dict[int, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.ports[0]}/0"

    def start(self, servers: int = 3, *, replicas: bool = False) -> None:
        """Returns when every server knows the owner of every slot. Raises `NoRedisError`."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.ports = [self._start_server() for _ in range(servers)]
        self.replica_ports = [self._start_server() for _ in range(servers)] if replicas else []
        for number, port in enumerate(self.ports):
            first, after = _SLOTS * number // servers, _SLOTS * (number + 1) // servers
            ask(port, "CLUSTER", "ADDSLOTSRANGE", first, after - 1)
        for port in [*self.ports[1:], *self.replica_ports]:
            ask(port, "CLUSTER", "MEET", "127.0.0.1", self.ports[0], self._bus_ports[self.ports[0]])
        self._await(lambda: all(self._is_whole(port) for port in self._running), "the cluster did not form")
        for port, primary in zip(self.replica_ports, self.ports, strict=False):
            ask(port, "CLUSTER", "REPLICATE", ask(primary, "CLUSTER", "MYID"))
        self._await(lambda: all(_follows(port) for port in self.replica_ports), "the replicas do not follow")

    def stop(self) -> None:
        for process in self._running.values():
            process.kill()
        for process in self._running.values():
            process.wait()
        self._running.clear()

    def owner_of(self, key: str, asked: int | None = None) -> int:
        """The port of the server that has the key, as the server on port `asked` says."""
        asked = self.ports[0] if asked is None else asked
        slot = ask(asked, "CLUSTER", "KEYSLOT", key)
        rows = ask(asked, "CLUSTER", "SLOTS")
        return next(int(primary[1]) for first, last, primary, *_ in rows if first <= slot <= last)

    def move_slot(self, key: str, to: int) -> None:
        """Give the slot of the key, which has to be empty, to the server on port `to`."""
        slot, owner = ask(to, "CLUSTER", "KEYSLOT", key), ask(to, "CLUSTER", "MYID")
        # Only a slot that is being imported raises the new owner's epoch. At an equal epoch the previous owner's
        # gossip can take the slot back.
        ask(to, "CLUSTER", "SETSLOT", slot, "IMPORTING", ask(self.owner_of(key, to), "CLUSTER", "MYID"))
        for port in (to, *(port for port in self._running if port != to)):
            with contextlib.suppress(RedisRefusedError):  # replicas hear of it from their primaries
                ask(port, "CLUSTER", "SETSLOT", slot, "NODE", owner)
        self._await(lambda: self.owner_of(key, self.ports[0]) == to, "the slot was not moved")

    def kill(self, port: int) -> None:
        """kill -9."""
        process = self._running.pop(port)
        process.kill()
        process.wait()

    def flush(self) -> None:
        for port in self._running:
            with contextlib.suppress(RedisRefusedError):
                ask(port, "FLUSHALL")

    def _start_server(self) -> int:
        port = free_port()
        # By default it is the port and 10000 more, which may be taken or be no port at all.
        self._bus_ports[port] = free_port()
        self._running[port] = start_server(
            port,
            *("--cluster-enabled", "yes", "--cluster-config-file", str(self.folder / f"nodes-{port}.conf")),
            *("--cluster-port", str(self._bus_ports[port]), "--cluster-node-timeout", str(_NODE_TIMEOUT_MS)),
            *("--cluster-require-full-coverage", "no", "--repl-diskless-sync-delay", "0"),
            log_path=self.folder / f"redis-{port}.log",
        )
        return port

    def _is_whole(self, port: int) -> bool:
        lines = str(ask(port, "CLUSTER", "INFO")).split()
        facts = dict(line.split(":", 1) for line in lines)
        return facts["cluster_state"] == "ok" and facts["cluster_known_nodes"] == str(len(self._running))

    def _await(self, fact: Callable[[], bool], otherwise: str) -> None:
        if not becomes_true(fact, _PATIENCE_S):
            raise NoRedisError(f"{otherwise}; logs in {self.folder}")


def _follows(port: int) -> bool:
    role = ask(port, "ROLE")
    return bool(role[0] == "slave" and role[3] == "connected")


@contextlib.contextmanager
def redis_cluster(folder: Path, servers: int = 3, *, replicas: bool = False) -> Iterator[RedisCluster]:
    """A cluster, whole, for the time of the context."""
    cluster = RedisCluster(folder)
    try:
        cluster.start(servers, replicas=replicas)
        yield cluster
    finally:
        cluster.stop()
