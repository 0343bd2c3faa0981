"""Limits on connections whose peer is not authenticated yet: in total and per source address.

At a limit, the oldest connection is dropped. A genuine peer is authenticated within one round trip, so it succeeds even
during a flood. If new connections were rejected instead, a few hundred idle connections could block all peers.
"""

from __future__ import annotations

import ipaddress
import logging
from collections.abc import Callable
from typing import Final

from bridge_common.base.log import fields
from bridge_common.base.log_limit import LineLimit
from bridge_common.observability.telemetry import CONNECTIONS_DROPPED, PENDING_CONNECTIONS

log = logging.getLogger(__name__)
log.addFilter(LineLimit(per_s=0.1, burst=2))

_IPV6_NETWORK_BITS: Final = 64
"""Network prefix that counts as one source: a host with IPv6 usually has a whole /64."""


class PendingConnections:
    """The pending connections of one server. `most_of_source` 0: no limit per source, for services behind a proxy that
    hides the addresses of its peers.
    """

    def __init__(self, most: int, most_of_source: int = 0) -> None:
        self._most = most
        self._most_of_source = most_of_source
        self._sources: dict[object, str] = {}
        """Sources by connection, the oldest first."""
        self._by_source: dict[str, dict[object, Callable[[], None]]] = {}

    def __len__(self) -> int:
        return len(self._sources)

    def enter(self, connection: object, source: str, drop: Callable[[], None]) -> None:
        """Count a new connection, and drop the oldest one if a limit is reached. `drop` aborts the connection."""
        if self._most_of_source and len(self._by_source.get(source, ())) >= self._most_of_source:
            self._make_room("source", next(iter(self._by_source[source])))
        elif len(self._sources) >= self._most:
            self._make_room("total", next(iter(self._sources)))
        self._sources[connection] = source
        self._by_source.setdefault(source, {})[connection] = drop
        PENDING_CONNECTIONS.set(len(self._sources))

    def leave(self, connection: object) -> None:
        """Stop counting a connection that is authenticated or closed. Idempotent."""
        self._remove(connection)

    def _make_room(self, limit: str, oldest: object) -> None:
        source = self._sources[oldest]
        log.warning("too many pending connections; dropping the oldest", extra=fields(limit=limit, source=source))
        CONNECTIONS_DROPPED.labels(limit).inc()
        drop = self._remove(oldest)
        assert drop is not None
        drop()

    def _remove(self, connection: object) -> Callable[[], None] | None:
        source = self._sources.pop(connection, None)
        if source is None:
            return None
        of_source = self._by_source[source]
        drop = of_source.pop(connection)
        if not of_source:
            del self._by_source[source]
        PENDING_CONNECTIONS.set(len(self._sources))
        return drop


def source_of(peer_name: object) -> str:
    """Return the source address in a socket's peer name; empty for a Unix socket."""
    if not isinstance(peer_name, tuple) or not peer_name:
        return ""
    return network_of(str(peer_name[0]))


def network_of(host: str) -> str:
    """Return the address, or the /64 network of an IPv6 address."""
    if ":" not in host:
        return host
    try:
        address = ipaddress.IPv6Address(host)
    except ValueError:
        return host
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.IPv6Network((int(address), _IPV6_NETWORK_BITS), strict=False).network_address)
