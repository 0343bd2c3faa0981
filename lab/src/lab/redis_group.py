"""A Redis primary with a replica and three sentinels on this machine."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from lab.ports import free_port
from lab.redis_line import ask
from lab.redis_server import RedisServers, start_process, start_server

SERVICE: Final = "lab"
DOWN_AFTER_MS: Final = 1000
_FAILOVER_TIMEOUT_MS: Final = 5000
"""`failover-timeout` of the sentinels; they retry a failover after twice this time."""
_LOOK_MS: Final = 1000
_QUORUM: Final = 2

_SENTINEL_CONF: Final = """\
bind 127.0.0.1
port {port}
dir {folder}
sentinel monitor {service} 127.0.0.1 {primary} {quorum}
sentinel down-after-milliseconds {service} {down_after}
sentinel failover-timeout {service} {timeout}
"""


@dataclass(slots=True)
class RedisGroup(RedisServers):
    """A primary, its replica and three sentinels. `choose_port`: returns a free port. A restarted server keeps its
    port.
    """

    choose_port: Callable[[], int] = free_port
    ports: list[int] = field(default_factory=list)
    """Ports of the two servers; either may be the primary."""
    sentinel_ports: list[int] = field(default_factory=list)

    @property
    def url(self) -> str:
        sentinels = ",".join(f"127.0.0.1:{port}" for port in self.sentinel_ports)
        return f"redis+sentinel://{sentinels}/{SERVICE}/0"

    def start(self) -> None:
        """Start all servers and return when the replica is connected and all sentinels know each other. Raises
        `NoRedisError`.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        self.ports = [self.choose_port() for _ in range(2)]
        self._start_server(self.ports[0])
        self._start_server(self.ports[1], primary=self.ports[0])
        self.sentinel_ports = [self.choose_port() for _ in range(3)]
        for port in self.sentinel_ports:
            self._start_sentinel(port)
            # Interval of checks of healthy servers; shorter than the default, so that recovery is detected sooner.
            ask(port, "SENTINEL", "DEBUG", "INFO-PERIOD", _LOOK_MS)
        self.await_complete()

    def primary(self) -> int:
        """Return the port of the primary according to the sentinels."""
        return int(ask(self.sentinel_ports[0], "SENTINEL", "GET-MASTER-ADDR-BY-NAME", SERVICE)[1])

    def kill_primary(self) -> None:
        self.kill(self.primary())

    def fail_over(self) -> None:
        """Start a planned failover to the replica. Return when the sentinels report the new primary."""
        before = self.primary()
        ask(self.sentinel_ports[0], "SENTINEL", "FAILOVER", SERVICE)
        self.wait_until(lambda: self.primary() != before, "the planned failover did not complete in time")

    def heal(self) -> None:
        """Restart a dead server as a replica and wait until the group is complete. Raises `NoRedisError`."""
        for port in self.ports:
            if port not in self.processes:
                self.wait_until(lambda gone=port: self.primary() != gone, "no replica became the primary in time")  # type: ignore[misc]
                self._start_server(port, primary=self.primary())
        self._demote(self.primary())
        self.await_complete()

    def _demote(self, primary: int) -> None:
        """Make the previous primary a replica. After a planned failover the sentinels do so only after 8 s."""
        for port in self.ports:
            if port != primary and ask(port, "ROLE")[0] == "master":
                ask(port, "REPLICAOF", "127.0.0.1", primary)

    def await_complete(self) -> None:
        self.wait_until(
            lambda: all(self.is_complete(port) for port in self.sentinel_ports),
            "the sentinels did not report a complete group in time",
        )

    def is_complete(self, sentinel: int) -> bool:
        """Whether this sentinel reports a primary, a connected replica and all other sentinels."""
        primary = _fields(ask(sentinel, "SENTINEL", "MASTER", SERVICE))
        replicas = [_fields(row) for row in ask(sentinel, "SENTINEL", "REPLICAS", SERVICE)]
        return (
            primary["flags"] == "master"
            and int(primary["num-other-sentinels"]) == len(self.sentinel_ports) - 1
            and [replica["flags"] for replica in replicas] == ["slave"]
            and replicas[0]["master-link-status"] == "ok"
        )

    def _start_server(self, port: int, primary: int = 0) -> None:
        follow = ("--replicaof", f"127.0.0.1 {primary}") if primary else ()
        self.processes[port] = start_server(
            port, "--repl-diskless-sync-delay", "0", *follow, log_path=self._log_path(f"redis-{port}")
        )

    def _start_sentinel(self, port: int) -> None:
        folder = self.folder / f"sentinel-{port}"
        folder.mkdir(exist_ok=True)
        conf = folder / "sentinel.conf"
        conf.write_text(
            _SENTINEL_CONF.format(
                port=port,
                folder=folder,
                service=SERVICE,
                primary=self.ports[0],
                quorum=_QUORUM,
                down_after=DOWN_AFTER_MS,
                timeout=_FAILOVER_TIMEOUT_MS,
            )
        )
        self.processes[port] = start_process(port, str(conf), "--sentinel", log_path=self._log_path(f"sentinel-{port}"))

    def _log_path(self, name: str) -> Path:
        return self.folder / f"{name}.{int(time.time() * 1000)}.log"


def _fields(flat: list[Any]) -> Mapping[str, str]:
    return dict(zip(flat[::2], flat[1::2], strict=True))


@contextlib.contextmanager
def redis_group(folder: Path) -> Iterator[RedisGroup]:
    group = RedisGroup(folder)
    try:
        group.start()
        yield group
    finally:
        group.stop()
