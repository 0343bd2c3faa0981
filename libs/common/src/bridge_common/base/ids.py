"""Ids of calls, commands and processes, and the shard of a call."""

from __future__ import annotations

import hashlib
import os
import re
import socket
import uuid
import zlib

_CALL_ID = re.compile(r"call_[0-9a-f]{24}")


def call_id_of(correlation_id: str) -> str:
    """Return the id of an inbound call, derived from ACS's correlation id.

    Because it is derived and not random, repeated deliveries of an incoming call have the same id on every replica,
    also after a crash between two steps.
    """
    return "call_" + hashlib.sha256(correlation_id.encode(errors="surrogatepass")).hexdigest()[:24]


def is_call_id(text: str) -> bool:
    return _CALL_ID.fullmatch(text) is not None


def shard_of(call_id: str, shards: int) -> int:
    return zlib.crc32(call_id.encode()) % shards


def process_name(kind: str) -> str:
    """Return a unique name of this process: kind, host, pid and a random part, because pids repeat in containers."""
    return f"{kind}-{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:6]}"


def request_id_of(call_id: str, command_seq: int) -> str:
    """Return the Repeatability-Request-ID of a command: the same for all attempts, in any process."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"{call_id}/{command_seq}"))
