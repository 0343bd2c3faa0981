"""A primary with a replica and three sentinels that watch them, all on this machine."""

from __future__ import annotations

import contextlib
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from lab.ports import free_port
from lab.redis_line import ask, becomes_true
from lab.redis_server import NoRedisError, start_process, start_server

SERVICE: Final = "lab"
DOWN_AFTER_MS: Final = 1000
_FAILOVER_TIMEOUT_MS: Final = 5000
"""Within twice this time sentinels do not try a second time."""
_LOOK_MS: Final = 1000
_QUORUM: Final = 2
_PATIENCE_S: Final = 30.0
_SENTINEL_CONF: Final = """\
bind 127.0.0.1
port {port}
dir {folder}
sentinel monitor {service} 127.0.0.1 {primary} {quorum}
sentinel down-after-milliseconds {service} {down_after}
sentinel failover-timeout {service} {timeout}
"""


@dataclass(slots=True)
class RedisGroup:
    """`choose_port`: where a free port comes from; members keep theirs when they are started again."""

    folder: Path
    choose_port: Callable[[], int] = free_port
    ports: list[int] = field(default_factory=list)
    """Of the two servers; which of them is the primary changes."""
    sentinel_ports: list[int] = field(default_factory=list)
    _running: dict[int, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def url(self) -> str:
        sentinels = ",".join(f"127.0.0.1:{port}" for port in self.sentinel_ports)
        return f"redis+sentinel://{sentinels}/{SERVICE}/0"

    def start(self) -> None:
        """Returns when the replica follows and every sentinel knows of the others. Raises `NoRedisError`."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.ports = [self.choose_port() for _ in range(2)]
        self._start_server(self.ports[0])
        self._start_server(self.ports[1], primary=self.ports[0])
        self.sentinel_ports = [self.choose_port() for _ in range(3)]
        for port in self.sentinel_ports:
            self._start_sentinel(port)
            # How often it looks at servers that are well. Only being whole again is faster by it than by default.
            ask(port, "SENTINEL", "DEBUG", "INFO-PERIOD", _LOOK_MS)
        self.await_whole()

    def stop(self) -> None:
        for process in self._running.values():
            process.kill()
        for process in self._running.values():
            process.wait()
        self._running.clear()

    def primary(self) -> int:
        """The port of the server that the sentinels call the primary."""
        return int(ask(self.sentinel_ports[0], "SENTINEL", "GET-MASTER-ADDR-BY-NAME", SERVICE)[1])

    def kill_primary(self) -> None:
        """kill -9."""
        process = self._running.pop(self.primary())
        process.kill()
        process.wait()

    def fail_over(self) -> None:
        """The replica becomes the primary by plan; returns when the sentinels say so."""
        before = self.primary()
        ask(self.sentinel_ports[0], "SENTINEL", "FAILOVER", SERVICE)
        self._await(lambda: self.primary() != before, "the planned fail-over did not happen")

    def heal(self) -> None:
        """Start what is dead, as a replica, and wait until another fail-over could be borne. Raises `NoRedisError`."""
        for port in self.ports:
            if port not in self._running:
                self._await(lambda gone=port: self.primary() != gone, "nobody took over")  # type: ignore[misc]
                self._start_server(port, primary=self.primary())
        self._demote(self.primary())
        self.await_whole()

    def _demote(self, primary: int) -> None:
        """After a planned fail-over sentinels wait for more than 8 s before they make the old primary a replica."""
        for port in self.ports:
            if port != primary and ask(port, "ROLE")[0] == "master":
                ask(port, "REPLICAOF", "127.0.0.1", primary)

    def await_whole(self) -> None:
        self._await(lambda: all(self._is_whole(port) for port in self.sentinel_ports), "the sentinels see no whole")

    def _is_whole(self, sentinel: int) -> bool:
        primary = _fields(ask(sentinel, "SENTINEL", "MASTER", SERVICE))
        replicas = [_fields(row) for row in ask(sentinel, "SENTINEL", "REPLICAS", SERVICE)]
        return (
            primary["flags"] == "master"
            and int(primary["num-other-sentinels"]) == len(self.sentinel_ports) - 1
            and [replica["flags"] for replica in replicas] == ["slave"]
            and replicas[0]["master-link-status"] == "ok"
        )

    def _await(self, fact: Callable[[], bool], otherwise: str) -> None:
        if not becomes_true(fact, _PATIENCE_S):
            raise NoRedisError(f"{otherwise}; logs in {self.folder}")

    def _start_server(self, port: int, primary: int = 0) -> None:
        follow = ("--replicaof", f"127.0.0.1 {primary}") if primary else ()
        self._running[port] = start_server(
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
        self._running[port] = start_process(port, str(conf), "--sentinel", log_path=self._log_path(f"sentinel-{port}"))

    def _log_path(self, name: str) -> Path:
        """A server that is started again does not write over what the one before it said."""
        return self.folder / f"{name}.{int(time.time() * 1000)}.log"


def _fields(flat: list[Any]) -> Mapping[str, str]:
    return dict(zip(flat[::2], flat[1::2], strict=True))


@contextlib.contextmanager
def redis_group(folder: Path) -> Iterator[RedisGroup]:
    """A group, whole, for the time of the context."""
    group = RedisGroup(folder)
    try:
        group.start()
        yield group
    finally:
        group.stop()
