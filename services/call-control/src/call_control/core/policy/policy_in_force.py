"""The routing policy in force with its version, and its encoding in Redis: one JSON object that all replicas share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec

from bridge_common.base.errors import EntryError, InputError
from call_control.core.policy.policy_text import decode_policy
from call_control.core.policy.routing_policy import Policy, encode_stored_policy


class OutdatedError(InputError):
    """The policy was changed after the client fetched it; becomes 412."""

    code = "outdated"


@dataclass(frozen=True, slots=True)
class PolicyInForce:
    """The policy in force and its version. Version 0, which is never stored: no policy was ever set."""

    version: int = 0
    policy: Policy | None = None
    """The rules; `None`: the settings decide."""
    since_ms: int = 0
    by: str = "settings"
    file: str = ""
    """Digest of the policy in ROUTING_POLICY when a replica last adopted it; empty for none."""
    key: str = ""
    """Fingerprint of the ROUTING_KEY of the replica that wrote this."""
    id: str = ""
    """Random id: distinguishes the results of two operators who change the same version."""

    @property
    def etag(self) -> str:
        return f'"{self.version}-{self.id}"'


class _Stored(msgspec.Struct):
    version: int
    since_ms: int
    by: str
    file: str
    key: str
    id: str
    policy: dict[str, Any] | None


class _StoredVersion(msgspec.Struct):
    version: int


def encode_in_force(held: PolicyInForce) -> bytes:
    policy = encode_stored_policy(held.policy) if held.policy else None
    return msgspec.json.encode(
        _Stored(held.version, held.since_ms, held.by, held.file, held.key, held.id, policy),
    )


def decode_in_force(stored: bytes) -> PolicyInForce:
    """Decode the stored policy. Raises `EntryError`, also for a policy that only a newer release can decode."""
    try:
        found = msgspec.json.decode(stored, type=_Stored)
        # An older release may have accepted a name that is reserved now.
        policy = None if found.policy is None else decode_policy(found.policy, reserved=frozenset())
    except InputError as error:
        raise EntryError(f"the routing policy in Redis is not valid: {error.message}") from error
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise EntryError(f"the routing policy in Redis could not be decoded: {error}") from error
    return PolicyInForce(found.version, policy, found.since_ms, found.by, found.file, found.key, found.id)


def version_in(stored: bytes) -> int:
    """Return the version of a policy that could not be decoded, 0 if unknown: its replacement needs a higher one."""
    try:
        return msgspec.json.decode(stored, type=_StoredVersion).version
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return 0
