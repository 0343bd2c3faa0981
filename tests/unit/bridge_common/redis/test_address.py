"""Valid forms of `REDIS_URL`, and the errors for others."""

from __future__ import annotations

import pytest

from bridge_common.base.errors import InputError
from bridge_common.redis.address import RedisAddress, parse_address


@pytest.mark.parametrize(
    ("url", "scheme", "host", "port", "database", "password"),
    [
        ("redis://localhost", "redis", "localhost", 6379, 0, False),
        ("redis://localhost:6390/3", "redis", "localhost", 6390, 3, False),
        ("redis://localhost?db=4", "redis", "localhost", 6379, 4, False),
        ("rediss://user:p%40ss@cache.example:10000/0?ssl_ca_certs=ca.pem", "rediss", "cache.example", 10000, 0, True),
    ],
)
def test_one_server(url: str, scheme: str, host: str, port: int, database: int, password: bool) -> None:
    address = parse_address(url)
    assert (address.scheme, address.host, address.port) == (scheme, host, port)
    assert (address.database, address.has_password) == (database, password)
    assert (address.url, address.sentinels) == (url, ())


def test_a_socket_file() -> None:
    assert parse_address("unix:///run/redis.sock?db=1").scheme == "unix"


@pytest.mark.parametrize(
    ("url", "found"),
    [
        (
            "redis+sentinel://h1:26379,h2/mymaster",
            RedisAddress("redis://h1:26379/0", (("h1", 26379), ("h2", 26379)), "mymaster"),
        ),
        (
            "rediss+sentinel://user:p%2Css@[::1]:1,h2:2/my%20master/5?ssl_check_hostname=false&sentinel_password=s%26x",
            RedisAddress(
                "rediss://user:p%2Css@[::1]:1/5?ssl_check_hostname=false",
                (("::1", 1), ("h2", 2)),
                "my master",
                sentinel_password="s&x",
            ),
        ),
    ],
)
def test_a_primary_behind_sentinels(url: str, found: RedisAddress) -> None:
    assert parse_address(url) == found


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("http://secret", "has an unknown scheme; start it with redis://, rediss://"),
        ("secret", "unknown scheme"),
        ("redis://", "has no host"),
        ("redis://:secret@", "has no host"),
        ("redis://host:secret", "not a number"),
        ("redis://host/secret", "not a number"),
        ("redis+sentinel://h1,h2", "has no name of the primary"),
        ("redis+sentinel:///secret", "has no sentinel"),
        ("redis+sentinel://h1,:2/secret", "without a host"),
        ("redis+sentinel://h1:secret/mymaster", "not a number"),
        ("redis+sentinel://h1/mymaster/secret", "not a number"),
    ],
)
def test_an_error_names_the_fault_and_shows_no_value(url: str, problem: str) -> None:
    with pytest.raises(InputError, match=problem) as caught:
        parse_address(url)
    assert "secret" not in caught.value.message
