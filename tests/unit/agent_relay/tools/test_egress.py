"""Which addresses tools may reach."""

from __future__ import annotations

import socket

import pytest
from aiohttp.abc import AbstractResolver, ResolveResult

from agent_relay.tools.egress import ForbiddenAddressError, GuardedResolver, host_fault, is_public


class Names(AbstractResolver):
    """A resolver with fixed addresses."""

    def __init__(self, *addresses: str) -> None:
        self.addresses = addresses
        self.closed = False

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        return [
            ResolveResult(hostname=host, host=address, port=port, family=family, proto=0, flags=0)
            for address in self.addresses
        ]

    async def close(self) -> None:
        self.closed = True


@pytest.mark.parametrize("address", ["93.184.216.34", "2606:2800:220:1::1", "::ffff:93.184.216.34"])
def test_public_addresses(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0"),
        *("::1", "fe80::1", "fe80::1%eth0", "fd00::1", "::ffff:10.0.0.1", "64:ff9b::a00:1", "2002:a00:1::"),
        *(
            "168.63.129.16",
            "::ffff:168.63.129.16",
            "64:ff9b::a83f:8110",
            "192.88.99.1",
            "fec0::1",
            "::7f00:1",
            "240.0.0.1",
        ),
        *("224.0.0.1", "255.255.255.255", "ff02::1", "nonsense", ""),
    ],
)
def test_other_addresses(address: str) -> None:
    assert not is_public(address)


async def test_a_name_must_have_public_addresses_only() -> None:
    assert await GuardedResolver([], Names("93.184.216.34")).resolve("shop.example.com", 443)
    with pytest.raises(ForbiddenAddressError, match="not public"):
        await GuardedResolver([], Names("93.184.216.34", "10.0.0.1")).resolve("shop.example.com", 443)


async def test_a_host_can_be_allowed_by_name() -> None:
    names = Names("10.0.0.1")
    resolver = GuardedResolver(["*.internal"], names)
    assert await resolver.resolve("Shop.internal", 443)
    with pytest.raises(ForbiddenAddressError):
        await resolver.resolve("internal.example.com", 443)
    await resolver.close()
    assert names.closed


@pytest.mark.parametrize(
    ("host", "hosts", "private_hosts", "fault"),
    [
        ("shop.example.com", ["shop.example.com"], [], ""),
        ("shop.internal", [], ["shop.internal"], ""),
        ("shop.example.com", ["other.example.com"], [], "shop.example.com is not in TOOL_HOSTS"),
        ("10.0.0.1", ["10.0.0.1"], [], "10.0.0.1 is not a public address"),
        (
            "127.0.0.1",
            [],
            [],
            "127.0.0.1 is not a public address; add it to TOOL_PRIVATE_HOSTS to allow it (TOOL_HOSTS",
        ),
        (
            "shop.internal",
            [],
            [],
            "shop.internal is not in TOOL_HOSTS; add it to allow it, or to TOOL_PRIVATE_HOSTS if",
        ),
        ("10.0.0.1", [], ["10.0.0.1"], ""),
        ("93.184.216.34", ["93.184.216.34"], [], ""),
        ("::1", ["::1"], [], "::1 is not a public address"),
    ],
)
def test_hosts_of_tools(host: str, hosts: list[str], private_hosts: list[str], fault: str) -> None:
    assert host_fault(host, hosts, private_hosts).startswith(fault)
    assert bool(host_fault(host, hosts, private_hosts)) is bool(fault)
