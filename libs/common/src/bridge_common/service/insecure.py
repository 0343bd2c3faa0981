"""Checks for insecure settings: a service does not start with one of them unless `ALLOW_INSECURE` contains its word.

A setting is checked by the `SettingCheck` in its annotation: `Annotated[str, URL]`. No I/O.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final
from urllib.parse import parse_qsl, unquote, urlsplit

from bridge_common.base.errors import InputError
from bridge_common.redis.address import is_loopback, parse_address

SHORTEST_KEY: Final = 16
"""Minimum characters of a key that signs, hashes or grants access."""
_PUBLISHED: Final = re.compile(r"^lab-|^<|\.\.\.|…|openssl|change-?me|replace-?|example|placeholder", re.IGNORECASE)
"""Matches keys that are no secrets: those of the simulators begin with `lab-`, the others are placeholders in documents
and manifests.
"""
_GENERATE: Final = "generate one with `openssl rand -hex 32`"


class Insecure(StrEnum):
    """The words of `ALLOW_INSECURE`."""

    OPEN_WEBHOOK = "open-webhook"
    UNCHECKED_TOKENS = "unchecked-tokens"
    SHORT_KEYS = "short-keys"
    KNOWN_KEYS = "known-keys"
    PLAIN_HTTP = "plain-http"
    PLAIN_REDIS = "plain-redis"
    UNVERIFIED_REDIS = "unverified-redis"
    PLAIN_TELEMETRY = "plain-telemetry"


@dataclass(frozen=True, slots=True)
class InsecureSetting:
    """A fault of a setting. `word`: allows it in `ALLOW_INSECURE`. `reason` and `remedy` contain no part of
    a secret.
    """

    word: Insecure
    reason: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.reason}; {self.remedy}, or add {self.word} to ALLOW_INSECURE"


@dataclass(frozen=True, slots=True)
class SettingCheck:
    """Finds the faults of a setting. Values that cannot be parsed are reported elsewhere."""

    faults: Callable[[str], Iterator[InsecureSetting]]


def check_words(words: tuple[str, ...]) -> tuple[str, ...]:
    """Check the words of `ALLOW_INSECURE`. Raises `ValueError`, which pydantic collects, for an unknown word."""
    unknown = sorted(set(words) - set(Insecure))
    if unknown:
        raise ValueError(f"has unknown words: {', '.join(unknown)}; allowed are {', '.join(Insecure)}")
    return words


def parts_of(text: str) -> list[str]:
    """Split a comma-separated list."""
    return [part.strip() for part in text.split(",") if part.strip()]


def _key_faults(text: str) -> Iterator[InsecureSetting]:
    keys = parts_of(text)
    if any(len(key) < SHORTEST_KEY for key in keys):
        yield InsecureSetting(Insecure.SHORT_KEYS, f"a key has fewer than {SHORTEST_KEY} characters", _GENERATE)
    if any(_PUBLISHED.search(key) for key in keys):
        yield InsecureSetting(Insecure.KNOWN_KEYS, "a key is published in this project or is a placeholder", _GENERATE)


def _url_faults(text: str, word: Insecure = Insecure.PLAIN_HTTP) -> Iterator[InsecureSetting]:
    for url in parts_of(text):
        # In a connection string, the address follows `endpoint=`.
        for plain in re.finditer(r"\b(?:http|ws)://[^/;?#\s]+", url, re.IGNORECASE):
            host = _host_of(plain.group())
            if host and not is_loopback(host):
                yield InsecureSetting(word, f"traffic with {host} is not encrypted", "use https:// or wss://")


def _telemetry_faults(text: str) -> Iterator[InsecureSetting]:
    return _url_faults(text, Insecure.PLAIN_TELEMETRY)


def _redis_faults(text: str) -> Iterator[InsecureSetting]:
    try:
        address = parse_address(text)
    except InputError:
        return
    hosts = [host for host, _ in address.sentinels] or [address.host]
    if address.scheme == "redis" and not all(is_loopback(host) for host in hosts):
        reason = "traffic with Redis, including the password, is not encrypted"
        yield InsecureSetting(Insecure.PLAIN_REDIS, reason, "use rediss:// or rediss+sentinel://")
    for name, written in parse_qsl(urlsplit(address.url).query):
        value = unquote(written)  # redis-py unquotes twice
        weakens, reason, remedy = _TLS_OPTIONS.get(name, _HARMLESS)
        if weakens(value):
            yield InsecureSetting(Insecure.UNVERIFIED_REDIS, reason, remedy)


def _is_weak_version(value: str) -> bool:
    return not value.isascii() or not value.isdigit() or int(value) < _TLS_1_2


def _has_weak_cipher(value: str) -> bool:
    allowed = [name for name in re.split(r"[:, ]", value.upper()) if name[:1] not in ("!", "-")]
    return any(_WEAK_CIPHER.search(name) for name in allowed)


_TLS_1_2: Final = 771
_WEAK_CIPHER: Final = re.compile(r"NULL|ADH|AECDH|^ALL$|COMPLEMENT|EXP|LOW|RC4|DES|MD5|SECLEVEL=[01]")
_UNVERIFIED: Final = "the certificate of Redis is not verified"
_TLS_OPTIONS: Final[Mapping[str, tuple[Callable[[str], bool], str, str]]] = {
    "ssl_cert_reqs": (
        lambda value: value != "required",
        _UNVERIFIED,
        "use ssl_ca_certs=<path> instead of ssl_cert_reqs",
    ),
    "ssl_check_hostname": (
        lambda value: value.lower() not in ("true", "yes", "1"),
        "a certificate of any other server is accepted as that of Redis",
        "remove ssl_check_hostname and use the host name of the certificate in REDIS_URL",
    ),
    "ssl_exclude_verify_flags": (lambda value: bool(value), _UNVERIFIED, "remove ssl_exclude_verify_flags"),
    "ssl_include_verify_flags": (
        lambda value: "PROXY" in value.upper(),
        "a certificate that is signed by another end-entity certificate is accepted as that of Redis",
        "remove VERIFY_ALLOW_PROXY_CERTS from ssl_include_verify_flags",
    ),
    "ssl_min_version": (_is_weak_version, "a TLS version with known attacks is accepted", "remove ssl_min_version"),
    "ssl_ciphers": (_has_weak_cipher, "TLS ciphers with known attacks are accepted", "remove ssl_ciphers"),
}
"""Options of redis-py's URLs that can weaken TLS: check, reason, remedy."""
_HARMLESS: Final[tuple[Callable[[str], bool], str, str]] = (lambda _: False, "", "")


