"""Insecure settings and the words that allow them."""

from __future__ import annotations

import pytest

from bridge_common.service import insecure
from bridge_common.service.insecure import Insecure, SettingCheck


def words(check: SettingCheck, text: str) -> list[Insecure]:
    return [fault.word for fault in check.faults(text)]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", []),
        ("0123456789abcdef", []),
        ("3f9c" * 16, []),
        ("0123456789abcde", [Insecure.SHORT_KEYS]),
        ("0123456789abcdef,short", [Insecure.SHORT_KEYS]),
        ("short,shorter", [Insecure.SHORT_KEYS]),
        ("lab-operator-key", [Insecure.KNOWN_KEYS]),
        ("0123456789abcdef, lab-event-grid-secret", [Insecure.KNOWN_KEYS]),
        ("lab-key", [Insecure.SHORT_KEYS, Insecure.KNOWN_KEYS]),
        ("<replace: openssl rand -hex 32>", [Insecure.KNOWN_KEYS]),
        ("3f1c...64 hex digits from `openssl rand -hex 32`", [Insecure.KNOWN_KEYS]),
        ("CHANGE-ME-CHANGE-ME-CHANGE-ME", [Insecure.KNOWN_KEYS]),
    ],
)
def test_keys(text: str, found: list[Insecure]) -> None:
    assert words(insecure.KEYS, text) == found


@pytest.mark.parametrize(
    ("text", "insecure_host"),
    [
        ("", ""),
        ("https://phone.example.com", ""),
        ("wss://media.example.com/path", ""),
        ("http://127.0.0.1:8080", ""),
        ("http://127.8.9.1", ""),
        ("ws://[::1]:8081", ""),
        ("http://localhost:8080", ""),
        ("http://acs.localhost", ""),
        ("http://LOCALHOST", ""),
        ("http://phone.example.com", "phone.example.com"),
        ("HTTP://phone.example.com", "phone.example.com"),
        ("ws://media:8081", "media"),
        ("http://localhost.example.com", "localhost.example.com"),
        ("http://127.0.0.1.example.com", "127.0.0.1.example.com"),
        ("http://localhost@evil.example", "evil.example"),
        ("http://10.0.0.1", "10.0.0.1"),
        ("http://0.0.0.0:8080", "0.0.0.0"),
        ("http://169.254.169.254/token", "169.254.169.254"),
        ("https://one.example, http://two.example", "two.example"),
        ("endpoint=http://acs:8090/;accesskey=secret", "acs"),
        ("endpoint=https://acs.example/;accesskey=secret", ""),
        ("https://one.example/?next=http", ""),
        ("http://[", ""),
        ("no address", ""),
    ],
)
def test_addresses(text: str, insecure_host: str) -> None:
    faults = list(insecure.URL.faults(text))
    assert [fault.word for fault in faults] == ([Insecure.PLAIN_HTTP] if insecure_host else [])
    assert all(insecure_host in fault.reason and "secret" not in str(fault) for fault in faults)
    assert len(words(insecure.TELEMETRY_URL, text)) == len(faults)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", []),
        ("redis://localhost:6379/0", []),
        ("redis://:password@127.0.0.1:6379", []),
        ("unix:///run/redis.sock", []),
        ("rediss://:password@cache.example:10000/0", []),
        ("rediss+sentinel://one:26379,two:26379/mymaster", []),
        ("rediss://cache.example?ssl_ca_certs=/ca.pem&ssl_cert_reqs=required", []),
        ("redis://:password@cache.example:6379", [Insecure.PLAIN_REDIS]),
        ("redis+sentinel://localhost:26379,other:26379/mymaster", [Insecure.PLAIN_REDIS]),
        ("redis+sentinel://localhost:26379,[::1]:26379/mymaster", []),
        ("rediss://cache.example?ssl_cert_reqs=none", [Insecure.UNVERIFIED_REDIS]),
        ("rediss://cache.example?ssl_cert_reqs=none&ssl_cert_reqs=required", [Insecure.UNVERIFIED_REDIS]),
        ("rediss+sentinel://one:26379/mymaster?ssl_cert_reqs=optional", [Insecure.UNVERIFIED_REDIS]),
        ("http://cache.example", []),
    ],
)
def test_redis(text: str, found: list[Insecure]) -> None:
    assert words(insecure.REDIS_URL, text) == found
    assert not any(
        "password" in str(fault).replace("including the password", "") for fault in insecure.REDIS_URL.faults(text)
    )


@pytest.mark.parametrize(
    ("mode", "faulty"), [("enforce", False), ("", False), ("log", True), ("OFF", True), ("x", False)]
)
def test_token_modes(mode: str, faulty: bool) -> None:
    assert words(insecure.JWT_MODE, mode) == ([Insecure.UNCHECKED_TOKENS] if faulty else [])


@pytest.mark.parametrize(
    ("given", "open_"),
    [
        ({}, True),
        ({"event_grid_secrets": " , "}, True),
        ({"event_grid_secrets": "s"}, False),
        ({"event_grid_tenant_id": "t"}, False),
        ({"event_grid_audience": "a"}, True),
    ],
)
def test_the_webhook(given: dict[str, str], open_: bool) -> None:
    assert [fault.word for _, fault in insecure.webhook_faults(given)] == ([Insecure.OPEN_WEBHOOK] if open_ else [])


def test_unknown_words_are_refused_with_the_known_ones() -> None:
    assert insecure.check_words(tuple(Insecure)) == tuple(Insecure)
    with pytest.raises(ValueError, match=r"unknown words: all, plain_redis; allowed are open-webhook, .*plain-redis"):
        insecure.check_words(("plain_redis", "plain-redis", "all"))


@pytest.mark.parametrize(
    "option",
    [
        *("ssl_check_hostname=false", "ssl_check_hostname=0", "ssl_check_hostname=No", "ssl_check_hostname=%2566alse"),
        *("ssl_cert_reqs=none", "ssl_cert_reqs=required&ssl_cert_reqs=none", "ssl_cert_reqs=NONE"),
        *("ssl_min_version=769", "ssl_min_version=-2", "ssl_min_version=x"),
        *("ssl_ciphers=ALL:@SECLEVEL=0", "ssl_ciphers=HIGH:aNULL", "ssl_ciphers=eNULL"),
        *("ssl_exclude_verify_flags=VERIFY_X509_STRICT", "ssl_include_verify_flags=[VERIFY_ALLOW_PROXY_CERTS]"),
    ],
)
@pytest.mark.parametrize("address", ["rediss://h", "rediss+sentinel://:x@h:1,i:2/m"])
def test_options_of_redis_that_weaken_tls(address: str, option: str) -> None:
    assert Insecure.UNVERIFIED_REDIS in {fault.word for fault in insecure.REDIS_URL.faults(f"{address}?{option}")}


@pytest.mark.parametrize(
    "option",
    [
        *("ssl_check_hostname=true", "ssl_cert_reqs=required", "ssl_ca_certs=/ca.pem", "ssl_min_version=772"),
        *("ssl_ciphers=ECDHE+AESGCM:!aNULL:!MD5", "ssl_include_verify_flags=VERIFY_X509_STRICT", "socket_timeout=3"),
    ],
)
def test_options_of_redis_that_do_not(option: str) -> None:
    assert not list(insecure.REDIS_URL.faults(f"rediss://h?{option}"))


def test_each_address_of_a_connection_string_counts() -> None:
    text = "InstrumentationKey=k;IngestionEndpoint=http://127.0.0.1;LiveEndpoint=http://evil.example"
    [fault] = insecure.TELEMETRY_URL.faults(text)
    assert "evil.example" in str(fault)
