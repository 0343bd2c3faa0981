"""A Redis cluster on this machine. Each server has an equal share of the slots; replicas are optional."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from lab.ports import free_port
from lab.redis_line import RedisRefusedError, ask
from lab.redis_server import RedisServers, start_server

_SLOTS: Final = 16384
_NODE_TIMEOUT_MS: Final = 1000


@dataclass(slots=True)
class RedisCluster(RedisServers):
    ports: list[int] = field(default_factory=list)
    """Ports of the primaries, in the order of their slots."""
    replica_ports: list[int] = field(default_factory=list)
    """Ports of the replicas, in the order of `ports`."""
    _bus_ports: dict[int, int] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.ports[0]}/0"

    def start(self, servers: int = 3, *, replicas: bool = False) -> None:
        """Start the servers and return when each of them knows the owner of every slot. Raises `NoRedisError`."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.ports = [self._start_server() for _ in range(servers)]
        self.replica_ports = [self._start_server() for _ in range(servers)] if replicas else []
        for number, port in enumerate(self.ports):
            first, after = _SLOTS * number // servers, _SLOTS * (number + 1) // servers
            ask(port, "CLUSTER", "ADDSLOTSRANGE", first, after - 1)
        for port in [*self.ports[1:], *self.replica_ports]:
            ask(port, "CLUSTER", "MEET", "127.0.0.1", self.ports[0], self._bus_ports[self.ports[0]])
        self.wait_until(
            lambda: all(self.is_complete(port) for port in self.processes), "the servers did not form a cluster in time"
        )
        for port, primary in zip(self.replica_ports, self.ports, strict=False):
            ask(port, "CLUSTER", "REPLICATE", ask(primary, "CLUSTER", "MYID"))
        self.wait_until(
            lambda: all(_follows(port) for port in self.replica_ports),
            "the replicas did not connect to their primaries in time",
        )

    def owner_of(self, key: str, observer: int | None = None) -> int:
        """Return the port of the server that has the key, according to the server on port `observer`."""
        observer = self.ports[0] if observer is None else observer
        slot = ask(observer, "CLUSTER", "KEYSLOT", key)
        rows = ask(observer, "CLUSTER", "SLOTS")
        return next(int(primary[1]) for first, last, primary, *_ in rows if first <= slot <= last)

    def move_slot(self, key: str, to: int) -> None:
        """Move the slot of the key, which must be empty, to the server on port `to`."""
        slot, owner = ask(to, "CLUSTER", "KEYSLOT", key), ask(to, "CLUSTER", "MYID")
        # Only the import of a slot raises the epoch of the new owner. With an equal epoch, gossip of the previous owner
        # can revert the move.
        ask(to, "CLUSTER", "SETSLOT", slot, "IMPORTING", ask(self.owner_of(key, to), "CLUSTER", "MYID"))
        for port in (to, *(port for port in self.processes if port != to)):
            with contextlib.suppress(RedisRefusedError):  # A replica rejects the command; its primary informs it.
                ask(port, "CLUSTER", "SETSLOT", slot, "NODE", owner)
        self.wait_until(lambda: self.owner_of(key, self.ports[0]) == to, "the slot was not moved in time")

    def flush(self) -> None:
        for port in self.processes:
            with contextlib.suppress(RedisRefusedError):
                ask(port, "FLUSHALL")

    def _start_server(self) -> int:
        port = free_port()
        # The default, the port plus 10000, may be in use or out of range.
        self._bus_ports[port] = free_port()
        self.processes[port] = start_server(
            port,
            *("--cluster-enabled", "yes", "--cluster-config-file", str(self.folder / f"nodes-{port}.conf")),
            *("--cluster-port", str(self._bus_ports[port]), "--cluster-node-timeout", str(_NODE_TIMEOUT_MS)),
            *("--cluster-require-full-coverage", "no", "--repl-diskless-sync-delay", "0"),
            log_path=self.folder / f"redis-{port}.log",
        )
        return port

    def is_complete(self, port: int) -> bool:
        """Whether the server on this port reports a healthy cluster with all servers."""
        lines = str(ask(port, "CLUSTER", "INFO")).split()
        facts = dict(line.split(":", 1) for line in lines)
        return facts["cluster_state"] == "ok" and facts["cluster_known_nodes"] == str(len(self.processes))


def _follows(port: int) -> bool:
    role = ask(port, "ROLE")
    return bool(role[0] == "slave" and role[3] == "connected")


@contextlib.contextmanager
def redis_cluster(folder: Path, servers: int = 3, *, replicas: bool = False) -> Iterator[RedisCluster]:
    cluster = RedisCluster(folder)
    try:
        cluster.start(servers, replicas=replicas)
        yield cluster
    finally:
        cluster.stop()