def _mode_faults(text: str) -> Iterator[InsecureSetting]:
    mode = text.lower()
    if mode in ("log", "off"):
        reason = f"with `{mode}`, callbacks and media sockets are accepted without a valid token of ACS"
        yield InsecureSetting(Insecure.UNCHECKED_TOKENS, reason, "use `enforce`")


def webhook_faults(given: Mapping[str, str]) -> Iterator[tuple[str, InsecureSetting]]:
    """Find a webhook that has neither a secret nor Entra authentication."""
    if not parts_of(given.get("event_grid_secrets", "")) and not given.get("event_grid_tenant_id"):
        reason = "is not set, so anyone can send incoming calls to the webhook"
        remedy = f"{_GENERATE}, or set EVENT_GRID_TENANT_ID and EVENT_GRID_AUDIENCE"
        yield "event_grid_secrets", InsecureSetting(Insecure.OPEN_WEBHOOK, reason, remedy)


def _host_of(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


KEYS: Final = SettingCheck(_key_faults)
"""Check of one or more keys that this deployment has generated. Not for keys that another party has issued."""
URL: Final = SettingCheck(_url_faults)
"""Check of one or more addresses, also in a connection string."""
TELEMETRY_URL: Final = SettingCheck(_telemetry_faults)
REDIS_URL: Final = SettingCheck(_redis_faults)
JWT_MODE: Final = SettingCheck(_mode_faults)
