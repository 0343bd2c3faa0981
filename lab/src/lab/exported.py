"""Selects the exported settings that are passed to the processes of a simulated stack.

Services and simulators read their settings from the environment. All variables exported in the shell that runs `lab`
are passed to them, except the settings that connect and authenticate the processes (`OWNED`) and the credentials of a
real subscription (`AZURE_…`), which a simulated call must not reach.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

OWNED: Final = frozenset(
    {
        *("HOST", "PORT", "BASE_URL", "MEDIA_BASE_URL", "WEBHOOK_URL", "STACK_FOLDER"),
        *("ACS_CONNECTION_STRING", "ACS_ENDPOINT", "ACS_ACCESS_KEY", "ACS_RESOURCE_ID", "ACS_ISSUER"),
        *("ACS_JWT_AUDIENCE", "ACS_JWT_ISSUER", "ACS_JWKS_URL", "MEDIA_TOKEN_KEYS", "API_KEYS"),
        *("EVENT_GRID_SECRET", "EVENT_GRID_SECRETS", "AGENT_TOOLS_URL", "AGENT_TOOLS_KEY", "AGENT_TOOLS_KEYS"),
        *("EVENT_GRID_TENANT_ID", "EVENT_GRID_AUDIENCE", "EVENT_GRID_JWKS_URL"),
        *("AZURE_VOICE_LIVE_ENDPOINT", "AZURE_VOICE_LIVE_API_KEY"),
        *("AZURE_VOICE_LIVE_FURTHER_ENDPOINTS", "AZURE_VOICE_LIVE_FURTHER_API_KEYS"),
        *("AZURE_CLIENT_ID", "AZURE_TENANT_ID", "AZURE_CLIENT_SECRET", "IDENTITY_ENDPOINT", "IDENTITY_HEADER"),
        "APPLICATIONINSIGHTS_CONNECTION_STRING",
    }
)
"""Settings that `lab` sets or leaves unset; exported values are ignored."""

_PASSED: Final = frozenset({"AZURE_OPENAI_DEPLOYMENT", "AZURE_AI_SCOPE", "AZURE_COGNITIVE_SERVICES_SCOPE"})
"""Settings of agent-relay that share the `AZURE_` prefix with azure-identity and other Azure tools."""
_REPLACEABLE: Final = frozenset(
    {
        *("AGENT_NAME", "AGENT_PROJECT_NAME", "VOICE_LIVE_CONNECTIONS_PER_MIN"),
        *("ALLOWED_TARGETS", "CALLS_PER_CALLER_PER_MIN"),
    }
)
"""Settings for which an exported value replaces the value that `lab` sets."""
_CONNECTION_MODES: Final = ("VOICE_LIVE_MODEL", "AGENT_ID", "VOICE_AGENT_NAME", "AZURE_OPENAI_DEPLOYMENT")
"""Settings that select a connection mode other than `AGENT_NAME`."""
_LOCAL: Final = frozenset({"127.0.0.1", "localhost", "::1"})


class RemoteRedisError(ValueError):
    """`REDIS_URL` points to a server on a remote host. The message contains the remedy."""


def passed(environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the variables that every process of a stack inherits."""
    environ = os.environ if environ is None else environ
    return {name: value for name, value in environ.items() if not _is_owned(name)}


def left_out(environ: Mapping[str, str] | None = None) -> list[str]:
    """Return the exported settings that have no effect on simulated stacks."""
    environ = os.environ if environ is None else environ
    return sorted(name for name in OWNED if environ.get(name))


def defaults(values: Mapping[str, str], environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return `values`, the settings of one process, without those that an exported setting replaces."""
    environ = os.environ if environ is None else environ
    replaced = {name for name in _REPLACEABLE if environ.get(name)}
    if any(environ.get(name) for name in _CONNECTION_MODES):
        replaced.add("AGENT_NAME")
    return {name: value for name, value in values.items() if name not in replaced}


def allow_insecure(environ: Mapping[str, str] | None = None) -> str:
    """Return `ALLOW_INSECURE` for the services: the exported value plus `known-keys`, because the access keys of the
    simulators are public.
    """
    environ = os.environ if environ is None else environ
    return ",".join(filter(None, ("known-keys", environ.get("ALLOW_INSECURE"))))


def redis_url(environ: Mapping[str, str] | None = None) -> str:
    """Return the exported `REDIS_URL`, empty if it is not set. Raises `RemoteRedisError` if its server is not on this
    machine.
    """
    environ = os.environ if environ is None else environ
    url = environ.get("REDIS_URL", "")
    parts = urlsplit(url)
    hosts = [host.rpartition("@")[2] for host in parts.netloc.split(",")]
    names = {urlsplit(f"//{host}").hostname or "" for host in hosts}
    if url and parts.scheme != "unix" and not names <= _LOCAL:
        raise RemoteRedisError(
            f"REDIS_URL points to a remote host ({', '.join(sorted(names))}); simulated calls must not write to it."
            " Unset REDIS_URL; `lab` then starts its own server"
        )
    return url


def notices(folder: Path, environ: Mapping[str, str] | None = None) -> list[str]:
    """Return warnings about exported settings, one line each, to print before a stack starts."""
    # Imported only here: it loads all simulators, and a single simulator does not need the others.
    from lab.setting_names import misspelled

    environ = os.environ if environ is None else environ
    lines: list[str] = []
    if names := left_out(environ):
        lines.append(f"Ignored, as `lab` sets its own values: {', '.join(names)}.")
    if names := misspelled(environ):
        lines.append(f"Unknown settings, ignored: {', '.join(names)}.")
    with contextlib.suppress(RemoteRedisError):  # The start of the stack reports it.
        if redis_url(environ):
            lines.append("Redis: using the server of the exported REDIS_URL with its existing data.")
    if (folder / ".env").exists():
        lines.append("Not read: .env (docker compose reads it). Export a setting to try it here.")
    return lines


def _is_owned(name: str) -> bool:
    return name in OWNED or (name.startswith("AZURE_") and name not in _PASSED)
