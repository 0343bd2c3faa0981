"""Settings of the processes of a stack: addresses and keys with which they find and trust each other."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from lab import exported
from lab.acs.settings import LAB_ACCESS_KEY, LAB_RESOURCE_ID
from lab.ports import Ports

API_KEY: Final = "lab-operator-key"
"""Operator API key of the simulated stack. It is public, not a secret."""
MEDIA_TOKEN_KEY: Final = "lab-media-token-key-lab-media-token-key"
AGENT_TOOLS_KEY: Final = "lab-agent-tools-key-of-the-platform"
"""Key that the simulated agent platform sends to the tools of call-control; a documented value, not a secret."""
EVENT_GRID_SECRET: Final = "lab-event-grid-secret"
IDENTITY_HEADER: Final = "lab-identity-header"


def environment_of(name: str, ports: Ports, redis_url: str, folder: Path) -> dict[str, str]:
    """Return the settings of one process, without those that exported settings replace."""
    acs, identity = f"http://127.0.0.1:{ports.acs}", f"http://127.0.0.1:{ports.identity}/msi/token"
    jwt = {"ACS_JWT_AUDIENCE": LAB_RESOURCE_ID, "ACS_JWT_ISSUER": acs, "ACS_JWKS_URL": f"{acs}/calling/keys"}
    service = {
        "REDIS_URL": redis_url,
        "NO_PROXY": "127.0.0.1,localhost",
        "ALLOW_INSECURE": exported.allow_insecure(),
    }
    webhook = f"http://127.0.0.1:{ports.call_control}/api/incomingCall"
    values = {
        "identity": {"IDENTITY_HEADER": IDENTITY_HEADER},
        "business": {},
        "voice-live": {
            "AGENT_TOOLS_URL": f"http://127.0.0.1:{ports.call_control}/agent",
            "AGENT_TOOLS_KEY": AGENT_TOOLS_KEY,
        },
        "acs": {"WEBHOOK_URL": webhook, "EVENT_GRID_SECRET": EVENT_GRID_SECRET, "STACK_FOLDER": str(folder.absolute())},
        "call-control": {
            **service,
            **jwt,
            "BASE_URL": f"http://127.0.0.1:{ports.call_control}",
            "MEDIA_BASE_URL": f"ws://127.0.0.1:{ports.media_gateway}",
            "MEDIA_TOKEN_KEYS": MEDIA_TOKEN_KEY,
            "ACS_CONNECTION_STRING": f"endpoint={acs};accesskey={LAB_ACCESS_KEY}",
            "EVENT_GRID_SECRETS": EVENT_GRID_SECRET,
            "API_KEYS": API_KEY,
            "AGENT_TOOLS_KEYS": AGENT_TOOLS_KEY,
            "CALLS_PER_CALLER_PER_MIN": "0",
            "ALLOWED_TARGETS": "+1*",
        },
        "media-gateway": {**service, **jwt, "MEDIA_TOKEN_KEYS": MEDIA_TOKEN_KEY},
        "agent-relay": {
            **service,
            "AZURE_VOICE_LIVE_ENDPOINT": f"http://127.0.0.1:{ports.voice_live}",
            "VOICE_LIVE_CONNECTIONS_PER_MIN": "0",
            "AGENT_NAME": "lab-agent",
            "AGENT_PROJECT_NAME": "lab-project",
            "IDENTITY_ENDPOINT": identity,
            "IDENTITY_HEADER": IDENTITY_HEADER,
        },
    }[name]
    return exported.defaults(values)
