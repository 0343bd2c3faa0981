"""Finds exported variables that resemble a setting but are unknown, such as misspelled settings."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import fields
from difflib import get_close_matches
from typing import Final

from lab.acs.settings import AcsSettings
from lab.business import BusinessSettings
from lab.identity import IdentitySettings
from lab.voice_live.settings import VoiceLiveSettings

OF_SERVICES: Final = frozenset(
    {
        *("ACS_AUDIO_CHANNELS", "ACS_AUDIO_FORMAT", "ACS_CONNECTION_STRING"),
        *("ACS_ENDPOINT", "ACS_JWKS_URL", "ACS_JWT_AUDIENCE", "ACS_JWT_ISSUER", "ACS_JWT_MODE", "AGENT_ID"),
        *("AGENT_NAME", "AGENT_PATIENCE_S", "AGENT_PROFILES_FILE", "AGENT_PROJECT_NAME", "AGENT_VERSION"),
        *("AGENT_TOOLS_AUDIENCE", "AGENT_TOOLS_IDENTITIES", "AGENT_TOOLS_JWKS_URL", "AGENT_TOOLS_KEYS"),
        *("AGENT_TOOLS_TENANT_ID", "GOODBYE_TIMEOUT_S", "MAX_CALL_WARNING_S", "TOOL_HOSTS", "TOOL_PRIVATE_HOSTS"),
        *("ALLOWED_TARGETS", "ALLOW_INSECURE", "ANSWER_DEADLINE_S", "ANSWER_WHEN", "API_KEYS"),
        *("APOLOGY_AUDIO", "APPLICATIONINSIGHTS_CONNECTION_STRING", "AZURE_AI_SCOPE", "AZURE_CLIENT_ID"),
        *("AZURE_CLIENT_SECRET", "AZURE_COGNITIVE_SERVICES_SCOPE", "AZURE_OPENAI_DEPLOYMENT"),
        *("AZURE_TENANT_ID", "AZURE_VOICE_LIVE_API_KEY", "AZURE_VOICE_LIVE_ENDPOINT"),
        *("AZURE_VOICE_LIVE_FURTHER_API_KEYS", "AZURE_VOICE_LIVE_FURTHER_ENDPOINTS", "BASE_URL"),
        *("CALLS_OVER_LIMIT", "CALLS_PER_CALLER_PER_MIN", "CALLS_PER_MIN", "DEFAULT_PROFILE"),
        *("DRAIN_TIMEOUT_S", "DTMF_INTERRUPTS", "EVENT_GRID_AUDIENCE", "EVENT_GRID_JWKS_URL", "FOUNDRY_FEATURES"),
        *("EVENT_GRID_SECRETS", "EVENT_GRID_TENANT_ID", "GATEWAY_CAPACITY", "GREETING_DELAY_MS"),
        *("HISTORY_TURNS", "HOST", "HTTP_CONNECTIONS", "IDENTITY_ENDPOINT", "IDENTITY_HEADER"),
        *("JWKS_MAX_AGE_S", "LOG_FORMAT", "LOG_LEVEL", "LOG_PHONE_KEY", "LOG_TRANSCRIPTS", "MAX_CALL_S"),
        *("MEDIA_BASE_URL", "MEDIA_PATIENCE_S", "MEDIA_TOKEN_KEYS", "ON_BEHALF_REJECT_REASON"),
        *("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT"),
        *("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_LOGS_EXPORTER", "OTEL_METRICS_EXPORTER", "PENDING_CONNECTIONS"),
        *("PENDING_CONNECTIONS_PER_SOURCE",),
        *("PLAYOUT_LEAD_MS", "PLAYOUT_MESSAGE_MS", "PLAYOUT_QUEUE_S", "PORT", "RECONNECT_BUDGET_S", "REVISION"),
        *("RECORD_RETENTION_S", "REDIRECT_TARGET", "REDIS_CLUSTER", "REDIS_ENTRA", "REDIS_ENTRA_SCOPE"),
        *("REDIS_SHARDS", "REDIS_URL", "REFUSED_CALLERS", "RELAY_CAPACITY", "RELAY_WARM_SESSIONS"),
        *("RESPONSE_START_S", "RING_TIME_S", "ROUTING_KEY", "ROUTING_POLICY", "SAY_FORMS"),
        *("SAY_MAX_CHARACTERS", "SAY_PER_MINUTE", "TRANSCRIPTS", "TRANSCRIPT_RETENTION_S", "TRANSFER_TARGET"),
        *("KUBERNETES_SERVICE_ACCOUNT", "KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT", "POD_DELETION_COST"),
        *("SCALE_BUFFER_CALLS", "SCALE_BUFFER_PERCENT", "SECRETS_DIR", "UNREADY_AFTER_S"),
        *("VOICE_AGENT_NAME", "VOICE_LIVE_API_VERSION", "VOICE_LIVE_CONNECTIONS_PER_MIN", "VOICE_LIVE_MODEL"),
        *("VOICE_LIVE_OPEN_TIMEOUT_S", "VOICE_LIVE_PING_INTERVAL_S", "WAIT_AUDIO"),
    }
)
"""All names in .env.example; a test compares the two."""
_OF_SIMULATORS: Final = frozenset(
    one.name.upper()
    for settings in (AcsSettings, VoiceLiveSettings, IdentitySettings, BusinessSettings)
    for one in fields(settings)
)
KNOWN: Final = OF_SERVICES | _OF_SIMULATORS
"""Settings of the services and simulators."""
_PREFIXES: Final = ("ACS_", "AZURE_VOICE_", "EVENT_GRID_", "MEDIA_", "RELAY_", "ROUTING_", "VOICE_")
"""Prefixes of setting names that no other program uses."""
_ALIKE: Final = 0.85
_NEAREST: Final = 0.5


def misspelled(environ: Mapping[str, str] | None = None, known: Iterable[str] = KNOWN) -> list[str]:
    names = frozenset(known)
    found = []
    for name in sorted(set(os.environ if environ is None else environ) - names):
        prefixed = name.startswith(_PREFIXES)
        near = nearest(name, names, cutoff=_NEAREST if prefixed else _ALIKE)
        if near or prefixed:
            found.append(f"{name} (nearest: {near})" if near else name)
    return found


def nearest(name: str, known: Iterable[str] = KNOWN, *, cutoff: float = _NEAREST) -> str:
    """Return the known name that is most similar, "" if none is."""
    return next(iter(get_close_matches(name, sorted(known), n=1, cutoff=cutoff)), "")
