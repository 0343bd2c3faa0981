"""The routing policy in force with its version, and its form in Redis: one JSON object that replicas share."""

from __future__ import annotations

import json
from dataclasses import dataclass

from bridge_common.base.errors import EntryError, InputError
from call_control.core.policy.routing_policy import Policy, decode_policy, encode_policy


class OutdatedError(InputError):
    """Somebody else changed the policy since the sender looked at it; becomes 412."""

    code = "outdated"


@dataclass(frozen=True, slots=True)
class PolicyInForce:
    """Version 0 is what the settings say when nobody ever gave a policy; it stands nowhere."""

    version: int = 0
    policy: Policy | None = None
    """None: the settings decide."""
    since_ms: int = 0
    by: str = "settings"
    file: str = ""
    """Digest of the policy that ROUTING_POLICY held when a replica last took it from there, empty for none."""
    key: str = ""
    """Fingerprint of the ROUTING_KEY of who wrote this."""
    id: str = ""
    """No other policy has it: two operators who both make version 7 of 6 do not make the same."""

    @property
    def etag(self) -> str:
        return f'"{self.version}-{self.id}"'


def encode_in_force(held: PolicyInForce) -> bytes:
    return json.dumps(
        {
            "version": held.version,
            "since_ms": held.since_ms,
            "by": held.by,
            "file": held.file,
            "key": held.key,
            "id": held.id,
            "policy": encode_policy(held.policy) if held.policy else None,
        }
    ).encode()


def decode_in_force(stored: bytes) -> PolicyInForce:
    """Raises `EntryError` when this is none, or one that only a newer version of ours understands."""
    try:
        found = json.loads(stored)
        return PolicyInForce(
            version=int(found["version"]),
            policy=None if found["policy"] is None else decode_policy(found["policy"]),
            since_ms=int(found["since_ms"]),
            by=str(found["by"]),
            file=str(found["file"]),
            key=str(found["key"]),
            id=str(found["id"]),
        )
    except InputError as error:
        raise EntryError(f"the routing policy in Redis is none: {error.message}") from error
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise EntryError("what Redis holds as the routing policy is none") from error


def version_in(stored: bytes) -> int:
    """Of something that cannot be read otherwise, so that what replaces it counts as newer; 0 when it tells none."""
    try:
        return int(json.loads(stored)["version"])
    except (ValueError, TypeError, KeyError, RecursionError):
        return 0
