"""HTTP connections to the servers of tools: only to public addresses, unless a host is allowed by name.

The address is checked when it is resolved for the connection, not before, so that DNS rebinding cannot reach the
network of the cluster.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Sequence

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver

from agent_relay.core.protocol.tool_profile import host_allowed


class ForbiddenAddressError(OSError):
    """The host of a tool has an address that tools must not reach."""


class GuardedResolver(AbstractResolver):
    """A resolver that rejects hosts with private addresses. `private_hosts`: patterns of hosts that may have private
    addresses.
    """

    def __init__(self, private_hosts: Sequence[str], resolver: AbstractResolver | None = None) -> None:
        self._private_hosts = private_hosts
        self._resolver = resolver or ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = await self._resolver.resolve(host, port, family)
        if host_allowed(host.lower(), self._private_hosts):
            return found
        if any(not is_public(one["host"]) for one in found):
            raise ForbiddenAddressError(
                f"{host} resolves to an address that is not public; add the host to TOOL_PRIVATE_HOSTS to allow it"
            )
        return found

    async def close(self) -> None:
        await self._resolver.close()


def is_public(address: str) -> bool:
    """Return whether an address is public. Private, loopback, link-local, multicast, reserved and special addresses
    are not, also if they are embedded in an IPv6 address.
    """
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(parsed, ipaddress.IPv6Address):
        inner = parsed.ipv4_mapped or parsed.sixtofour or (parsed.teredo or (None, None))[1]
        if inner is not None:
            return is_public(str(inner))
        if parsed in _NAT64:
            return is_public(str(ipaddress.IPv4Address(int(parsed) & 0xFFFFFFFF)))
    special = parsed.is_multicast or parsed.is_reserved or any(parsed in network for network in _SPECIAL)
    return parsed.is_global and not special


def is_literal(host: str) -> bool:
    """Return whether the host of a URL is an IP address, which is not resolved."""
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    return True


def host_fault(host: str, hosts: Sequence[str], private_hosts: Sequence[str]) -> str:
    """Return why tools must not use the host of a URL, "" if they may. `hosts`: patterns of all allowed hosts."""
    if host_allowed(host, private_hosts):
        return ""
    if is_literal(host) and not is_public(host):
        return f"{host} is not a public address; add it to TOOL_PRIVATE_HOSTS to allow it (TOOL_HOSTS is not needed)"
    if not host_allowed(host, hosts):
        remedy = "" if is_literal(host) else ", or to TOOL_PRIVATE_HOSTS if its addresses are not public"
        return f"{host} is not in TOOL_HOSTS; add it to allow it{remedy}"
    return ""


def tool_session(private_hosts: Sequence[str]) -> aiohttp.ClientSession:
    """Return the HTTP session for all tools of a process; the calling code must close it. It stores no cookies and
    ignores the proxy settings of the environment.
    """
    connector = aiohttp.TCPConnector(resolver=GuardedResolver(private_hosts), use_dns_cache=False, limit=100)
    return aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar(), trust_env=False)


_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_SPECIAL = (
    ipaddress.IPv4Network("168.63.129.16/32"),  # platform services of Azure, reachable from every virtual machine
    ipaddress.IPv4Network("192.88.99.0/24"),  # relays of 6to4, RFC 7526
    ipaddress.IPv6Network("fec0::/10"),  # site-local, RFC 3879
)
"""Addresses that are not public although the registries of the IANA, or the module `ipaddress`, call them global."""
