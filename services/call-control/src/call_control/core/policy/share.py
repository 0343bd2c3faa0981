"""Which callers belong to a share: a keyed hash decides, so nobody has to remember anything.

The caller's place between 0 and 100 % depends on the key, the rule's name and the caller, on nothing else: the same on
each replica and after a restart. A share takes the places below it, so a larger share keeps everybody of a smaller
one. The key keeps outsiders from computing which numbers get where.
"""

from __future__ import annotations

import hmac
from typing import Final

STEPS: Final = 10_000
"""Places are hundredths of a percent."""


def place_of(key: bytes, rule: str, caller: str) -> int:
    """0 to 9,999."""
    digest = hmac.digest(key, f"{rule}\0{caller}".encode(errors="surrogatepass"), "sha256")
    return int.from_bytes(digest[:8], "big") % STEPS


def steps_of(percent: float) -> int:
    return round(percent * STEPS / 100)


def fingerprint(key: bytes) -> str:
    """Tells keys apart without telling them."""
    return hmac.digest(key, b"fingerprint", "sha256")[:4].hex() if key else ""
