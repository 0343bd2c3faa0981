"""How calls, processes and shards are named."""

from __future__ import annotations

import hashlib
import os
import re
import socket
import uuid
import zlib

_CALL_ID = re.compile(r"call_[0-9a-f]{24}")


def call_id_of(correlation_id: str) -> str:
    """The id of an inbound call, derived from ACS's correlation id.

    Deriving it instead of drawing it makes every delivery of one incoming call name the same call, on any replica and
    after a crash between two steps.
    """
    return "call_" + hashlib.sha256(correlation_id.encode(errors="surrogatepass")).hexdigest()[:24]


def is_call_id(text: str) -> bool:
    return _CALL_ID.fullmatch(text) is not None


def shard_of(call_id: str, shards: int) -> int:
    return zlib.crc32(call_id.encode()) % shards


def process_name(kind: str) -> str:
    """A name no other process of the fleet has: kind, host, pid and a random part (pids repeat in containers)."""
    return f"{kind}-{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:6]}"


def request_id_of(call_id: str, command_seq: int) -> str:
    """The Repeatability-Request-ID of a command: the same for every attempt at it, whichever process makes it."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"{call_id}/{command_seq}"))
