"""Insecure settings: a service refuses to start with one of them unless `ALLOW_INSECURE` names it.

A setting is checked by the `Check` in its annotation: `Annotated[str, URL]`. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final
from urllib.parse import parse_qsl, urlsplit

from bridge_common.base.errors import InputError
from bridge_common.redis.address import is_loopback, parse_address

SHORTEST_KEY: Final = 16
"""Characters of a key that signs, hashes or grants access."""
_PUBLISHED: Final = re.compile(r"^lab-|^<|\.\.\.|…|openssl|change-?me|replace-?|example|placeholder", re.IGNORECASE)
"""The simulators' keys begin with `lab-`; the others are placeholders of documents and manifests."""
_GENERATE: Final = "generate one with `openssl rand -hex 32`"


class Insecure(StrEnum):
    """The words of `ALLOW_INSECURE`. Each allows one thing."""

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
    """`reason` and `remedy` hold nothing of a secret."""

    word: Insecure
    reason: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.reason}; {self.remedy}, or add {self.word} to ALLOW_INSECURE"


@dataclass(frozen=True, slots=True)
class SettingCheck:
    """Finds what is insecure about a setting. A value that cannot be parsed is reported elsewhere."""

    faults: Callable[[str], Iterator[InsecureSetting]]


def check_words(words: tuple[str, ...]) -> tuple[str, ...]:
    """Raises `ValueError`, which pydantic collects, for a word that allows nothing."""
    unknown = sorted(set(words) - set(Insecure))
    if unknown:
        raise ValueError(f"unknown: {', '.join(unknown)}; the known words are {', '.join(Insecure)}")
    return words


def parts_of(text: str) -> list[str]:
    """The values of a list in one variable."""
    return [part.strip() for part in text.split(",") if part.strip()]


def _key_faults(text: str) -> Iterator[InsecureSetting]:
    keys = parts_of(text)
    if any(len(key) < SHORTEST_KEY for key in keys):
        yield InsecureSetting(Insecure.SHORT_KEYS, f"a key has fewer than {SHORTEST_KEY} characters", _GENERATE)
    if any(_PUBLISHED.search(key) for key in keys):
        yield InsecureSetting(
            Insecure.KNOWN_KEYS, "a key is a published one of this project, or a placeholder", _GENERATE
        )


def _url_faults(text: str, word: Insecure = Insecure.PLAIN_HTTP) -> Iterator[InsecureSetting]:
    for url in parts_of(text):
        # A connection string has its address behind `endpoint=`.
        plain = re.search(r"\b(?:http|ws)://[^/;?#\s]+", url, re.IGNORECASE)
        host = _host_of(plain.group()) if plain else ""
        if host and not is_loopback(host):
            yield InsecureSetting(word, f"traffic with {host} would not be encrypted", "use https:// or wss://")


def _telemetry_faults(text: str) -> Iterator[InsecureSetting]:
    return _url_faults(text, Insecure.PLAIN_TELEMETRY)


def _redis_faults(text: str) -> Iterator[InsecureSetting]:
    try:
        address = parse_address(text)
    except InputError:
        return
    hosts = [host for host, _ in address.sentinels] or [address.host]
    if address.scheme == "redis" and not all(is_loopback(host) for host in hosts):
        reason = "traffic with Redis, the password included, would not be encrypted"
        yield InsecureSetting(Insecure.PLAIN_REDIS, reason, "use rediss:// or rediss+sentinel://")
    options = parse_qsl(urlsplit(address.url).query)
    if any(name == "ssl_cert_reqs" and value != "required" for name, value in options):
        reason = "the certificate of Redis would not be verified"
        yield InsecureSetting(Insecure.UNVERIFIED_REDIS, reason, "use ssl_ca_certs=<path> in place of ssl_cert_reqs")


def _mode_faults(text: str) -> Iterator[InsecureSetting]:
    mode = text.lower()
    if mode in ("log", "off"):
        reason = f"with {mode}, callbacks and media sockets need no valid token of ACS"
        yield InsecureSetting(Insecure.UNCHECKED_TOKENS, reason, "set enforce")


def webhook_faults(given: Mapping[str, str]) -> Iterator[tuple[str, InsecureSetting]]:
    """A webhook that neither a secret nor Entra protects."""
    if not parts_of(given.get("event_grid_secrets", "")) and not given.get("event_grid_tenant_id"):
        reason = "is not set, so anybody could post calls to the webhook"
        remedy = f"{_GENERATE}, or set EVENT_GRID_TENANT_ID and EVENT_GRID_AUDIENCE"
        yield "event_grid_secrets", InsecureSetting(Insecure.OPEN_WEBHOOK, reason, remedy)


def _host_of(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


KEYS: Final = SettingCheck(_key_faults)
"""One key or several. Not for keys that somebody else has issued."""
URL: Final = SettingCheck(_url_faults)
"""One address or several, also in a connection string."""
TELEMETRY_URL: Final = SettingCheck(_telemetry_faults)
REDIS_URL: Final = SettingCheck(_redis_faults)
JWT_MODE: Final = SettingCheck(_mode_faults)
