"""Parses `REDIS_URL`: one server, a primary behind sentinels, or one node of a cluster. No I/O."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from typing import Final, TypeAlias
from urllib.parse import SplitResult, parse_qsl, unquote, urlencode, urlsplit

from bridge_common.base.errors import InputError

Address: TypeAlias = tuple[str, int]
"""Host and port."""

SCHEMES: Final = ("redis", "rediss", "unix", "redis+sentinel", "rediss+sentinel")
_SENTINEL: Final = "+sentinel"
_SENTINEL_PORT: Final = 26379
_REDIS_PORT: Final = 6379
_SENTINEL_FORM: Final = "expected, for example, redis+sentinel://host:26379,host:26379/mymaster"
_OF_SENTINELS: Final = ("sentinel_username", "sentinel_password")


@dataclass(frozen=True, slots=True)
class RedisAddress:
    """An address parsed from `REDIS_URL`. `url` is for redis-py: options, credentials and a host, which is the first
    sentinel if there are `sentinels`.
    """

    url: str = field(repr=False)
    sentinels: tuple[Address, ...] = ()
    service: str = ""
    """Name of the primary in the sentinels' configuration."""
    sentinel_username: str = ""
    sentinel_password: str = field(default="", repr=False)

    @property
    def scheme(self) -> str:
        return urlsplit(self.url).scheme

    @property
    def host(self) -> str:
        return urlsplit(self.url).hostname or ""

    @property
    def port(self) -> int:
        return urlsplit(self.url).port or _REDIS_PORT

    @property
    def database(self) -> int:
        parts = urlsplit(self.url)
        return int(parts.path.strip("/") or dict(parse_qsl(parts.query)).get("db", "0"))

    @property
    def user(self) -> str:
        return unquote(urlsplit(self.url).username or "")

    @property
    def has_password(self) -> bool:
        return bool(urlsplit(self.url).password)

    @property
    def is_private(self) -> bool:
        """Whether the connection cannot be intercepted: TLS, or a server on this machine."""
        return self.scheme != "redis" or is_loopback(self.host)


def is_loopback(host: str) -> bool:
    name = host.lower()
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def parse_address(url: str) -> RedisAddress:
    """Parse `REDIS_URL`. Raises `InputError`. Its message contains no part of the URL, which may include a password."""
    try:
        parts = urlsplit(url)
        scheme = parts.scheme
        if scheme not in SCHEMES:
            raise InputError("has an unknown scheme; start it with " + ", ".join(f"{scheme}://" for scheme in SCHEMES))
        if scheme.endswith(_SENTINEL):
            return _behind_sentinels(parts)
        if scheme == "unix":
            return RedisAddress(url)
        if not parts.hostname:
            raise InputError("has no host; expected, for example, redis://host:6379/0")
        address = RedisAddress(url)
        # Reading both properties validates them.
        _ = parts.port, address.database
        return address
    except ValueError:
        raise InputError(
            "is not a valid URL, or its port or database is not a number; expected, for example, redis://host:6379/0"
        ) from None


def certificate_name(announced: str, url_host: str) -> str:
    """Return the name that the TLS certificate of a server must contain, if a cluster or sentinels announced the
    server.

    An announced name is checked as it is. An announced address is checked for the host of `REDIS_URL`, because
    certificates rarely contain addresses; if that host is an address as well, for the announced address.
    """
    return announced if _is_name(announced) or not _is_name(url_host) else url_host


def _is_name(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return bool(host)
    return False


def _behind_sentinels(parts: SplitResult) -> RedisAddress:
    """Parse redis+sentinel://[user:password@]host[:port],host[:port]/primary[/database][?option=value]."""
    login, _, hosts = parts.netloc.rpartition("@")
    sentinels = tuple(_host_and_port(text) for text in hosts.split(",") if text)
    if not sentinels:
        raise InputError(f"has no sentinel; {_SENTINEL_FORM}")
    service, _, database = parts.path.strip("/").partition("/")
    if not service:
        raise InputError(f"has no name of the primary after the sentinels; {_SENTINEL_FORM}")
    options = dict(parse_qsl(parts.query))
    of_sentinels = {name: options.pop(name, "") for name in _OF_SENTINELS}
    scheme = parts.scheme.removesuffix(_SENTINEL)
    host, port = sentinels[0]
    before = f"{login}@" if login else ""
    spelled = f"[{host}]" if ":" in host else host
    after = f"?{urlencode(options)}" if options else ""
    url = f"{scheme}://{before}{spelled}:{port}/{int(database or 0)}{after}"
    return RedisAddress(url, sentinels, unquote(service), **of_sentinels)


def _host_and_port(text: str) -> Address:
    found = urlsplit(f"//{text}")
    if not found.hostname:
        raise InputError(f"has a sentinel without a host; {_SENTINEL_FORM}")
    return found.hostname, found.port or _SENTINEL_PORT
