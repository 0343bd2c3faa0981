"""Creates a Redis user with its own permissions, on a server that tests share."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

from lab.redis_line import ask

NAME = "svc"
PASSWORD = "redis-user-password"


@dataclass(frozen=True, slots=True)
class RedisUser:
    port: int

    @property
    def url(self) -> str:
        return f"redis://{NAME}:{PASSWORD}@127.0.0.1:{self.port}/0"

    def set(self, *rules: str) -> None:
        ask(self.port, "ACL", "SETUSER", NAME, *rules)

    def refused(self) -> list[str]:
        """Return the objects in ACL LOG to which the server denied access for this user."""
        rows = [dict(zip(row[::2], row[1::2], strict=True)) for row in ask(self.port, "ACL", "LOG")]
        return [str(row["object"]) for row in rows if row["username"] == NAME]


@contextlib.contextmanager
def redis_user(port: int, *rules: str) -> Iterator[RedisUser]:
    """Create the user for the duration of the context. `rules`: arguments of ACL SETUSER, e.g. "+@all", "-script"."""
    user = RedisUser(port)
    user.set("reset", "on", f">{PASSWORD}", *rules)
    ask(port, "ACL", "LOG", "RESET")
    try:
        yield user
    finally:
        ask(port, "ACL", "DELUSER", NAME)


def port_of(url: str) -> int:
    port = urlsplit(url).port
    assert port is not None
    return port
