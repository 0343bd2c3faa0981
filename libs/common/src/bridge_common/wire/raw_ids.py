"""Raw ids of participants, as ACS sends them: `4:+14255550100`, `8:acs:<resource>_<user>`, `8:orgid:<user>`, …"""

from __future__ import annotations

from typing import Final

_APPLICATION: Final = ("8:acs:", "8:gcch-acs:", "8:dod-acs:", "28:")
"""ACS users in each cloud; bots and resource accounts of Teams."""


def is_application(raw_id: str) -> bool:
    """Return whether the application itself may have this id. People who use ACS have the same kind of id, and so has
    a person who was called as a Teams resource account.
    """
    return raw_id.lower().startswith(_APPLICATION)
